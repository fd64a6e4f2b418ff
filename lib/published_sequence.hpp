// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

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
// Invariant: published() never goes back; everything at or below it is in the deltas, and whoever
// loads it with acquire sees that.
// Thread-safety: any thread; reset() before there is a second one. Nobody holds a lock meanwhile,
// and a writer between its sequence and publish() waits for nobody, so await() always ends.
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
  void await_room(segment::Sequence first) const noexcept {
    if (first - published() <= kWindow) [[likely]]
      return;
    await(first - kWindow);
  }
  // The write that took [first, last] is in the deltas.
  void publish(segment::Sequence first, segment::Sequence last) noexcept;
  // Waits until `sequence` is published.
  void await(segment::Sequence sequence) const noexcept {
    if (published() < sequence) await_slow(sequence);
  }

 private:
  struct Slot {
    std::atomic<segment::Sequence> first = 0;
    std::atomic<segment::Sequence> last = 0;
  };
  void await_slow(segment::Sequence sequence) const noexcept;

  alignas(64) std::atomic<segment::Sequence> published_ = 0;
  alignas(64) std::array<Slot, kWindow> slots_;
};

}  // namespace varve::internal
