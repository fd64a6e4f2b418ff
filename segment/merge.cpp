// SPDX-License-Identifier: Apache-2.0
#include "segment/merge.hpp"

#include <algorithm>
#include <new>

#include "directory/mutant.hpp"
#include "segment/delta_cursor.hpp"
#include "segment/run_blocks.hpp"

namespace varve::segment {

using delta_detail::DeltaCursor;

template <typename Cursor, typename From>
Cursor* MergingSource::make_cursor(const From& from) {
  constexpr std::size_t kSourcesMin = 8;
  if (sources_.size() == sources_.capacity()) {
    sources_.reserve(std::max(kSourcesMin, 2 * sources_.size()));
  }
  return new (arena_.allocate(sizeof(Cursor), alignof(Cursor))) Cursor(from);
}

void MergingSource::add(const Delta& delta) {
  auto* const cursor = make_cursor<DeltaCursor>(delta);
  sources_.push_back({.cursor = cursor, .run = nullptr});
}

void MergingSource::add(const Run& run) {
  auto* const cursor = make_cursor<RunCursor>(run.blocks());
  sources_.push_back({.cursor = cursor, .run = cursor});
  values_are_stable_ = values_are_stable_ && cursor->values_are_stable();
}

void MergingSource::clear() noexcept {
  for (const Source& source : sources_) source.cursor->~EntrySource();
  sources_ = std::pmr::vector<Source>(&arena_);
  arena_.release();
  at_ = nullptr;
  stop_straight();
  current_ = runner_up_ = kNone;
  values_are_stable_ = true;
}

void MergingSource::seek_to_first() {
  for (const Source& source : sources_) source.cursor->seek_to_first();
  select<true>();
}

void MergingSource::seek_to_last() {
  for (const Source& source : sources_) source.cursor->seek_to_last();
  select<false>();
}

// What each run needs next is asked for before the first of them waits: then the number of runs
// hardly shows in a seek.
void MergingSource::choose_blocks(std::string_view key) {
  for (Source& source : sources_) {
    if (source.run != nullptr) source.place = source.run->locate(key);
  }
  for (Source& source : sources_) {
    if (source.run != nullptr) source.place = source.run->choose_block(source.place, key);
  }
}

void MergingSource::seek(std::string_view key) {
  choose_blocks(key);
  for (const Source& source : sources_) {
    if (source.run != nullptr) {
      source.run->aim(source.place, key);
    } else {
      source.cursor->seek(key);
    }
  }
  for (const Source& source : sources_) {
    if (source.run != nullptr) source.run->arrive();
  }
  select<true>();
}

void MergingSource::seek_before(std::string_view key) {
  choose_blocks(key);
  for (const Source& source : sources_) source.cursor->seek_before(key);
  select<false>();
}

// A run has a sequence for whatever some reader may not see, so 0 also says that no older version
// of the key follows in it.
void MergingSource::go_straight(StraightLimits limits) noexcept {
  const Source& source = sources_[current_];
  if (source.run != nullptr && entry().sequence != 0 &&
      !VARVE_MUTANT("scan.straight_to_older_version")) {
    return;
  }
  if (runner_up_ != kNone && !VARVE_MUTANT("scan.straight_past_others")) {
    const std::string_view next = sources_[runner_up_].cursor->entry().key;
    if (limits.end.empty() || compare_keys(next, limits.end) < 0) limits.end = next;
  }
  if (source.run != nullptr) {
    source.run->go_straight(limits);
  } else {
    static_cast<DeltaCursor*>(source.cursor)->go_straight(limits);
  }
  straight_ = true;
  straight_run_ = source.run;
}

bool MergingSource::next_in_delta() noexcept {
  return static_cast<DeltaCursor*>(sources_[current_].cursor)->next_straight();
}

template <bool Forward>
void MergingSource::select() noexcept {
  current_ = kNone;
  runner_up_ = kNone;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i].cursor->valid()) continue;
    if (current_ == kNone || before<Forward>(i, current_)) {
      runner_up_ = current_;
      current_ = i;
    } else if (runner_up_ == kNone || before<Forward>(i, runner_up_)) {
      runner_up_ = i;
    }
  }
  at_ = current_ == kNone ? nullptr : sources_[current_].cursor;
}

}  // namespace varve::segment
