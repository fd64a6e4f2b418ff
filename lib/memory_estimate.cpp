// SPDX-License-Identifier: Apache-2.0
#include "varve/memory_estimate.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "directory/bytes.hpp"
#include "directory/directory.hpp"
#include "lib/call_recorder.hpp"
#include "lib/hot_keys.hpp"
#include "lib/index_statistics.hpp"
#include "lib/manifest.hpp"
#include "lib/memory_budget.hpp"
#include "lib/memory_model.hpp"
#include "lib/options_check.hpp"
#include "lib/run_store.hpp"
#include "lib/write_log.hpp"
#include "segment/arena.hpp"
#include "segment/filter.hpp"
#include "segment/run_format.hpp"
#include "varve/error.hpp"
#include "varve/file_statistics.hpp"

namespace varve {
namespace {

using internal::Manifest;
using internal::RunRecord;
using internal::SegmentRecord;

// A write's bytes in a delta, over those in the log.
constexpr double kDeltaPerLog = 1.3;
// A file that the manifest names may be gone when it is looked for, as another process goes on.
constexpr int kAttemptCountMax = 16;

// What does not depend on the data, in `estimate` with all owners that do filled in.
// `jobs_size`: of all threads that write runs.
MemoryEstimate complete(MemoryStatistics memory, std::uint64_t jobs_size, std::uint64_t replayed,
                        const Options& options) {
  const auto calls = std::make_unique<internal::CallRecorder>();
  calls->add(internal::CallRecorder::Amount::UserBytes, 0);  // The one thread's part.
  Statistics figures;
  calls->describe(figures);
  memory.statistics_size = figures.memory.statistics_size;
  const bool concurrent = options.access == Access::Concurrent;
  if (concurrent) {
    memory.hot_path_size = internal::HotKeys(options.tuning.hot_path_size).statistics().memory_size;
  }
  const auto hold_deltas = [](MemoryStatistics& of, std::uint64_t free_size) {
    constexpr std::uint64_t kRegionSize = segment::ChunkPool::kRegionSize;
    const std::uint64_t size = of.active_deltas_size + of.frozen_deltas_size;
    of.pool_size = (size + free_size + kRegionSize - 1) / kRegionSize * kRegionSize;
    of.pool_free_size = of.pool_size - size;
  };
  MemoryEstimate estimate{memory, memory};
  MemoryStatistics& most = estimate.at_most;
  if (const std::uint64_t tables = memory.sparse_indexes_size + memory.filters_size;
      tables > internal::RunStore::kPooledTablesMin) {
    // At the end of the last region, and of others about as much as what did not fit there.
    estimate.at_open.tables_free_size = segment::ChunkPool::kRegionSize / 2 + tables / 16;
    most.tables_free_size = 2 * segment::ChunkPool::kRegionSize + tables / 2;
  }
  if (concurrent)
    most.hot_path_size = std::max<std::uint64_t>(most.hot_path_size, options.tuning.hot_path_size);
  most.jobs_size = jobs_size;
  internal::MemoryBudget budget(options);
  budget.share(most.total_size());
  if (options.read_only) {
    estimate.at_open.frozen_deltas_size = most.frozen_deltas_size = replayed;
    hold_deltas(estimate.at_open, 0);
    hold_deltas(most, 0);
    return estimate;
  }
  estimate.at_open.frozen_deltas_size = std::min<std::uint64_t>(replayed, budget.deltas());
  hold_deltas(estimate.at_open, 0);
  most.active_deltas_size = budget.deltas();
  hold_deltas(most, concurrent ? budget.deltas() / 3 * 2 : budget.deltas() / 4);
  if (options.durability == Durability::Synced) {
    most.log_buffer_size = internal::WriteLog::kStagedCapacityMax;
  }
  // Where threads prepare it, the next one as well.
  most.mapped_log_size = options.tuning.log_file_size * (concurrent ? 2 : 1);
  return estimate;
}

// The tables of all runs.
class RunWalk {
 public:
  RunWalk(const directory::Directory& directory, const Manifest& manifest, const Options& options,
          MemoryStatistics& memory)
      : directory_(directory),
        manifest_(manifest),
        mapped_(options.reads == Reads::Mapped && !options.untrusted),
        memory_(memory) {}

