// SPDX-License-Identifier: Apache-2.0
#include "lib/snapshots.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "lib/hooks.hpp"

namespace varve::internal {

using segment::Sequence;

namespace {

std::int64_t now() noexcept {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Where the calling thread begins to look: threads seldom want the same slot then, and each finds
// its own again at once.
std::size_t first_place(std::size_t place_count) noexcept {
  return std::hash<std::thread::id>()(std::this_thread::get_id()) % place_count;
}

}  // namespace

Snapshots::~Snapshots() {
  Block* block = first_.next.load(std::memory_order_relaxed);
  while (block != nullptr) delete std::exchange(block, block->next.load(std::memory_order_relaxed));
}

// A free slot, now pending. Blocks are never taken back, so that nobody needs to know who is in
// them.
Snapshots::Slot& Snapshots::claim() {
  const std::size_t start = first_place(kBlockSize);
  for (Block* block = &first_;;) {
    for (std::size_t i = 0; i < kBlockSize; ++i) {
      Slot& slot = block->slots[(start + i) % kBlockSize];
      std::uint64_t expected = kFree;
      if (slot.held.load(std::memory_order_relaxed) == kFree &&
          slot.held.compare_exchange_strong(expected, kPending, std::memory_order_seq_cst)) {
        slot.since.store(now(), std::memory_order_relaxed);
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
  Slot& slot = claim();
  const Sequence sequence = source.published();
  VARVE_HOOK("snapshot.taking");
  slot.held.store(sequence + kBias, std::memory_order_release);
  return sequence;
}

void Snapshots::add(Sequence sequence) {
  claim().held.store(sequence + kBias, std::memory_order_release);
}

void Snapshots::remove(Sequence sequence) noexcept {
  const std::size_t start = first_place(kBlockSize);
  for (Block* block = &first_; block != nullptr;
       block = block->next.load(std::memory_order_acquire)) {
    for (std::size_t i = 0; i < kBlockSize; ++i) {
      std::atomic<std::uint64_t>& held = block->slots[(start + i) % kBlockSize].held;
      std::uint64_t expected = sequence + kBias;
      if (held.load(std::memory_order_relaxed) == expected &&
          held.compare_exchange_strong(expected, kFree, std::memory_order_acq_rel)) {
        count_.fetch_sub(1, std::memory_order_relaxed);
        return;
      }
    }
  }
  VARVE_CHECK(false);  // It was never registered.
}

template <typename Visit>
void Snapshots::for_each(const Visit& visit) const {
  for (const Block* block = &first_; block != nullptr;
       block = block->next.load(std::memory_order_acquire)) {
    for (const auto& slot : block->slots) {
      visit(const_cast<Slot&>(slot));  // Slots are not part of the state that const protects.
    }
  }
}

std::size_t Snapshots::memory_size() const noexcept {
  std::size_t size = 0;  // The first block is a part of this object.
  for (const Block* block = first_.next.load(std::memory_order_acquire); block != nullptr;
       block = block->next.load(std::memory_order_acquire)) {
    size += sizeof *block;
  }
  return size;
}

Sequence Snapshots::newest() const noexcept {
  if (count() == 0) [[likely]]
    return 0;
  Sequence newest = 0;
  for_each([&](const Slot& slot) {
    const std::uint64_t held = slot.held.load(std::memory_order_acquire);
    if (held >= kBias) newest = std::max<Sequence>(newest, held - kBias);
  });
  return newest;
}

std::vector<Sequence> Snapshots::live() const {
  std::vector<Sequence> sequences;
  for_each([&](const Slot& slot) {
    std::uint64_t held = slot.held.load(std::memory_order_seq_cst);
    while (held == kPending && !VARVE_MUTANT("snapshot.pending_not_awaited")) {
      std::this_thread::yield();
      held = slot.held.load(std::memory_order_seq_cst);
    }
    if (held != kFree) sequences.push_back(held - kBias);
  });
  std::sort(sequences.begin(), sequences.end());
  sequences.erase(std::unique(sequences.begin(), sequences.end()), sequences.end());
  return sequences;
}

Snapshots::Ages Snapshots::ages(std::chrono::nanoseconds limit) const noexcept {
  Ages ages;
  if (count() == 0) return ages;
  const std::int64_t present = now();
  for_each([&](const Slot& slot) {
    if (slot.held.load(std::memory_order_acquire) < kBias) return;
    const std::chrono::nanoseconds age(present - slot.since.load(std::memory_order_relaxed));
    ages.oldest = std::max(ages.oldest, age);
    if (age > limit) ++ages.aged_count;
  });
  return ages;
}

}  // namespace varve::internal
