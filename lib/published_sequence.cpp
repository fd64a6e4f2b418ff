// SPDX-License-Identifier: Apache-2.0
#include "lib/published_sequence.hpp"

#include <thread>

#include "directory/check.hpp"
#include "directory/mutant.hpp"

namespace varve::internal {

using segment::Sequence;

void PublishedSequence::mark_done(Sequence first, Sequence last) noexcept {
  VARVE_DCHECK(first <= last && first > published());
  const Sequence at = published_.load(std::memory_order_acquire);
  if (at + 1 == first || VARVE_MUTANT("write.published_over_gap")) {
    // Nobody else moves it on before this write is done.
    published_.store(last, std::memory_order_release);
    return;
  }
  Slot& mine = slots_[first % kWindow];
  mine.last.store(last, std::memory_order_relaxed);
  mine.first.store(first, std::memory_order_release);
}

void PublishedSequence::move_on() noexcept {
#if defined(__x86_64__)
  // The exchange that released a lock was a full barrier.
  std::atomic_signal_fence(std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
  advance();
  // A sleeper counts itself before it looks at published_ for the last time.
  if (sleeper_count_.load(std::memory_order_seq_cst) != 0) [[unlikely]]
    published_.notify_all();
}

// Moves on over what is done.
void PublishedSequence::advance() noexcept {
  Sequence at = published_.load(std::memory_order_seq_cst);
  while (true) {
    // The slot of `at + 1` can only hold that sequence or an older one: await_room() sees to it.
    const Slot& next = slots_[(at + 1) % kWindow];
    if (next.first.load(std::memory_order_seq_cst) != at + 1) return;
    const Sequence to = next.last.load(std::memory_order_relaxed);
    if (published_.compare_exchange_weak(at, to, std::memory_order_seq_cst)) at = to;
  }
}

// What is waited for takes less than a microsecond unless its thread lost the processor: then the
// best that a waiter can do is to give up its own. If that thread was about to move on, a waiter
// does it.
void PublishedSequence::await_slow(Sequence sequence) noexcept {
  constexpr int kSpinMax = 64, kYieldMax = 32;
  for (int spin = 0; spin < kSpinMax; ++spin) {
    __builtin_ia32_pause();
    if (published() >= sequence) return;
  }
  for (int yield = 0; yield < kYieldMax; ++yield) {
    move_on();
    if (published() >= sequence) return;
    std::this_thread::yield();
  }
  sleeper_count_.fetch_add(1, std::memory_order_seq_cst);
  for (Sequence at = published(); at < sequence; at = published()) {
    published_.wait(at, std::memory_order_acquire);
  }
  sleeper_count_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace varve::internal