  void add(const RunRecord& record) {
    const std::string name = internal::run_file_name(record);
    if (file_ == nullptr || file_->name() != name) file_ = directory_.open(name);
    const segment::RunLocation location{.offset = record.offset,
                                        .size = record.size,
                                        .seed = internal::run_seed(manifest_.uuid, record),
                                        .entry_count = record.entry_count,
                                        .footer_checksum = record.footer_checksum};
    std::uint64_t end = 0;
    if (record.size < segment::kRunFooterSize ||
        !::varve::directory::checked_add(record.offset, record.size, end) || end > file_->size()) {
      throw Error(ErrorCode::Corruption,
                  name + ": a run that ends at byte " + std::to_string(end) +
                      " expected, a file of " + std::to_string(file_->size()) + " bytes found",
                  directory_.path() / name);
    }
    std::string bytes(segment::kRunFooterSize, '\0');
    file_->read(end - bytes.size(), bytes);
    const segment::RunTables tables =
        segment::estimate_run_tables(segment::parse_footer(bytes, location, name));
    memory_.sparse_indexes_size += tables.sparse_index_size;
    memory_.filters_size += tables.filter_size;
    if (mapped_) memory_.mapped_runs_size += record.size;
  }

 private:
  const directory::Directory& directory_;
  const Manifest& manifest_;
  const bool mapped_;
  MemoryStatistics& memory_;
  std::shared_ptr<const directory::ImmutableFile> file_;  // Of the run before.
};

MemoryStatistics measure_runs(const directory::Directory& directory, const Manifest& manifest,
                              const Options& options) {
  MemoryStatistics memory;
  RunWalk walk(directory, manifest, options, memory);
  for (const SegmentRecord& segment : manifest.segments) {
    if (segment.main) walk.add(*segment.main);
    for (const RunRecord& slice : segment.slices) walk.add(slice);
  }
  memory.structure_size = internal::structure_size(manifest, options);
  memory.cursor_size =
      internal::cursor_size(internal::run_statistics(manifest).run_count_max, options);
  return memory;
}

// Bytes of records, as if an unsealed log was full.
std::uint64_t replayed_log_size(const directory::Directory& directory, const Manifest& manifest) {
  std::uint64_t size = 0;
  for (const internal::LogRecordEntry& log : manifest.logs) {
    const std::uint64_t end = log.sealed_end != 0
                                  ? log.sealed_end
                                  : directory.open(internal::log_file_name(log.number))->size();
    size += end - std::min<std::uint64_t>(end, internal::kLogHeaderSize);
  }
  return size;
}

// Of the last one, which an open after the death of its process goes on with.
std::uint64_t unsealed_log_size(const directory::Directory& directory, const Manifest& manifest) {
  if (manifest.logs.empty() || manifest.logs.back().sealed_end != 0) return 0;
  return directory.open(internal::log_file_name(manifest.logs.back().number))->size();
}

Manifest read_manifest(const directory::Directory& directory) {
  return internal::decode_manifest(
      directory.read_all(internal::kManifestName, internal::kManifestSizeMax),
      (directory.path() / internal::kManifestName).string());
}

MemoryEstimate estimate_of(const directory::Directory& directory, const Manifest& manifest,
                           const Options& options) {
  const auto replayed = static_cast<std::uint64_t>(
      kDeltaPerLog * static_cast<double>(replayed_log_size(directory, manifest)));
  MemoryEstimate estimate = complete(measure_runs(directory, manifest, options),
                                     internal::jobs_size_max(manifest, options), replayed, options);
  if (!options.read_only) {
    const std::uint64_t resumed = unsealed_log_size(directory, manifest);
    estimate.at_open.mapped_log_size = resumed;
    estimate.at_most.mapped_log_size = std::max(estimate.at_most.mapped_log_size, resumed);
  }
  return estimate;
}

// Segments of such fences, each with a main run.
std::uint64_t planned_structure_size(std::uint64_t segment_count, const PlannedData& data,
                                     const Options& options) {
  Manifest manifest;
  SegmentRecord segment;
  segment.fence.assign(std::min<std::size_t>(static_cast<std::size_t>(data.key_size), 64), 'x');
  segment.main.emplace();
  manifest.segments = {segment};
  const std::uint64_t one = internal::structure_size(manifest, options);
  manifest.segments.assign(33, segment);
  return one + (segment_count - 1) * (internal::structure_size(manifest, options) - one) / 32;
}

}  // namespace

MemoryEstimate estimate_memory(const std::filesystem::path& path, const Options& options) {
  internal::check_options(options);
  static_cast<void>(file_statistics(path));  // Says what is wrong if there is no index.
  const auto directory = directory::make_posix_directory(path, {.allow_network_file_system = true});
  for (int attempt = 1;; ++attempt) {
    const Manifest manifest = read_manifest(*directory);
    try {
      return estimate_of(*directory, manifest, options);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::NotFound) throw;
      const bool moved_on = read_manifest(*directory).edit != manifest.edit;
      if (moved_on && attempt < kAttemptCountMax) continue;
      throw Error(moved_on ? ErrorCode::Io : ErrorCode::Corruption,
                  std::string(error.what()) +
                      (moved_on ? ": the index changes faster than it can be looked at"
                                : ": the manifest names this file, but it is missing"),
                  error.path());
    }
  }
}

