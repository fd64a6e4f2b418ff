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
  delta.fill();
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
  chosen_ = false;
  stop_straight();
  current_ = runner_up_ = kNone;
  values_are_stable_ = true;
}

void MergingSource::seek_to_first() {
  for (const Source& source : sources_) source.cursor->seek_to_first();
  after_seek<true>();
}

void MergingSource::seek_to_last() {
  for (const Source& source : sources_) source.cursor->seek_to_last();
  after_seek<false>();
}

// What each run needs next is asked for before the first of them waits: then the number of runs
// hardly shows in a seek.
void MergingSource::choose_blocks(std::string_view key) {
  for (Source& source : sources_) {
    if (source.run != nullptr) source.place = source.run->locate(key);
  }
  // The main run's, the largest by far, where the translation of an address is seldom near.
  if (!sources_.empty() && sources_.back().run != nullptr) {
    sources_.back().run->approach(sources_.back().place);
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
  after_seek<true>();
}

void MergingSource::seek_before(std::string_view key) {
  choose_blocks(key);
  for (const Source& source : sources_) source.cursor->seek_before(key);
  after_seek<false>();
}

template <bool Forward>
void MergingSource::after_seek() noexcept {
  stop_straight();
  chosen_ = false;
  for (Source& source : sources_) {
    source.straight = false;
    if (source.cursor->valid()) source.head = key_head8(source.cursor->entry().key);
  }
  select<Forward>();
}

void MergingSource::go_straight(const StraightLimits& limits) noexcept {
  limits_ = limits;
  Source& source = sources_[current_];
  straight_ = source.straight || prepare(source);
  straight_run_ = straight_ && runner_up_ == kNone ? source.run : nullptr;
}

// Whether what the source stands on is seen, and nothing else of its key is in the source: then its
// next step may be straight. A run has a sequence for whatever some reader may not see, so 0 also
// says that no older version of the key follows in it.
bool MergingSource::prepare(Source& source) const noexcept {
  const EntryView& entry = source.cursor->entry();
  const Sequence at = source.run != nullptr ? 0 : limits_.at;
  if (entry.sequence > at && !VARVE_MUTANT("scan.straight_to_older_version")) return false;
  if (entry.kind != Kind::Value && !VARVE_MUTANT("scan.straight_to_erasure")) return false;
  if (entry.key.size() > limits_.key_size_max) return false;
  if (!limits_.end.empty() && compare_keys(entry.key, limits_.end) >= 0) return false;
  if (source.run != nullptr) {
    source.run->go_straight(limits_);
  } else {
    static_cast<DeltaCursor*>(source.cursor)->go_straight(limits_);
  }
  source.straight = true;
  return true;
}

bool MergingSource::move_straight(Source& source) noexcept {
  const bool moved = source.run != nullptr
                         ? source.run->next_straight()
                         : static_cast<DeltaCursor*>(source.cursor)->next_straight();
  if (moved) source.head = key_head8(source.cursor->entry().key);
  return moved;
}

bool MergingSource::next_merged(SavedKey& last) noexcept {
  if (runner_up_ != kNone) last.assign(entry().key);
  while (move_straight(sources_[current_])) {
    straight_ = true;
    chosen_ = false;
    if (runner_up_ == kNone || sources_[current_].head < sources_[runner_up_].head ||
        VARVE_MUTANT("scan.straight_past_others")) {
      return true;
    }
    select<true>();
    Source& next = sources_[current_];
    const bool seen = next.straight || prepare(next);
    if (seen && (!equal_keys(next.cursor->entry().key, last.view()) ||
                 VARVE_MUTANT("scan.straight_to_same_key"))) {
      return true;
    }
    straight_ = false;
    chosen_ = !VARVE_MUTANT("scan.straight_choice_forgotten");
    if (!seen) return false;
    // An older version of what was given last: on behind it.
  }
  return false;
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

template void MergingSource::select<true>() noexcept;
template void MergingSource::select<false>() noexcept;

}  // namespace varve::segment
