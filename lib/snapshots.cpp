// SPDX-License-Identifier: Apache-2.0
#include "lib/snapshots.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "directory/check.hpp"

namespace varve::internal {

using segment::Sequence;

Snapshots::~Snapshots() {
  Block* block = first_.next.load(std::memory_order_relaxed);
  while (block != nullptr) delete std::exchange(block, block->next.load(std::memory_order_relaxed));
}

// A free slot, now pending. Threads begin to look at different places, so that they seldom want the
// same one; blocks are never taken back, so that nobody needs to know who is in them.
std::atomic<std::uint64_t>& Snapshots::claim() {
  const std::size_t start = std::hash<std::thread::id>()(std::this_thread::get_id()) % kBlockSize;
  for (Block* block = &first_;;) {
    for (std::size_t i = 0; i < kBlockSize; ++i) {
      std::atomic<std::uint64_t>& slot = block->slots[(start + i) % kBlockSize];
      std::uint64_t expected = kFree;
      if (slot.load(std::memory_order_relaxed) == kFree &&
          slot.compare_exchange_strong(expected, kPending, std::memory_order_seq_cst)) {
        count_.fetch_add(1, std::memory_order_relaxed);
        return slot;
      }
    }
    Block* next = block->next.load(std::memory_order_acquire);
    if (next == nullptr) {
      auto fresh = std::make_unique<Block>();
      if (block->next.compare_exchange_strong(next, fresh.get(), std::memory_order_acq_rel)) {
        next = fresh.release();
      }
    }
    block = next;
  }
}

Sequence Snapshots::take(const PublishedSequence& source) {
  std::atomic<std::uint64_t>& slot = claim();
  const Sequence sequence = source.published();
  slot.store(sequence + kBias, std::memory_order_release);
  return sequence;
}

void Snapshots::add(Sequence sequence) {
  claim().store(sequence + kBias, std::memory_order_release);
}

void Snapshots::remove(Sequence sequence) noexcept {
  bool removed = false;
  for_each([&](std::atomic<std::uint64_t>& slot) {
    std::uint64_t expected = sequence + kBias;
    removed = removed || (slot.load(std::memory_order_relaxed) == expected &&
                          slot.compare_exchange_strong(expected, kFree, std::memory_order_acq_rel));
  });
  VARVE_CHECK(removed);
  count_.fetch_sub(1, std::memory_order_relaxed);
}

template <typename Visit>
void Snapshots::for_each(const Visit& visit) const {
  for (const Block* block = &first_; block != nullptr;
       block = block->next.load(std::memory_order_acquire)) {
    for (const auto& slot : block->slots) {
      visit(const_cast<std::atomic<std::uint64_t>&>(slot));  // Slots are not part of the state
    }                                                        // that const protects.
  }
}

Sequence Snapshots::newest() const noexcept {
  if (count() == 0) [[likely]]
    return 0;
  Sequence newest = 0;
  for_each([&](const std::atomic<std::uint64_t>& slot) {
    const std::uint64_t held = slot.load(std::memory_order_acquire);
    if (held >= kBias) newest = std::max<Sequence>(newest, held - kBias);
  });
  return newest;
}

std::vector<Sequence> Snapshots::live() const {
  std::vector<Sequence> sequences;
  for_each([&](const std::atomic<std::uint64_t>& slot) {
    std::uint64_t held = slot.load(std::memory_order_seq_cst);
    while (held == kPending) {
      std::this_thread::yield();
      held = slot.load(std::memory_order_seq_cst);
    }
    if (held != kFree) sequences.push_back(held - kBias);
  });
  std::sort(sequences.begin(), sequences.end());
  sequences.erase(std::unique(sequences.begin(), sequences.end()), sequences.end());
  return sequences;
}

}  // namespace varve::internal