MemoryEstimate estimate_memory(const PlannedData& data, const Options& options) {
  internal::check_options(options);
  // Beside the bytes of an entry: its part of a block's tables, and the sizes in front of it.
  constexpr double kEntryOverhead = 6, kSeparatorSize = 8, kSizeMax = 1e18;
  // Of a segment that splits at 1, an average one.
  constexpr double kSegmentFill = 0.7;
  const double entries_size =
      static_cast<double>(data.entry_count) * (data.key_size + data.value_size + kEntryOverhead);
  if (!(data.key_size >= 1) || !(data.value_size >= 0) || !(entries_size < kSizeMax)) {
    throw Error(ErrorCode::InvalidArgument,
                "planned data: keys of 1 byte or more, values of 0 or more, and 10^18 bytes "
                "together at most expected");
  }
  const Tuning& tuning = options.tuning;
  const auto block_count =
      static_cast<std::uint64_t>(entries_size / static_cast<double>(tuning.block_size)) + 1;
  const auto runs_size = block_count * tuning.block_size;
  const auto segment_count = static_cast<std::uint64_t>(std::ceil(
      static_cast<double>(runs_size) / (kSegmentFill * static_cast<double>(tuning.segment_size))));
  MemoryStatistics memory;
  memory.sparse_indexes_size =
      segment_count *
      segment::sparse_index_size_of(
          block_count / segment_count + 1,
          static_cast<std::uint64_t>(std::min(data.key_size, kSeparatorSize) *
                                     static_cast<double>(block_count / segment_count + 1)));
  memory.filters_size = segment::filter_size(data.entry_count, tuning.filter_bits_per_key);
  if (options.reads == Reads::Mapped && !options.untrusted) {
    memory.mapped_runs_size = runs_size + memory.filters_size;
  }
  memory.structure_size = planned_structure_size(segment_count, data, options);
  memory.cursor_size = internal::cursor_size(1, options);
  const std::uint64_t jobs_size =
      internal::job_thread_count(options) *
      internal::job_size_of(data.entry_count / segment_count * 3 / 2, tuning.segment_size, options);
  return complete(memory, options.read_only ? 0 : jobs_size, 0, options);
}

}  // namespace varve
