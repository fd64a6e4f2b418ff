// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "segment/entry.hpp"

namespace varve::internal {

// The highest sequence below which every write can be read: what a reader beside writers reads at.
//
// Sequences are handed out in order, but writers of different segments finish in any order. Each
// one marks its sequences as done in a ring; whoever completes the lowest unfinished one moves the
// published sequence on over all that are done behind it.
//
//   published()      handed out last
//       |  done  open  done  |
//   ----+---------------------+---> sequence
//
// A writer does so in two halves, with a full memory barrier between them that it has anyway, the
// release of its locks: mark_done() stores, move_on() looks at what the others have stored. Of two
// that finish at the same time, at least one then sees both.
//
// Invariant: published() never goes back; everything at or below it is in the deltas, and whoever
// loads it with acquire sees that.
// Thread-safety: any thread; reset() before there is a second one. Nobody holds a lock meanwhile,
// and a writer between its sequence and move_on() waits for nobody, so await() always ends.
class PublishedSequence {
 public:
  // How far the sequences handed out may be ahead of the published one.
  static constexpr std::size_t kWindow = 1024;

  void reset(segment::Sequence sequence) noexcept {
    published_.store(sequence, std::memory_order_relaxed);
  }
  [[nodiscard]] segment::Sequence published() const noexcept {
    return published_.load(std::memory_order_seq_cst);  // A plain load on x86; see Snapshots.
  }
  // Waits until a write that begins at `first` may be handed out. Requires: whoever hands out calls
  // it before the next sequence is handed out.
  void await_room(segment::Sequence first) noexcept {
    if (first - published() <= kWindow) [[likely]]
      return;
    await(first - kWindow);
  }
  // The write that took [first, last] is in the deltas. Must be followed by a full memory barrier
  // and move_on().
  void mark_done(segment::Sequence first, segment::Sequence last) noexcept;
  // Publishes what is done, and wakes those who wait for it.
  void move_on() noexcept;
  // Waits until `sequence` is published.
  void await(segment::Sequence sequence) noexcept {
    if (published() < sequence) await_slow(sequence);
  }

 private:
  struct Slot {
    std::atomic<segment::Sequence> first = 0;
    std::atomic<segment::Sequence> last = 0;
  };
  void advance() noexcept;
  void await_slow(segment::Sequence sequence) noexcept;

  alignas(64) std::atomic<segment::Sequence> published_ = 0;
  std::atomic<std::uint32_t> sleeper_count_ = 0;  // Threads that wait for published_ to move.
  alignas(64) std::array<Slot, kWindow> slots_;
};

}  // namespace varve::internal
