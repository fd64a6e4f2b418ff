// SPDX-License-Identifier: Apache-2.0
#include "segment/run_cursor.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "directory/check.hpp"
#include "directory/mutant.hpp"

namespace varve::segment {
void RunCursor::enter(std::size_t block) {
  if (block == block_index_) return;
  valid_ = false;
  block_index_ = kNoBlock;  // Should the load throw.
  block_ = blocks_.load(block, buffer_);
  block_index_ = block;
  const std::string_view prefix = block_.prefix();
  prefix_size_ = prefix.size();
  if (prefix_size_ + kShortSuffixSize > key_capacity_) {
    grow_key(2 * (prefix_size_ + kShortSuffixSize));
  }
  std::memcpy(key_, prefix.data(), prefix.size());
}

void RunCursor::grow_key(std::size_t capacity) {
  auto larger = std::make_unique<char[]>(capacity);
  std::memcpy(larger.get(), key_, key_capacity_);
  long_key_ = std::move(larger);
  key_ = long_key_.get();
  key_capacity_ = capacity;
}

void RunCursor::copy_long_rest(std::string_view rest) {
  const std::size_t begin = prefix_size_ + kHeadSize;
  if (begin + rest.size() > key_capacity_) grow_key(2 * (begin + rest.size()));
  copy_rest(rest.data(), rest.size());
}

void RunCursor::copy_rest(const char* rest, std::size_t size) noexcept {
  std::memcpy(key_ + prefix_size_ + kHeadSize, rest, size);
}

void RunCursor::show_index(std::size_t index) {
  index_ = index;
  show(block_.entry(index));
  valid_ = true;
}

bool RunCursor::is_own(std::string_view key) const noexcept {
  return std::less_equal<>()(key_, key.data()) && std::less<>()(key.data(), key_ + key_capacity_);
}

void RunCursor::seek_to_first() {
  enter(0);
  show_index(0);
}

void RunCursor::seek_to_last() {
  enter(blocks_.count() - 1);
  show_index(block_.entry_count() - 1);
}

void RunCursor::aim(std::size_t block, std::string_view key) {
  if (block != block_index_ && is_own(key)) return aim(block, std::string(key));
  enter(block);
  valid_ = false;
  next_ = nullptr;
  index_ = block_.lower_bound(key, kSequenceMax);
  if (index_ == block_.entry_count()) {
    // The key lies behind the block's last one and before the next separator.
    if (block + 1 == blocks_.count()) return;
    enter(block + 1);
    index_ = 0;
  }
  next_ = block_.entry(index_);
  __builtin_prefetch(next_);
  __builtin_prefetch(next_ + 64);
}

void RunCursor::seek_before(std::string_view key) {
  const std::size_t block = choose_block(locate(key), key);
  if (block != block_index_ && is_own(key)) return seek_before(std::string(key));
  enter(block);
  const std::size_t index = block_.lower_bound(key, kSequenceMax);
  if (index > 0) {
    show_index(index - 1);
  } else if (block > 0) {
    enter(block - 1);
    show_index(block_.entry_count() - 1);
  } else {
    valid_ = false;
  }
}

// All keys of the block have its prefix, so that heads are all that must be compared with the end.
// Equal heads leave the order open: then it is up to next().
void RunCursor::go_straight(const StraightLimits& limits) noexcept {
  constexpr std::uint64_t kAboveAllHeads = std::uint64_t{1} << 32;
  straight_key_size_max_ = std::min(limits.key_size_max, key_capacity_);
  straight_end_ = prefix_size_ + kShortSuffixSize <= straight_key_size_max_ ? kAboveAllHeads : 0;
  if (limits.end.empty() || VARVE_MUTANT("scan.straight_past_end")) return;
  const int order = limits.end.substr(0, prefix_size_).compare(block_.prefix());
  if (order == 0) {
    straight_end_ =
        std::min<std::uint64_t>(straight_end_, key_head(limits.end.substr(prefix_size_)));
  } else if (order < 0) {
    straight_end_ = 0;
  }
}

void RunCursor::next_block() {
  if (block_index_ + 1 < blocks_.count()) {
    enter(block_index_ + 1);
    show_index(0);
  } else {
    valid_ = false;
  }
}

void RunCursor::prev() {
  VARVE_DCHECK(valid_);
  if (index_ > 0) {
    show_index(index_ - 1);
  } else if (block_index_ > 0) {
    enter(block_index_ - 1);
    show_index(block_.entry_count() - 1);
  } else {
    valid_ = false;
  }
}

}  // namespace varve::segment
