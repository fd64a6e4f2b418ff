// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "segment/block.hpp"
#include "segment/fence_tree.hpp"
#include "segment/huge_buffer.hpp"
#include "segment/run.hpp"

namespace varve::segment {

struct RunSeparators;

// The blocks of an open run: which one holds a key, and its verified bytes.
//
// Mapped, a block is verified at its first touch and then read in place; otherwise at each read,
// into the caller's buffer.
// Thread-safety: all const. Errors: Error{Corruption | Io}.
class alignas(64) RunBlocks {
 public:
  // `map`: all bytes of the file, or empty. `separators` may point into memory that is gone after
  // this call. `pool`: of its tables' memory, or null.
  RunBlocks(std::shared_ptr<const directory::ImmutableFile> file, const RunLocation& location,
            std::string_view map, const RunSeparators& separators,
            const std::shared_ptr<ChunkPool>& pool = nullptr);

  [[nodiscard]] const directory::ImmutableFile& file() const noexcept { return *file_; }
  [[nodiscard]] const RunLocation& location() const noexcept { return location_; }
  [[nodiscard]] bool mapped() const noexcept { return base_ != nullptr; }
  [[nodiscard]] std::size_t count() const noexcept { return fences_.size(); }
  [[nodiscard]] std::string_view separator(std::size_t block) const noexcept {
    return fences_.fence(block);
  }
  [[nodiscard]] std::string_view smallest_key() const noexcept { return smallest_key_; }
  [[nodiscard]] std::string_view largest_key() const noexcept { return largest_key_; }
  [[nodiscard]] std::uint64_t entry_count(std::size_t block) const noexcept {
    return entry_counts_[block];
  }
  [[nodiscard]] std::size_t size(std::size_t block) const noexcept {
    return std::size_t{offset(block + 1) - offset(block)} * kBlockUnit;
  }
  [[nodiscard]] std::uint64_t file_offset(std::size_t block) const noexcept {
    return location_.offset + std::uint64_t{offset(block)} * kBlockUnit;
  }
  [[nodiscard]] std::size_t memory_size() const noexcept;
  // Of so many blocks, whose separators have so many bytes together; the two keys come on top.
  [[nodiscard]] static std::size_t memory_size_of(std::size_t count,
                                                  std::size_t separators_size) noexcept;

