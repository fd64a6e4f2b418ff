// SPDX-License-Identifier: Apache-2.0
#include "segment/run_blocks.hpp"

#include <algorithm>
#include <cstring>

#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "segment/run_format.hpp"

namespace varve::segment {
namespace {

constexpr std::size_t kPrefetchedLinesMax = 12;

}  // namespace

RunBlocks::RunBlocks(std::shared_ptr<const directory::ImmutableFile> file,
                     const RunLocation& location, std::string_view map,
                     const RunSeparators& separators, const std::shared_ptr<ChunkPool>& pool)
    : base_(map.empty() ? nullptr : map.data() + location.offset),
      offsets_(offset_count(separators.separators.size()) * sizeof(std::uint32_t), pool),
      verified_(
          std::make_unique<std::atomic<std::uint64_t>[]>(separators.separators.size() / 64 + 1)),
      fences_(separators.separators, pool),
      file_(std::move(file)),
      location_(location),
      smallest_key_(separators.smallest_key),
      largest_key_(separators.largest_key),
      entry_counts_(separators.entry_counts) {
  VARVE_CHECK(separators.block_offsets.size() == count() + 1);
  const std::vector<std::uint32_t>& block_offsets = separators.block_offsets;
  auto* offset = std::copy(block_offsets.begin(), block_offsets.end(),
                           reinterpret_cast<std::uint32_t*>(offsets_.data()));
  for (std::size_t block = 0; block < count(); block += FenceTree::kFanout) {
    *offset++ = block_offsets[block];
  }
  *offset = block_offsets.back();
  // Header, heads and positions of an average block.
  const std::uint64_t entries_per_block = location.entry_count / count();
  prefetch_line_count_ = static_cast<std::size_t>(std::min<std::uint64_t>(
      (kBlockHeaderSize + 6 * entries_per_block) / 64 + 2, kPrefetchedLinesMax));
}

std::size_t RunBlocks::memory_size() const noexcept {
  return fences_.memory_size() + offsets_.size() +
         entry_counts_.capacity() * sizeof(std::uint32_t) + (count() / 64 + 1) * 8 +
         smallest_key_.capacity() + largest_key_.capacity();
}

std::size_t RunBlocks::memory_size_of(std::size_t count, std::size_t separators_size) noexcept {
  return FenceTree::memory_size_of(count, separators_size) +
         (count + offset_count(count)) * sizeof(std::uint32_t) + (count / 64 + 1) * 8;
}

void RunBlocks::read(std::size_t block, std::string& buffer) const {
  const std::size_t size = this->size(block);
  buffer.resize(size + kBlockSlack);
  file_->read(file_offset(block), {buffer.data(), size});
}

RunFinding RunBlocks::finding(std::size_t block, std::string what, std::string expected,
                              std::string found) const {
  return {.offset = file_offset(block),
          .what = std::move(what),
          .expected = std::move(expected),
          .found = std::move(found),
          .first_key = std::string(block == 0 ? smallest_key() : separator(block)),
          .last_key = std::string(block + 1 == count() ? largest_key() : separator(block + 1)),
          .entry_count = entry_counts_[block]};
}

std::optional<RunFinding> RunBlocks::check(std::size_t block, std::string_view bytes) const {
  const auto stored = directory::load_le<std::uint64_t>(bytes.data());
  const std::uint64_t computed =
      block_checksum(bytes, directory::part_seed(location_.seed, file_offset(block)));
  if (stored != computed && !VARVE_MUTANT("block.checksum_ignored")) {
    return finding(block, "block's checksum", hex64(stored), hex64(computed));
  }
  if (const char* wrong = check_block_structure(bytes); wrong != nullptr) {
    return finding(block, "block's structure", "a valid block", std::string("a wrong ") + wrong);
  }
  const std::size_t entry_count = BlockView(bytes.data(), bytes.size()).entry_count();
  if (entry_count != entry_counts_[block]) {
    return finding(block, "block's entry count", std::to_string(entry_counts_[block]),
                   std::to_string(entry_count));
  }
  return std::nullopt;
}

BlockView RunBlocks::load_unverified(std::size_t block, std::string& buffer) const {
  const std::size_t size = this->size(block);
  const char* data = nullptr;
  if (base_ != nullptr) {
    data = base_ + std::size_t{offset(block)} * kBlockUnit;
  } else {
    read(block, buffer);
    data = buffer.data();
  }
  if (const auto wrong = check(block, {data, size})) throw_finding(file_->name(), *wrong);
  if (base_ != nullptr) {
    verified_[block / 64].fetch_or(std::uint64_t{1} << (block % 64), std::memory_order_relaxed);
  }
  return {data, size};
}

}  // namespace varve::segment
