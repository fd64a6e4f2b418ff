// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "directory/check.hpp"
#include "segment/entry.hpp"
#include "segment/run_blocks.hpp"

namespace varve::segment {

// A position in a run. Keys are rebuilt in one buffer: the block's prefix stays in place, the head
// and the rest of each suffix are copied behind it. Values are views of the mapping, or of the
// block's buffer. Lifetime: the blocks must outlive it. Thread-safety: one thread.
class RunCursor final : public EntrySource {
 public:
  explicit RunCursor(const RunBlocks& blocks) noexcept : blocks_(blocks) {}

  void seek_to_first() override;
  void seek(std::string_view key) override {
    aim(choose_block(locate(key), key), key);
    arrive();
  }
  // The steps of seek(), for who moves several cursors: each fetches what the next one needs. To
  // the sparse index; to the block; to the entry; and there, without which the cursor is invalid.
  [[nodiscard]] std::size_t locate(std::string_view key) const noexcept {
    return blocks_.locate(key);
  }
  void approach(std::size_t leaf) const noexcept { blocks_.approach(leaf); }
  [[nodiscard]] std::size_t choose_block(std::size_t leaf, std::string_view key) const noexcept {
    const std::size_t block = blocks_.find_in(leaf, key);
    blocks_.prefetch(block);
    return block;
  }
  void aim(std::size_t block, std::string_view key);
  void arrive() {
    if (next_ == nullptr) return;
    show(next_);
    valid_ = true;
  }
  void next() override {
    VARVE_DCHECK(valid_);
    if (index_ + 1 < block_.entry_count()) [[likely]] {
      ++index_;
      show(next_);
    } else {
      next_block();
    }
  }
  // As in MergingSource; along the block, to entries without sequence.
  void go_straight(const StraightLimits& limits) noexcept;
  [[nodiscard]] bool next_straight() noexcept {
    const std::size_t index = index_ + 1;
    if (index >= block_.entry_count()) return false;
    const std::uint32_t head = block_.head(index);
    if (head >= straight_end_) return false;
    std::uint64_t suffix_size = 0, tag = 0;
    const char* const rest = load_varint(load_varint(next_, suffix_size), tag);
    if ((tag & (kSequenceTag | kTombstoneTag)) != 0) return false;
    const std::size_t size = rest_size(suffix_size);
    const std::string_view value(rest + size, static_cast<std::size_t>(tag >> kTagBits));
    char* const key = key_;
    const std::size_t key_size = prefix_size_ + static_cast<std::size_t>(suffix_size);
    char* const suffix = key + prefix_size_;
    if (size > kShortRestSize) [[unlikely]] {
      if (key_size > straight_key_size_max_) return false;
      copy_rest(rest, size);
    } else {
      std::memcpy(suffix + kHeadSize, rest, kShortRestSize);
    }
    store_head(suffix, head);
    index_ = index;
    next_ = value.data() + value.size();
    entry_.key = {key, key_size};
    entry_.value = value;
    return true;
  }
  void seek_to_last() override;
  void seek_before(std::string_view key) override;
  void prev() override;
  [[nodiscard]] bool values_are_stable() const noexcept override { return blocks_.mapped(); }

 private:
  static constexpr std::size_t kNoBlock = static_cast<std::size_t>(-1);
  // What follows the head of a key is, up to this size, copied by a copy of this very size, which
  // needs no call and no branch; beyond the key that reads the value, or the slack behind the
  // block.
  static constexpr std::size_t kShortRestSize = 32;
  static_assert(kShortRestSize <= kBlockSlack);
  static constexpr std::size_t kShortSuffixSize = kHeadSize + kShortRestSize;

  void next_block();
  void enter(std::size_t block);
  void show(const char* entry) {  // Requires: it is the entry at index_.
    BlockEntry loaded;
    next_ = load_entry(entry, loaded);
    char* const suffix = key_ + prefix_size_;
    store_head(suffix, block_.head(index_));
    if (loaded.rest.size() <= kShortRestSize) [[likely]] {
      std::memcpy(suffix + kHeadSize, loaded.rest.data(), kShortRestSize);
    } else {
      copy_long_rest(loaded.rest);
    }
    entry_.key = {key_, prefix_size_ + loaded.suffix_size};
    entry_.value = loaded.value;
    entry_.sequence = loaded.sequence;
    entry_.kind = loaded.kind;
  }
  void show_index(std::size_t index);
  [[nodiscard]] bool is_own(std::string_view key) const noexcept;  // A part of entry().key.
  void copy_long_rest(std::string_view rest);
  [[gnu::noinline]] void copy_rest(const char* rest, std::size_t size) noexcept;
  void grow_key(std::size_t capacity);

  const RunBlocks& blocks_;
  BlockView block_;
  std::size_t block_index_ = kNoBlock;     // Whose block_ is.
  std::size_t index_ = 0;                  // In the block.
  const char* next_ = nullptr;             // The entry after index_; after aim() that at index_.
  std::uint64_t straight_end_ = 0;         // next_straight() gives heads below it
  std::size_t straight_key_size_max_ = 0;  // and such keys.
  std::array<char, 128> inline_key_;
  char* key_ = inline_key_.data();  // The prefix, and room for a short rest at least.
  std::size_t key_capacity_ = sizeof inline_key_;
  std::size_t prefix_size_ = 0;
  std::unique_ptr<char[]> long_key_;  // key_, where it does not fit.
  std::string buffer_;                // The block, unless mapped.
};

}  // namespace varve::segment
