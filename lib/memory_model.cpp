// SPDX-License-Identifier: Apache-2.0
#include "lib/memory_model.hpp"

#include <algorithm>
#include <string>
#include <thread>

#include "directory/posix_directory.hpp"
#include "lib/core.hpp"
#include "lib/engine_cursor.hpp"
#include "segment/block.hpp"
#include "segment/delta.hpp"
#include "segment/fence_tree.hpp"
#include "segment/segment.hpp"
#include "segment/view.hpp"

namespace varve::internal {
namespace {

// A block of memory of its own: what the allocator adds to it, and a shared_ptr's counts.
constexpr std::uint64_t kAllocation = 16, kCounts = 16;

std::uint64_t string_size(const std::string& text) {
  return text.capacity() <= std::string().capacity() ? 0 : text.capacity() + 1 + kAllocation;
}

// A run's objects beyond its tables, and its file's with two paths.
constexpr std::uint64_t kRunSize = 4 * (kAllocation + kCounts) + 384;

std::uint64_t record_size(const SegmentRecord& record) {
  std::uint64_t size = sizeof record + string_size(record.fence) +
                       record.slices.capacity() * sizeof(RunRecord) +
                       record.range_tombstones.capacity() * sizeof(RangeTombstone);
  for (const RangeTombstone& tombstone : record.range_tombstones) {
    size += string_size(tombstone.from) + string_size(tombstone.to);
  }
  return size;
}

}  // namespace

std::uint64_t structure_size(const Manifest& manifest, const Options& options) {
  std::uint64_t size = sizeof(Core) + sizeof manifest;
  if (options.access == Access::Concurrent) size += sizeof(Concurrency);
  std::size_t fences_size = 0;
  for (const SegmentRecord& record : manifest.segments) {
    const std::size_t run_count = record.slices.size() + (record.main ? 1 : 0);
    const std::uint64_t fences = 2 * string_size(record.fence);  // And the end of the one before.
    // Once in the manifest, once in the segment's view.
    size += 2 * record_size(record) - sizeof record + fences;
    size += sizeof(segment::Segment) + sizeof(segment::View) + sizeof(segment::Delta) +
            4 * kAllocation + 2 * kCounts + sizeof(std::shared_ptr<segment::Segment>);
    size += run_count * (sizeof(segment::RunLayer) + kRunSize);
    fences_size += record.fence.size();
  }
  return size + segment::FenceTree::memory_size_of(manifest.segments.size(), fences_size);
}

std::size_t maintenance_thread_count(const Options& options) noexcept {
  if (options.access != Access::Concurrent) return 1;
  if (options.tuning.maintenance_threads != 0) return options.tuning.maintenance_threads;
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 4);
}

std::size_t job_thread_count(const Options& options) noexcept {
  const bool relieved = options.access == Access::Concurrent && options.tuning.maintenance_nice > 0;
  return maintenance_thread_count(options) + (relieved ? 1 : 0);
}

std::uint64_t job_size_of(std::uint64_t entry_count, std::uint64_t run_size,
                          const Options& options) {
  // A hash for each key, a separator for each block, both in memory that doubles as it grows; and
  // a block that the rest of a chunk has no room for.
  constexpr std::uint64_t kHashSize = 8, kSeparatorSize = 24, kBlock = std::uint64_t{256} << 10;
  const std::uint64_t block_count = run_size / options.tuning.block_size + 1;
  const auto filter_size = static_cast<std::uint64_t>(static_cast<double>(entry_count) *
                                                      options.tuning.filter_bits_per_key / 8);
  return directory::PosixDirectory::kWriteChunkSize + kBlock + 2 * kHashSize * entry_count +
         2 * kSeparatorSize * block_count + filter_size;
}

std::uint64_t jobs_size_max(const Manifest& manifest, const Options& options) {
  if (options.read_only) return 0;
  std::uint64_t entry_count = 0, run_size = 0;
  for (const SegmentRecord& record : manifest.segments) {
    std::uint64_t entries = 0, size = 0;
    const auto add = [&](const RunRecord& run) {
      entries += run.entry_count;
      size += run.size;
    };
    if (record.main) add(*record.main);
    for (const RunRecord& slice : record.slices) add(slice);
    entry_count = std::max(entry_count, entries);
    run_size = std::max(run_size, size);
  }
  return job_thread_count(options) * job_size_of(entry_count, run_size, options);
}

std::uint64_t cursor_size(std::size_t run_count, const Options& options) noexcept {
  // The handle's object; keys and fences that do not fit into their strings.
  constexpr std::uint64_t kRest = 256;
  // Beyond these, sources are made in memory that the cursor has to ask for.
  constexpr std::size_t kInlineRunCount = 3;
  std::uint64_t size = sizeof(EngineCursor) + kRest;
  if (run_count > kInlineRunCount) {
    size += 4096 + (run_count - kInlineRunCount) * sizeof(segment::RunCursor);
  }
  if (options.reads == Reads::Buffered || options.untrusted) {
    size += run_count * (options.tuning.block_size + segment::kBlockSlack);
  }
  return size;
}

}  // namespace varve::internal
