// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

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
  void seek(std::string_view key) override;
  void next() override;
  void seek_to_last() override;
  void seek_before(std::string_view key) override;
  void prev() override;
  [[nodiscard]] bool values_are_stable() const noexcept override { return blocks_.mapped(); }

 private:
  static constexpr std::size_t kNoBlock = static_cast<std::size_t>(-1);
  void enter(std::size_t block);
  void show(const char* entry);  // Requires: it is the entry at index_.
  void show_index(std::size_t index);
  [[nodiscard]] bool is_own(std::string_view key) const noexcept;  // A part of entry().key.
  void copy_long_rest(std::string_view rest);

  const RunBlocks& blocks_;
  BlockView block_;
  std::size_t block_index_ = kNoBlock;  // Whose block_ is.
  std::size_t index_ = 0;               // In the block.
  const char* next_ = nullptr;          // The entry after index_.
  std::unique_ptr<char[]> key_;         // The prefix, and room for a short rest at least.
  std::size_t key_capacity_ = 0;
  std::size_t prefix_size_ = 0;
  std::string buffer_;  // The block, unless mapped.
};

}  // namespace varve::segment
