// SPDX-License-Identifier: Apache-2.0
#include "lib/engine_cursor.hpp"

#include <algorithm>
#include <utility>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "varve/concurrent/thread_number.hpp"
#include "varve/error.hpp"
#include "varve/segment_index.hpp"

namespace varve::internal {

namespace {

// Cuts a range down to a window of the segments that overlap it.
void apply_window(ScanRange& range, const SegmentWindow& window, const RouteMap& routes) {
  if (range.empty) return;
  const std::size_t first = routes.index_of(range.from);
  std::size_t end = routes.size();
  if (!range.to.empty()) {
    const std::size_t last = routes.index_of(range.to);
    end = routes.at(last)->lower() == range.to && last > first ? last : last + 1;
  }
  const std::size_t count = end - first;
  const std::size_t skipped = std::min(window.offset, count);
  const std::size_t taken = std::min(window.limit, count - skipped);
  if (taken == 0) {
    range.empty = true;
    return;
  }
  if (skipped > 0) range.from = routes.at(first + skipped)->lower();
  lower_end(range.to, routes.at(first + skipped + taken - 1)->upper());
}

}  // namespace

EngineCursor::EngineCursor(Core& core, const ScanOptions& options)
    : core_(core),
      isolation_(options.isolation),
      range_(scan_range(options, core.manifest()->uuid)),
      limit_(options.limit),
      left_(options.limit) {
  if (options.snapshot != nullptr && isolation_ != Isolation::Snapshot) {
    throw Error(ErrorCode::InvalidArgument, "a scan of a snapshot must have Isolation::Snapshot");
  }
  apply_window(range_, options.window, core.routes());
  position_ = range_.reverse ? range_.to : range_.from;
  if (options.snapshot != nullptr) {
    at_ = options.snapshot->sequence();
    owns_snapshot_ = !VARVE_MUTANT("scan.snapshot_not_held");
    if (owns_snapshot_) core.snapshots.add(at_);
  } else if (isolation_ == Isolation::Snapshot) {
    at_ = core.take_snapshot();
    owns_snapshot_ = true;
  }
  if (isolation_ == Isolation::Exclusive) ++core.exclusive_scans;
}

EngineCursor::~EngineCursor() {
  end_visit();
  if (owns_snapshot_) core_.snapshots.remove(at_);
  if (isolation_ == Isolation::Exclusive) --core_.exclusive_scans;
}

bool EngineCursor::invalidated() const noexcept {
  return isolation_ == Isolation::FailFast && version_ && !version_->still_valid();
}

bool EngineCursor::stopped() {
  if (end_ == ScanEnd::Invalidated) {
    throw Error(ErrorCode::Invalidated,
                "the scan was ended by a write to the segment that it was in; begin it again, "
                "or take its resume token");
  }
  if (end_ != ScanEnd::None) return false;
  if (invalidated()) {
    end_ = ScanEnd::Invalidated;
  } else if (left_ == 0) {
    end_ = ScanEnd::Limit;
  } else {
    std::rethrow_exception(failure_);
  }
  return false;
}

bool EngineCursor::step(Entry& entry) {
  if (end_ != ScanEnd::None || left_ == 0 || failure_ != nullptr || invalidated()) [[unlikely]]
    return stopped();
  try {
    return find_next(entry);
  } catch (...) {
    // The sources stand in the middle of a move: going on could skip entries.
    failure_ = std::current_exception();
    leave_segment();
    throw;
  }
}

void EngineCursor::seek(std::string_view key) {
  if (end_ == ScanEnd::Invalidated) return;
  if (!whole_) whole_ = range_;
  if (!range_.reverse) {
    range_.from = std::max<std::string_view>(whole_->from, key);
    position_ = range_.from;
  } else {
    range_.to = key;
    range_.to += '\0';  // The smallest key behind it: our ends are exclusive.
    lower_end(range_.to, whole_->to);
    position_ = range_.to;
  }
  range_.empty = whole_->empty || (!range_.to.empty() && range_.from >= range_.to);
  given_before_ += limit_ - left_;
  left_ = limit_;
  end_ = ScanEnd::None;
  failure_ = nullptr;
  source_.stop_straight();
  given_ = given_in_segment_ = deciding_ = in_segment_ = false;
  at_start_ = true;
  version_.reset();
}

bool EngineCursor::find_next(Entry& entry) {
  while (true) {
    const bool found = in_segment_ && (range_.reverse ? step_backward(entry) : step_forward(entry));
    if (found) {
      --left_;
      return true;
    }
    if (!enter_segment()) {
      end_ = ScanEnd::End;
      leave_segment();
      return false;
    }
  }
}

// What a snapshot shows does not change, and so a seek need not leave its segment; but where there
// is a newer view it has fewer layers, as a rule, and the old one keeps files and memory.
bool EngineCursor::still_in_segment() const noexcept {
  if (source_.size() == 0 || isolation_ != Isolation::Snapshot) return false;
  if (segment_->retired() || &segment_->view() != &*view_) return false;
  if (!range_.reverse) return segment_->owns(position_);
  const std::string& upper = segment_->upper();
  return position_.empty() ? upper.empty()
                           : position_ > segment_->lower() && (upper.empty() || position_ <= upper);
}

// One visit of sixteen is noted, by chance, for all: what scans share is written to that rarely.
void EngineCursor::end_visit() noexcept {
  constexpr unsigned kSampleBits = 4;
  if (!std::exchange(visiting_, false) || VARVE_MUTANT("scan.cost_not_noted")) return;
  if (concurrent::thread_random() >> (64 - kSampleBits) != 0) return;
  segment_->note_read(static_cast<std::uint32_t>(view_->runs.size()));
  if (view_->note_scan(given_count() - given_before_visit_, std::uint64_t{1} << kSampleBits)) {
    core_.reads_may_want_merge.store(true, std::memory_order_relaxed);
  }
}

// `position_` is where the previous segment ended, by key and not by ordinal: a split or a merge
// since then does not matter.
bool EngineCursor::enter_segment() {
  end_visit();
  if (range_.empty) return false;
  if (at_start_ && still_in_segment()) return start_in_segment();
  const RouteMap& routes = core_.routes();
  std::size_t index = 0;
  if (!range_.reverse) {
    if (!at_start_ && (position_.empty() || (!range_.to.empty() && position_ >= range_.to))) {
      return false;
    }
    index = routes.index_of(position_);
  } else {
    if (!at_start_ && (position_.empty() || position_ <= range_.from)) return false;
    index = position_.empty() ? routes.size() - 1 : routes.index_of(position_);
    // The end is exclusive: a segment that begins there is not in the range.
    if (!position_.empty() && index > 0 && routes.at(index)->lower() == position_) --index;
  }
  // position_ may be its upper or lower end.
  const std::shared_ptr<segment::Segment> previous = std::exchange(segment_, routes.at(index));
  version_.emplace(segment_->version());
  // Whatever becomes visible from here on has moved the version first.
  if (isolation_ != Isolation::Snapshot) at_ = core_.visible_sequence();
  leave_segment();  // Before the view that it reads is let go.
  view_ = segment::ViewRef(segment_->view());
  open_layers();
  return start_in_segment();
}

bool EngineCursor::start_in_segment() {
  visiting_ = true;
  given_before_visit_ = given_count();
  if (!range_.reverse) {
    source_.seek(
        std::max<std::string_view>(at_start_ ? range_.from : position_, segment_->lower()));
    position_ = segment_->upper();
    stop_ = segment_->upper();
    if (!range_.to.empty() && (stop_.empty() || range_.to < stop_)) stop_ = range_.to;
  } else {
    std::string_view end = segment_->upper();
    lower_end(end, at_start_ ? range_.to : position_);
    if (end.empty()) {
      source_.seek_to_last();
    } else {
      source_.seek_before(end);
    }
    position_ = segment_->lower();
  }
  at_start_ = false;
  given_in_segment_ = false;
  in_segment_ = true;
  return true;
}

void EngineCursor::open_layers() {
  if (!view_->active->empty()) source_.add(*view_->active);
  for (const auto& delta : view_->frozen) {
    if (!delta->empty()) source_.add(*delta);
  }
  first_run_ = source_.size();
  for (const segment::RunLayer& layer : view_->runs) source_.add(*layer.run);
  may_go_straight_ =
      !range_.reverse && isolation_ != Isolation::FailFast && view_->range_tombstones.empty();
}

void EngineCursor::leave_segment() noexcept {
  source_.clear();
  in_segment_ = false;
}

bool EngineCursor::range_erased(const segment::EntryView& entry,
                                std::size_t source) const noexcept {
  Sequence effective = entry.sequence;
  if (effective == 0 && source >= first_run_) {
    effective = view_->runs[source - first_run_].record.last_sequence;
  }
  return effective < view_->range_erased_at(entry.key, at_);
}

void EngineCursor::go_straight() noexcept {
  // What step_straight() and leave_straight() copy must not fail: where the scan was would be
  // forgotten.
  if (may_go_straight_) {
    source_.go_straight({.end = stop_, .at = at_, .key_size_max = key_.capacity()});
  }
}

void EngineCursor::leave_straight() noexcept {
  if (!source_.goes_straight()) return;
  if (!VARVE_MUTANT("scan.straight_place_forgotten")) key_.assign(source_.entry().key);
  source_.stop_straight();
}

bool EngineCursor::step_forward(Entry& entry) {
  segment::MergingSource& source = source_;
  leave_straight();
  // The source stands on the entry given last, or on the first one of the segment.
  if (given_in_segment_) source.next();
  while (source.valid()) {
    const segment::EntryView& candidate = source.entry();
    if (given_in_segment_ &&
        segment::equal_keys(candidate.key, key_.view())) {  // An older version of what was decided.
      source.next();
      continue;
    }
    if (candidate.sequence > at_) {
      source.next();
      continue;
    }
    const int end_order = VARVE_MUTANT("scan.end_included") ? 1 : 0;
    if (!stop_.empty() && segment::compare_keys(candidate.key, stop_) >= end_order) return false;
    key_.assign(candidate.key);
    given_in_segment_ = true;
    given_ = true;
    if (!hidden(candidate, source.current())) {
      entry = {candidate.key, candidate.value};
      go_straight();
      return true;
    }
    source.next();
  }
  return false;
}

// Going back, a key's versions come oldest first: the last one that the scan may see decides.
bool EngineCursor::step_backward(Entry& entry) {
  segment::MergingSource& source = source_;
  while (source.valid()) {
    if (source.entry().key < range_.from || source.entry().key < segment_->lower()) return false;
    key_.assign(source.entry().key);
    given_ = true;
    deciding_ = true;
    bool visible = false;
    std::string_view value;
    while (source.valid() && segment::equal_keys(source.entry().key, key_.view())) {
      const segment::EntryView& candidate = source.entry();
      if (candidate.sequence <= at_) {
        visible = !hidden(candidate, source.current());
        if (visible && source.values_are_stable()) {
          value = candidate.value;
        } else if (visible) {
          value_.assign(candidate.value);
          value = value_;
        }
      }
      source.prev();
    }
    deciding_ = false;
    if (visible) {
      entry = {key_.view(), value};
      return true;
    }
  }
  return false;
}

std::string EngineCursor::resume_token() const {
  ScanRange rest = range_;
  if (end_ == ScanEnd::End) {
    rest.empty = true;
  } else if (given_ && range_.reverse) {
    rest.to = last_key();
    if (deciding_) rest.to += '\0';
  } else if (given_) {
    rest.from = last_key();
    if (!VARVE_MUTANT("scan.resumed_at_same_key")) rest.from += '\0';
  }
  if (!rest.to.empty() && rest.from >= rest.to) rest.empty = true;
  return encode_resume_token(rest, core_.manifest()->uuid);
}

}  // namespace varve::internal
