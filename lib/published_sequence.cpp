// SPDX-License-Identifier: Apache-2.0
#include "lib/published_sequence.hpp"

#include <thread>

#include "directory/check.hpp"
#include "directory/mutant.hpp"

namespace varve::internal {

using segment::Sequence;

// Two writers that finish at the same time must not each leave it to the other to move on: each one
// stores (its slot, or the published sequence) and then loads what the other stores, all of it
// sequentially consistent, so at least one of the two sees both.
void PublishedSequence::publish(Sequence first, Sequence last) noexcept {
  VARVE_DCHECK(first <= last && first > published());
  Sequence at = published_.load(std::memory_order_acquire);
  bool moved = at + 1 == first || VARVE_MUTANT("write.published_over_gap");
  if (moved) {  // Nobody else moves it on before this write is done.
    published_.store(last, std::memory_order_seq_cst);
    at = last;
  } else {
    Slot& mine = slots_[first % kWindow];
    mine.last.store(last, std::memory_order_relaxed);
    mine.first.store(first, std::memory_order_seq_cst);
    at = published_.load(std::memory_order_seq_cst);
  }
  while (true) {
    // The slot of `at + 1` can only hold that sequence or an older one: await_room() sees to it.
    const Slot& next = slots_[(at + 1) % kWindow];
    if (next.first.load(std::memory_order_seq_cst) != at + 1) break;
    const Sequence to = next.last.load(std::memory_order_relaxed);
    if (published_.compare_exchange_weak(at, to, std::memory_order_seq_cst)) {
      at = to;
      moved = true;
    }
  }
  if (moved) published_.notify_all();
}

// What is waited for takes less than a microsecond unless its thread lost the processor: then the
// best that a waiter can do is to give up its own.
void PublishedSequence::await_slow(Sequence sequence) const noexcept {
  constexpr int kSpinMax = 64, kYieldMax = 32;
  Sequence at = published();
  for (int spin = 0; at < sequence && spin < kSpinMax; ++spin) {
    __builtin_ia32_pause();
    at = published();
  }
  for (int yield = 0; at < sequence && yield < kYieldMax; ++yield) {
    std::this_thread::yield();
    at = published();
  }
  while (at < sequence) {
    published_.wait(at, std::memory_order_acquire);
    at = published();
  }
}

}  // namespace varve::internal
