// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <string_view>
#include <utility>
#include <vector>

#include "segment/delta.hpp"
#include "segment/entry.hpp"
#include "segment/key_bytes.hpp"
#include "segment/run.hpp"
#include "segment/run_cursor.hpp"

namespace varve::segment {

// Cursors over deltas and runs, newest first, as one: keys ascending and, within a key, newest
// version first (a newer source's versions come before an older source's). prev() walks the exact
// reverse; entry() lives as EntrySource says.
//
// The number of sources is small (deltas and runs of one segment), so the next one is found by
// comparing all of them, by the first bytes of their keys; while one source stays ahead, a step
// costs a single comparison with the runner-up. The cursors lie inside this object as long as they
// fit: opening them allocates nothing. Lifetime: deltas and runs must outlive it, or its next
// clear(). Thread-safety: one thread. Errors: std::bad_alloc; moves throw Error{Corruption | Io},
// after which only clear() is allowed.
class MergingSource {
 public:
  MergingSource() : sources_(&arena_) {}
  MergingSource(const MergingSource&) = delete;
  MergingSource& operator=(const MergingSource&) = delete;
  ~MergingSource() { clear(); }

  // Adds a source that is older than those there. Seek afterwards. Errors: as Delta::fill().
  void add(const Delta& delta);
  void add(const Run& run);
  void clear() noexcept;  // Removes all sources.

  [[nodiscard]] std::size_t size() const noexcept { return sources_.size(); }  // Sources.
  [[nodiscard]] bool valid() const noexcept { return at_ != nullptr; }
  [[nodiscard]] const EntryView& entry() const noexcept { return at_->entry(); }
  // Which source entry() comes from, in the order of add(). Requires: valid().
  [[nodiscard]] std::size_t current() const noexcept { return current_; }
  [[nodiscard]] bool values_are_stable() const noexcept { return values_are_stable_; }

  void seek_to_first();
  void seek(std::string_view key);
  void seek_to_last();
  void seek_before(std::string_view key);
  void next() {  // Requires: valid().
    if (chosen_) {
      chosen_ = false;
      return;
    }
    Source& source = sources_[current_];
    source.straight = false;
    if (source.run != nullptr) {
      source.run->next();
    } else {
      source.cursor->next();
    }
    after_step<true>();
  }
  // Prepares for a scan that goes on from entry(): as long as the sources have nothing but values
  // that are seen, next_straight() is a step of its own, several times cheaper. `limits.end` must
  // last until the next seek. Requires: valid(), entry() is what readers at limits.at see of its
  // key; no range tombstones.
  void go_straight(const StraightLimits& limits) noexcept;
  // Goes on to the next key if that is a value, what readers at limits.at see of it, within the
  // limits, and each source that has to move for it stays in its block or leaf. False: next() has
  // to find out. Where sources are merged, `last` becomes a copy of entry().key, which may be gone
  // then. Touches no more than runs and deltas keep as long as they live. Requires: `last` has room
  // for keys of limits.key_size_max.
  [[nodiscard]] bool next_straight(SavedKey& last) noexcept {
    if (straight_run_ != nullptr) [[likely]]
      return straight_run_->next_straight();
    return straight_ && next_merged(last);
  }
  [[nodiscard]] bool goes_straight() const noexcept { return straight_; }
  void stop_straight() noexcept {
    straight_ = false;
    straight_run_ = nullptr;
  }
  void prev() {  // Requires: valid().
    Source& source = sources_[current_];
    source.straight = chosen_ = false;
    source.cursor->prev();
    after_step<false>();
  }

 private:
  // A delta's cursor and three of runs fit; a segment has rarely more layers.
  static constexpr std::size_t kInlineSize = 3072;
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Source {
    EntrySource* cursor;
    RunCursor* run;          // The same, if it is one: the compiler can then see through its calls.
    std::uint64_t head = 0;  // Of entry().key, if there is one.
    std::size_t place = 0;   // Where a seek goes on.
    bool straight = false;   // What it stands on is to be seen, and limits_ are known to it.
  };
  template <typename Cursor, typename From>
  [[nodiscard]] Cursor* make_cursor(const From& from);
  void choose_blocks(std::string_view key);
  template <bool Forward>
  void after_seek() noexcept;
  [[nodiscard]] bool prepare(Source& source) const noexcept;
  [[nodiscard]] static bool move_straight(Source& source) noexcept;
  [[nodiscard]] bool next_merged(SavedKey& last) noexcept;

  // Does source `a` come first in the direction of travel? Requires: both are valid. Equal keys:
  // the newer source (smaller index) first going forward, last going back.
  template <bool Forward>
  [[nodiscard]] bool before(std::size_t a, std::size_t b) const noexcept {
    const Source &x = sources_[a], &y = sources_[b];
    if (x.head != y.head) return Forward ? x.head < y.head : x.head > y.head;
    const int order = compare_keys(x.cursor->entry().key, y.cursor->entry().key);
    if (order != 0) return Forward ? order < 0 : order > 0;
    return Forward ? a < b : a > b;
  }
  template <bool Forward>
  void after_step() noexcept {
    if (!at_->valid()) return select<Forward>();
    sources_[current_].head = key_head8(at_->entry().key);
    if (runner_up_ != kNone && before<Forward>(runner_up_, current_)) {
      overtake<Forward>();
    }
  }
  template <bool Forward>
  void overtake() noexcept {  // The runner-up comes first now.
    if (sources_.size() != 2) return select<Forward>();
    std::swap(current_, runner_up_);
    at_ = sources_[current_].cursor;
  }
  template <bool Forward>
  void select() noexcept;

  alignas(std::max_align_t) std::array<std::byte, kInlineSize> memory_;
  std::pmr::monotonic_buffer_resource arena_{memory_.data(), memory_.size()};
  std::pmr::vector<Source> sources_;
  const EntrySource* at_ = nullptr;  // Of current_; null when there is none.
  StraightLimits limits_;
  bool straight_ = false;              // next_straight() may move the cursor of current_,
  RunCursor* straight_run_ = nullptr;  // and it is this, if it is a run's and the only one.
  bool chosen_ = false;                // next() has been done but for the choice's examination.
  std::size_t current_ = kNone;
  std::size_t runner_up_ = kNone;
  bool values_are_stable_ = true;
};

}  // namespace varve::segment
