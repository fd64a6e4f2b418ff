// SPDX-License-Identifier: Apache-2.0
#include "segment/merge.hpp"

#include <utility>

namespace varve::segment {

MergingSource::MergingSource(std::vector<std::unique_ptr<EntrySource>> newest_first)
    : sources_(std::move(newest_first)) {
  for (const auto& source : sources_) {
    values_are_stable_ = values_are_stable_ && source->values_are_stable();
  }
}

void MergingSource::seek_to_first() {
  for (const auto& source : sources_) source->seek_to_first();
  select<true>();
}

void MergingSource::seek(std::string_view key) {
  for (const auto& source : sources_) source->seek(key);
  select<true>();
}

void MergingSource::seek_to_last() {
  for (const auto& source : sources_) source->seek_to_last();
  select<false>();
}

void MergingSource::seek_before(std::string_view key) {
  for (const auto& source : sources_) source->seek_before(key);
  select<false>();
}

void MergingSource::next() {
  sources_[current_]->next();
  after_step<true>();
}

void MergingSource::prev() {
  sources_[current_]->prev();
  after_step<false>();
}

// Of two valid sources: does `a` come first in the direction of travel? Equal keys: the newer
// source (smaller index) first going forward, last going back.
template <bool Forward>
bool MergingSource::before(std::size_t a, std::size_t b) const noexcept {
  const int order = sources_[a]->entry().key.compare(sources_[b]->entry().key);
  if (order != 0) return Forward ? order < 0 : order > 0;
  return Forward ? a < b : a > b;
}

template <bool Forward>
void MergingSource::select() noexcept {
  current_ = kNone;
  runner_up_ = kNone;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i]->valid()) continue;
    if (current_ == kNone || before<Forward>(i, current_)) {
      runner_up_ = current_;
      current_ = i;
    } else if (runner_up_ == kNone || before<Forward>(i, runner_up_)) {
      runner_up_ = i;
    }
  }
  show(current_);
}

template <bool Forward>
void MergingSource::after_step() noexcept {
  const bool still_first =
      sources_[current_]->valid() && (runner_up_ == kNone || before<Forward>(current_, runner_up_));
  if (still_first) {
    entry_ = sources_[current_]->entry();
    return;
  }
  select<Forward>();
}

void MergingSource::show(std::size_t index) noexcept {
  valid_ = index != kNone;
  if (valid_) entry_ = sources_[index]->entry();
}

}  // namespace varve::segment
