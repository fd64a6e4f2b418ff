// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/published_sequence.hpp"
#include "segment/entry.hpp"

namespace varve::internal {

// The sequences that live snapshots, snapshot scans and grouped reads read at, so that merges keep
// what they need.
//
// A reader that takes the present moment must not lose it to a merge that begins meanwhile, and
// takes no lock. It marks a slot as pending, loads the published sequence, and stores it there. A
// merge first waits until all its input is published, then reads the slots: either it sees the slot
// (pending ones are waited for: they last for two instructions), or, all of this being sequentially
// consistent, the reader loads its sequence later and hence reads at or above everything in the
// merge's input, of which every merge keeps the newest version.
//
// Thread-safety: any thread. Errors: std::bad_alloc from take().
class Snapshots {
 public:
  Snapshots() = default;
  Snapshots(const Snapshots&) = delete;
  Snapshots& operator=(const Snapshots&) = delete;
  ~Snapshots();

  // Registers what `source` has published now, and returns it.
  segment::Sequence take(const PublishedSequence& source);
  // Registers a sequence that the caller knows to be kept: an older snapshot's, or the last one of
  // an index that has no second thread.
  void add(segment::Sequence sequence);
  // Requires: taken or added, once for each removal.
  void remove(segment::Sequence sequence) noexcept;

  // The highest one; 0 when there is none: no write has sequence 0, so nothing need be kept for it.
  [[nodiscard]] segment::Sequence newest() const noexcept;
  // Ascending, without repetition.
  [[nodiscard]] std::vector<segment::Sequence> live() const;
  [[nodiscard]] std::uint32_t count() const noexcept {
    return count_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t memory_size() const noexcept;  // Bytes.
  // How long they have been there.
  struct Ages {
    std::chrono::nanoseconds oldest{0};
    std::uint32_t aged_count = 0;  // Older than the limit.
  };
  [[nodiscard]] Ages ages(std::chrono::nanoseconds limit) const noexcept;

 private:
  // What a slot holds: nothing, a reader that is about to store its sequence, or a sequence + 2.
  static constexpr std::uint64_t kFree = 0, kPending = 1, kBias = 2;
  struct Slot {
    std::atomic<std::uint64_t> held = kFree;
    std::atomic<std::int64_t> since = 0;  // Nanoseconds of the steady clock; for figures only.
  };
  static constexpr std::size_t kBlockSize = 62;
  struct Block {
    std::array<Slot, kBlockSize> slots{};
    std::atomic<Block*> next = nullptr;
  };
  [[nodiscard]] Slot& claim();
  template <typename Visit>
  void for_each(const Visit& visit) const;

  Block first_;
  std::atomic<std::uint32_t> count_ = 0;
};

}  // namespace varve::internal
