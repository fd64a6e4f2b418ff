// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/core.hpp"
#include "lib/scan_range.hpp"
#include "segment/key_bytes.hpp"
#include "segment/merge.hpp"
#include "segment/version.hpp"
#include "segment/view.hpp"
#include "varve/scan.hpp"

namespace varve::internal {

// Walks segment by segment over a merged view of each. Holds one segment's view at a time, so that
// a long scan keeps little alive; with snapshot isolation all of them are read at one sequence.
// Thread-safety: one thread at a time; any thread may write meanwhile where the core allows it, and
// then the constructor and step() must be called under an epoch pin (not step_straight()).
class EngineCursor {
 public:
  EngineCursor(Core& core, const ScanOptions& options);
  EngineCursor(const EngineCursor&) = delete;
  EngineCursor& operator=(const EngineCursor&) = delete;
  ~EngineCursor();

  bool step(Entry& entry);
  // A step that finds nothing but values to be given, and has no block or leaf to load. False:
  // step() has to do it. Needs no pin: it touches only what the view of the segment holds.
  [[nodiscard]] bool step_straight(Entry& entry) noexcept {
    if (left_ == 0 || !source_.next_straight(key_)) return false;
    --left_;
    entry = {source_.entry().key, source_.entry().value};
    return true;
  }
  // As Cursor::seek(). Only remembers the place: needs no pin.
  void seek(std::string_view key);
  [[nodiscard]] ScanEnd end() const noexcept { return end_; }
  [[nodiscard]] std::string resume_token() const;
  [[nodiscard]] std::uint64_t given_count() const noexcept {  // Entries.
    return given_before_ + (limit_ - left_);
  }

 private:
  bool stopped();  // Of a scan that gives nothing, or nothing at present: false, or what it throws.
  bool find_next(Entry& entry);
  [[nodiscard]] bool still_in_segment() const noexcept;  // Is position_ where we are?
  void end_visit() noexcept;                             // Of the present segment, if there is one.
  bool enter_segment();     // At the range's next segment; false: the range is exhausted.
  bool start_in_segment();  // At position_. True.
  bool step_forward(Entry& entry);
  bool step_backward(Entry& entry);
  void go_straight() noexcept;
  void leave_straight() noexcept;
  // The last key looked at: all before it is dealt with. Requires: given_.
  [[nodiscard]] std::string_view last_key() const noexcept {
    return source_.goes_straight() ? source_.entry().key : key_.view();
  }
  void open_layers();
  void leave_segment() noexcept;
  [[nodiscard]] bool hidden(const segment::EntryView& entry, std::size_t source) const noexcept {
    if (entry.kind == segment::Kind::Tombstone) return true;
    return !view_->range_tombstones.empty() && range_erased(entry, source);
  }
  [[nodiscard]] bool range_erased(const segment::EntryView& entry,
                                  std::size_t source) const noexcept;
  [[nodiscard]] bool invalidated() const noexcept;

  Core& core_;
  const Isolation isolation_;
  ScanRange range_;                 // Since the last seek.
  std::optional<ScanRange> whole_;  // The scan's, once there was a seek.
  const std::uint64_t limit_;       // Entries.
  std::uint64_t left_;              // Entries until the limit.
  std::uint64_t given_before_ = 0;  // Entries before the last seek.
  Sequence at_ = segment::kSequenceMax;
  bool owns_snapshot_ = false;
  ScanEnd end_ = ScanEnd::None;
  std::exception_ptr failure_;     // What a step threw; every later one throws it again.
  bool given_ = false;             // key_ is set.
  bool given_in_segment_ = false;  // And belongs to the present segment.
  bool deciding_ = false;          // Reverse: a step was cut off before it had dealt with key_.
  segment::SavedKey key_;          // See last_key(): behind, while the source goes straight.
  std::string value_;              // Copy of a value whose source has moved on.

  // The present segment.
  std::shared_ptr<segment::Segment> segment_;
  segment::ViewRef view_;
  std::optional<segment::OptimisticLock> version_;
  segment::MergingSource source_;         // No layers: none entered yet, or it is left.
  std::size_t first_run_ = 0;             // Among the sources; those before are deltas.
  bool may_go_straight_ = false;          // In this segment.
  bool visiting_ = false;                 // From a seek in it on,
  std::uint64_t given_before_visit_ = 0;  // and how many entries were given before.
  bool in_segment_ = false;
  std::string_view stop_;  // Forward: where range or segment end, whichever is first. Empty: never.
  // Forward: where the next segment begins. Reverse: its exclusive end. Of range_ or of segment_.
  std::string_view position_;
  bool at_start_ = true;  // No segment entered yet.
};

}  // namespace varve::internal
