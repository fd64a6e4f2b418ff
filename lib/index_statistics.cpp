// SPDX-License-Identifier: Apache-2.0
#include "lib/index_statistics.hpp"

#include <algorithm>
#include <set>

#include "lib/memory_statistics.hpp"
#include "segment/compaction.hpp"
#include "segment/run_blocks.hpp"

namespace varve::internal {
namespace {

std::uint64_t size_of_merge(const segment::View& view, const segment::MergePlan& plan) {
  if (plan.kind == segment::MergeKind::Main) return view.size();
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < plan.count; ++i) size += view.runs[plan.first + i].record.size;
  return size;
}

// Adds up what the segments' views consist of.
class SegmentWalk {
 public:
  SegmentWalk(const Core& core, Statistics& figures) : core_(core), figures_(figures) {}

  void add(const segment::Segment& segment) {
    const segment::View& view = segment.view();
    SegmentStatistics& one = figures_.segments.emplace_back();
    one.id = segment.id();
    one.first_key = segment.lower();
    one.version = segment.version().version();
    one.memory_size = view.memory_size();
    one.memory_entry_count = view.active->entry_count();
    add_delta(*view.active, figures_.memory.active_deltas_size);
    for (const auto& delta : view.frozen) {
      one.memory_entry_count += delta->entry_count();
      add_delta(*delta, figures_.memory.frozen_deltas_size);
    }
    one.delta_run_count = static_cast<std::uint32_t>(view.slice_count());
    one.delta_runs_size = view.slices_size();
    one.main_run_size = view.main_size();
    for (const segment::RunLayer& layer : view.runs) {
      one.run_entry_count += layer.record.entry_count;
      add_run(layer);
    }
    one.range_tombstone_count = static_cast<std::uint32_t>(view.range_tombstones.size());
    add_totals(one, static_cast<std::uint32_t>(view.runs.size()));
    const segment::MergePlan plan = core_.merge_plan(segment, view);
    if (plan.kind == segment::MergeKind::None) return;
    ++figures_.compaction.due_segment_count;
    figures_.compaction.due_size += size_of_merge(view, plan);
  }

 private:
  // Children of a split share their parent's deltas.
  void add_delta(const segment::Delta& delta, std::uint64_t& size) {
    if (seen_.insert(&delta).second) size += delta.memory_size();
  }
  void add_run(const segment::RunLayer& layer) {
    const std::size_t size = layer.run->memory_size(), filter_size = layer.run->filter_size();
    figures_.table_memory_size += size;
    figures_.memory.filters_size += filter_size;
    figures_.memory.sparse_indexes_size += size - filter_size;
    if (layer.run->blocks().mapped()) figures_.memory.mapped_runs_size += layer.record.size;
  }
  void add_totals(const SegmentStatistics& one, std::uint32_t run_count) {
    RunStatistics& runs = figures_.runs;
    ++runs.segment_count;
    runs.run_count += run_count;
    runs.run_count_max = std::max(runs.run_count_max, run_count);
    runs.delta_run_count += one.delta_run_count;
    runs.main_runs_size += one.main_run_size;
    runs.delta_runs_size += one.delta_runs_size;
    runs.run_entry_count += one.run_entry_count;
    runs.memory_entry_count += one.memory_entry_count;
    runs.range_tombstone_count += one.range_tombstone_count;
    figures_.compaction.unmerged_size += one.delta_runs_size;
  }

  const Core& core_;
  Statistics& figures_;
  std::set<const segment::Delta*> seen_;
};

void add_segments(const Core& core, Statistics& figures) {
  const std::size_t in_use = core.memory_size();  // First: what deltas grow by is not held.
  figures.memory_size = in_use;
  figures.memory_budget = core.memory_budget.deltas();
  figures.memory_limit = core.options.memory_limit;
  const auto pinned = Core::pin();
  SegmentWalk walk(core, figures);
  for (const auto& segment : core.routes().segments()) walk.add(*segment);
  const std::uint64_t in_views =
      figures.memory.active_deltas_size + figures.memory.frozen_deltas_size;
  figures.memory.held_by_readers_size = in_use - std::min<std::uint64_t>(in_use, in_views);
}

void add_counters(const Counters& counters, Statistics& figures) {
  figures.run_bytes_written = counters.run_bytes;
  figures.flush_count = counters.flush;
  figures.compaction_count = counters.compaction;
  figures.split_count = counters.split;
  figures.merge_count = counters.merge;
  figures.stalled_write_count = counters.stalled_writes;
  figures.stalled_microseconds_max = counters.stalled_microseconds_max;
  figures.recovered_operation_count = counters.recovered_operations;
  figures.recovery_microseconds = counters.recovery_microseconds;
  figures.recovered_after_crash = counters.recovered_after_crash;
}

void add_log(const Core& core, Statistics& figures) {
  if (core.log == nullptr) return;
  figures.log_bytes_written = core.log->bytes_written();
  figures.log_sync_count = core.log->sync_count();
  figures.log.unsynced_size = core.log->bytes_unsynced();
  core.log->describe_device_flushes(figures.log.device_flush);
  const auto lock = core.lock_catalog();
  figures.log.live_size = core.log->live_size();
}

}  // namespace

Statistics collect_statistics(const Core& core) {
  Statistics figures;
  const auto manifest = core.manifest();
  figures.uuid = manifest->uuid;
  figures.writer_epoch = manifest->writer_epoch;
  figures.manifest_edit = manifest->edit;
  figures.last_sequence = core.last_sequence();
  figures.manifest_bytes_written = core.catalog.bytes_written();
  figures.live_snapshot_count = core.snapshots.count();
  const Snapshots::Ages ages = core.snapshots.ages(reader_age_limit(core.options));
  figures.oldest_snapshot_microseconds = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(ages.oldest).count());
  figures.aged_reader_count = ages.aged_count;
  add_segments(core, figures);
  add_memory(core, *manifest, figures);
  add_counters(core.counters, figures);
  add_log(core, figures);
  core.space.describe(figures.space);
  figures.failed_job_count = core.job_failures.count();
  figures.last_job_failure = core.job_failures.message();
  for (const directory::FileInfo& file : core.directory->list()) {
    const auto name = parse_file_name(file.name);
    if (!name) continue;
    figures.disk_size += file.size;
    if (name->type == FileName::Type::Log) figures.log_disk_size += file.size;
  }
  return figures;
}

RunStatistics run_statistics(const Manifest& manifest) {
  RunStatistics runs;
  runs.segment_count = manifest.segments.size();
  for (const SegmentRecord& segment : manifest.segments) {
    const auto slice_count = static_cast<std::uint32_t>(segment.slices.size());
    const std::uint32_t run_count = slice_count + (segment.main ? 1 : 0);
    runs.run_count += run_count;
    runs.run_count_max = std::max(runs.run_count_max, run_count);
    runs.delta_run_count += slice_count;
    if (segment.main) {
      runs.main_runs_size += segment.main->size;
      runs.run_entry_count += segment.main->entry_count;
    }
    for (const RunRecord& slice : segment.slices) {
      runs.delta_runs_size += slice.size;
      runs.run_entry_count += slice.entry_count;
    }
    runs.range_tombstone_count += segment.range_tombstones.size();
  }
  return runs;
}

}  // namespace varve::internal