  // The only block that may hold `key`. In two halves, locate() fetches what find_in() needs.
  [[nodiscard]] std::size_t find(std::string_view key) const noexcept {
    const std::size_t leaf = locate(key);
    approach(leaf);
    return find_in(leaf, key);
  }
  [[nodiscard]] std::size_t locate(std::string_view key) const noexcept {
    const std::size_t leaf = fences_.locate(key);
    // The offset of the block that will be found: two lines have those of a leaf.
    const std::uint32_t* const offsets = this->offsets() + leaf * FenceTree::kFanout;
    __builtin_prefetch(offsets);
    __builtin_prefetch(offsets + FenceTree::kFanout / 2);
    return leaf;
  }
  [[nodiscard]] std::size_t find_in(std::size_t leaf, std::string_view key) const noexcept {
    return fences_.find_in(leaf, key);
  }
  // Between the two: asks for the translations of all addresses of the leaf's mapped blocks, before
  // it is known which of them is to be read (docs/adr/0020). Pays if one is read.
  void approach(std::size_t leaf) const noexcept {
    if (base_ == nullptr) return;
    const char* line = base_ + std::size_t{leaf_offsets()[leaf]} * kBlockUnit;
    const char* const end = base_ + std::size_t{leaf_offsets()[leaf + 1]} * kBlockUnit;
    if (end - line > kApproachedSizeMax) return;
    for (; line < end; line += kTranslatedTogether) __builtin_prefetch(line);
    __builtin_prefetch(end - 1);
    // GCC takes a function that only prefetches for one without effect, and drops calls of it.
    asm volatile("");
  }
  // Where in the file a leaf's first block is; of the leaf behind the last: where the blocks end.
  [[nodiscard]] std::uint64_t leaf_file_offset(std::size_t leaf) const noexcept {
    return location_.offset + std::uint64_t{leaf_offsets()[leaf]} * kBlockUnit;
  }
  // Fetches the heads of a mapped block.
  void prefetch(std::size_t block) const noexcept {
    if (base_ == nullptr) return;
    const char* line = base_ + std::size_t{offset(block)} * kBlockUnit;
    for (std::size_t i = 0; i < prefetch_line_count_; ++i) __builtin_prefetch(line + 64 * i);
  }
  // Fetches the entry of `key` in a mapped block whose heads have arrived.
  void prefetch_entry(std::size_t block, std::string_view key) const noexcept {
    if (base_ == nullptr || !verified(block)) return;  // Verifying touches all of a block.
    BlockView(base_ + std::size_t{offset(block)} * kBlockUnit, size(block)).prefetch_entry(key);
  }
  // The view lives as long as this object and `buffer`, whose contents are replaced.
  [[nodiscard]] BlockView load(std::size_t block, std::string& buffer) const {
    if (base_ != nullptr && verified(block)) [[likely]] {
      return {base_ + std::size_t{offset(block)} * kBlockUnit, size(block)};
    }
    return load_unverified(block, buffer);
  }
  // Reads a block into `buffer` (kBlockSlack bytes longer), whatever it holds.
  void read(std::size_t block, std::string& buffer) const;
  // What is wrong with the checksum or the structure of a block's bytes.
  [[nodiscard]] std::optional<RunFinding> check(std::size_t block, std::string_view bytes) const;
  // A finding about a block and the keys that are lost with it.
  [[nodiscard]] RunFinding finding(std::size_t block, std::string what, std::string expected,
                                   std::string found) const;

 private:
  // Bytes whose addresses are translated by one cache line of a page table, with pages of 4 KiB.
  static constexpr std::ptrdiff_t kTranslatedTogether = std::ptrdiff_t{8} * 4096;
  // Beyond it (measured with blocks of 8 and 16 KiB) asking for all of them gains nothing.
  static constexpr std::ptrdiff_t kApproachedSizeMax = 8 * kTranslatedTogether;

  [[nodiscard]] const std::uint32_t* offsets() const noexcept {  // In units; one more than blocks.
    return reinterpret_cast<const std::uint32_t*>(offsets_.data());
  }
  [[nodiscard]] std::uint32_t offset(std::size_t block) const noexcept { return offsets()[block]; }
  // The offset of each leaf's first block, and the end: so few that they stay in near caches.
  [[nodiscard]] const std::uint32_t* leaf_offsets() const noexcept {
    return offsets() + count() + 1;
  }
  [[nodiscard]] static std::size_t offset_count(std::size_t block_count) noexcept {  // Of both.
    return block_count + 1 + (block_count + FenceTree::kFanout - 1) / FenceTree::kFanout + 1;
  }
  [[nodiscard]] bool verified(std::size_t block) const noexcept {
    return (verified_[block / 64].load(std::memory_order_relaxed) >> (block % 64) & 1) != 0;
  }
  [[nodiscard]] BlockView load_unverified(std::size_t block, std::string& buffer) const;

  // What every get needs comes first: it is one cache line.
  const char* base_ = nullptr;  // The run in the file's mapping; null when read by block.
  HugeBuffer offsets_;
  // One bit per block. Relaxed: the mapped bytes never change, so a bit publishes nothing.
  std::unique_ptr<std::atomic<std::uint64_t>[]> verified_;
  std::size_t prefetch_line_count_ = 0;
  FenceTree fences_;
  std::shared_ptr<const directory::ImmutableFile> file_;
  RunLocation location_;
  std::string smallest_key_, largest_key_;
  std::vector<std::uint32_t> entry_counts_;
};

}  // namespace varve::segment
