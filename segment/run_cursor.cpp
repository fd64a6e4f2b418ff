// SPDX-License-Identifier: Apache-2.0
#include "segment/run_cursor.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "directory/check.hpp"

namespace varve::segment {
namespace {

// What follows the head of a key is, up to this size, copied by a copy of this very size, which
// needs no call and no branch; beyond the key that reads the value, or the slack behind the block.
constexpr std::size_t kShortRestSize = 32;
static_assert(kShortRestSize <= kBlockSlack);
constexpr std::size_t kShortSuffixSize = kHeadSize + kShortRestSize;

}  // namespace

void RunCursor::enter(std::size_t block) {
  if (block == block_index_) return;
  valid_ = false;
  block_index_ = kNoBlock;  // Should the load throw.
  block_ = blocks_.load(block, buffer_);
  block_index_ = block;
  const std::string_view prefix = block_.prefix();
  prefix_size_ = prefix.size();
  if (prefix_size_ + kShortSuffixSize > key_capacity_) {
    const std::size_t capacity = std::max<std::size_t>(2 * (prefix_size_ + kShortSuffixSize), 256);
    key_ = std::make_unique<char[]>(capacity);
    key_capacity_ = capacity;
  }
  std::memcpy(key_.get(), prefix.data(), prefix.size());
}

void RunCursor::copy_long_rest(std::string_view rest) {
  const std::size_t begin = prefix_size_ + kHeadSize;
  if (begin + rest.size() > key_capacity_) {
    const std::size_t capacity = 2 * (begin + rest.size());
    auto larger = std::make_unique<char[]>(capacity);
    std::memcpy(larger.get(), key_.get(), begin);
    key_ = std::move(larger);
    key_capacity_ = capacity;
  }
  std::memcpy(key_.get() + begin, rest.data(), rest.size());
}

inline void RunCursor::show(const char* entry) {
  BlockEntry loaded;
  next_ = load_entry(entry, loaded);
  char* const suffix = key_.get() + prefix_size_;
  store_head(suffix, block_.head(index_));
  if (loaded.rest.size() <= kShortRestSize) [[likely]] {
    std::memcpy(suffix + kHeadSize, loaded.rest.data(), kShortRestSize);
  } else {
    copy_long_rest(loaded.rest);
  }
  entry_.key = {key_.get(), prefix_size_ + loaded.suffix_size};
  entry_.value = loaded.value;
  entry_.sequence = loaded.sequence;
  entry_.kind = loaded.kind;
}

void RunCursor::show_index(std::size_t index) {
  index_ = index;
  show(block_.entry(index));
  valid_ = true;
}

bool RunCursor::is_own(std::string_view key) const noexcept {
  return std::less_equal<>()(key_.get(), key.data()) &&
         std::less<>()(key.data(), key_.get() + key_capacity_);
}

void RunCursor::seek_to_first() {
  enter(0);
  show_index(0);
}

void RunCursor::seek_to_last() {
  enter(blocks_.count() - 1);
  show_index(block_.entry_count() - 1);
}

void RunCursor::seek(std::string_view key) {
  const std::size_t block = blocks_.find(key);
  if (block != block_index_ && is_own(key)) return seek(std::string(key));
  enter(block);
  const std::size_t index = block_.lower_bound(key, kSequenceMax);
  if (index < block_.entry_count()) {
    show_index(index);
  } else if (block + 1 < blocks_.count()) {
    // The key lies behind the block's last one and before the next separator.
    enter(block + 1);
    show_index(0);
  } else {
    valid_ = false;
  }
}

void RunCursor::seek_before(std::string_view key) {
  const std::size_t block = blocks_.find(key);
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

void RunCursor::next() {
  VARVE_DCHECK(valid_);
  if (index_ + 1 < block_.entry_count()) [[likely]] {
    ++index_;
    show(next_);
    return;
  }
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
