// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "directory/mutant.hpp"
#include "lib/hooks.hpp"
#include "lib/merge_job.hpp"
#include "lib/merge_output.hpp"
#include "lib/segment_locks.hpp"

namespace varve::internal {

void freeze(Core& core, segment::Segment& segment) {
  if (segment.view().active->empty()) return;
  core.publish_locked(segment, [&](segment::View& view) {
    auto next = core.make_delta(view.active->entry_count());
    view.frozen.insert(view.frozen.begin(), std::exchange(view.active, std::move(next)));
  });
}

namespace {

// One segment's part of a flush.
struct Slice {
  SegmentPtr segment;
  segment::ViewRef view;           // As of the freeze.
  Sequence cut = 0;                // Everything of the segment up to here is frozen.
  std::uint64_t log_position = 0;  // All that was written before is in the log up to here.
  std::optional<RunRecord> record;
  std::shared_ptr<const segment::Run> run;
};

// Writes the frozen deltas of every segment into one delta file; slices come out in key order
// because `slices` is. Returns its number.
std::uint64_t write_delta_file(Core& core, std::vector<Slice>& slices, const JobControl& control) {
  const std::vector<Sequence> snapshots = core.snapshots_for_merge();
  RunRecord file;
  file.kind = RunRecord::Kind::Slice;
  const auto next_name = [&] {
    file.file_number = core.take_delta_number();
    return run_file_name(file);
  };
  const WritingPhase writing(core, control);
  static_cast<void>(put_runs_by_free_name(core, next_name, [&](directory::Sink& sink) {
    const std::uint64_t seed = run_seed(core.manifest()->uuid, file);
    for (Slice& slice : slices) {
      pad_to_slice(sink);
      const segment::View& view = *slice.view;
      segment::PruningSource source(view.frozen, {}, rules_for(snapshots, view, view.runs.empty()),
                                    slice.segment->lower(), slice.segment->upper());
      const auto summary = write_run(core, sink, seed, source, UINT64_MAX, control);
      if (!summary) continue;
      RunRecord record = record_of(*summary);
      record.kind = RunRecord::Kind::Slice;
      record.file_number = file.file_number;
      SequenceRange range;
      for (const auto& delta : view.frozen) range.add(*delta);
      record.first_sequence = range.first;
      record.last_sequence = range.last;
      slice.record = record;
    }
  }));
  return file.file_number;
}

// Lets the manifest, then the readers, see the slices in the place of the frozen deltas.
void publish_slices(Core& core, std::uint64_t number, std::vector<Slice>& slices,
                    PendingFiles& pending) {
  // Made before the commit: after it there must be nothing that can fail outside of it.
  const std::function<void()> show = [&] {
    for (Slice& slice : slices) {
      core.publish(*slice.segment, [&](segment::View& view) {
        for (const auto& delta : slice.view->frozen) std::erase(view.frozen, delta);
        const auto at = VARVE_MUTANT("flush.shown_as_oldest") ? view.runs.end() : view.runs.begin();
        if (slice.record) view.runs.insert(at, {*slice.record, slice.run});
      });
    }
  };
  core.commit([&](Manifest& next) {
    if (!VARVE_MUTANT("flush.number_not_noted")) {
      next.next_delta_number = std::max(next.next_delta_number, number + 1);
    }
    std::size_t position = 0;
    for (const Slice& slice : slices) {
      while (next.segments[position].id != slice.segment->id()) ++position;  // Both in key order.
      SegmentRecord& record = next.segments[position];
      record.flushed_sequence = std::max(record.flushed_sequence, slice.cut);
      record.version = slice.segment->version().version();
      if (!VARVE_MUTANT("flush.range_erases_not_noted")) {
        record.range_tombstones = slice.view->range_tombstones;
      }
      if (slice.record) record.slices.insert(record.slices.begin(), *slice.record);
    }
  });
  VARVE_HOOK("flush.committed");
  core.after_commit(show);
  pending.committed();  // Not before the views are as the manifest is: see ~PendingFiles().
}

void flush_slices(Core& core, std::vector<Slice> slices, const JobControl& control) {
  const bool any_memory = std::any_of(
      slices.begin(), slices.end(), [](const Slice& slice) { return !slice.view->frozen.empty(); });
  VARVE_HOOK("flush.frozen");
  PendingFiles pending(core);
  std::uint64_t number = 0;  // Of no file.
  if (any_memory) {
    number = write_delta_file(core, slices, control);
    pending.add(delta_file_name(number));
  }
  const bool any_slice = std::any_of(slices.begin(), slices.end(),
                                     [](const Slice& slice) { return slice.record.has_value(); });
  for (Slice& slice : slices) {
    if (slice.record) slice.run = pending.open(*slice.record);
  }
  for (const Slice& slice : slices) {
    if (!slice.record || !is_being_read(*slice.segment)) continue;
    const WritingPhase writing(core, control);
    verify_blocks(*slice.run, control);
  }
  std::uint64_t log_position = 0;
  for (const Slice& slice : slices) log_position = std::max(log_position, slice.log_position);
  if (!VARVE_MUTANT("flush.log_not_synced")) sync_log_before_commit(core, control, log_position);
  publish_slices(core, number, slices, pending);
  if (!any_memory || any_slice) return;
  core.run_store.discard(delta_file_name(number));
  core.sweep();
}

// Freezes one segment; false: not done, because a write without log record has come meanwhile.
bool freeze_logged(Core& core, segment::Segment& segment, Slice& slice) {
  const auto lock = core.lock_writer(segment);
  if (core.unlogged_writes) return false;
  freeze(core, segment);
  slice.view = segment::ViewRef(segment.view());
  slice.cut = core.last_sequence();
  slice.log_position = core.log_position();
  if (VARVE_MUTANT("flush.cut_too_high")) slice.cut += 100;
  return true;
}

// Everything up to one moment: no writer is between its sequence and its delta while all segments
// are locked.
std::vector<Slice> freeze_all(Core& core) {
  const std::vector<SegmentPtr>& segments = core.routes().segments();
  const SegmentLocks locks(core, segments);
  std::vector<Slice> slices;
  for (const SegmentPtr& segment : segments) {
    freeze(core, *segment);
    slices.push_back({segment, segment::ViewRef(segment->view()), core.last_sequence(),
                      core.log_position(), std::nullopt, nullptr});
  }
  core.unlogged_in_flush = true;
  if (VARVE_MUTANT("flush.unlogged_in_parts")) slices.pop_back();
  core.unlogged_writes = false;  // Those that come from now on are not in these slices.
  return slices;
}

// All segments, as slices of one file and by one manifest edit.
void flush_unlogged(Core& core, const JobControl& control) {
  std::vector<Slice> slices = freeze_all(core);
  try {
    flush_slices(core, std::move(slices), control);
    core.unlogged_in_flush = false;
  } catch (...) {
    if (!VARVE_MUTANT("flush.unlogged_forgotten")) core.unlogged_writes = true;
    throw;
  }
}

// Straight into main runs. What cannot be merged for the segment's own sake, as when a block of its
// main run is unreadable, becomes slices: memory must not fill up for that.
void flush_direct(Core& core, const std::vector<SegmentPtr>& direct, const JobControl& control) {
  std::vector<Slice> left;
  for (const SegmentPtr& segment : direct) {
    try {
      merge_main(core, segment, control);
    } catch (const Error& error) {
      if (!core.is_local(error)) throw;
      core.job_failures.note(segment->id(), error.what());
      Slice slice;
      slice.segment = segment;
      if (freeze_logged(core, *segment, slice)) left.push_back(std::move(slice));
    }
  }
  if (!left.empty()) flush_slices(core, std::move(left), control);
}

// A slice takes less room, which matters when there is little.
bool belongs_into_main(const Core& core, const segment::Segment& segment,
                       const segment::View& view) {
  return view.has_memory() && !core.job_failures.resting(segment.id()) &&
         !core.space.lacks(Space::Use::Reserve) &&
         segment::flush_merges_main(view, core.compaction_ratio(segment), core.options.tuning);
}

}  // namespace

void flush_segments(Core& core, const std::vector<SegmentPtr>& segments,
                    const JobControl& control) {
  core.failure.rethrow_if_failed();
  std::vector<Slice> slices;
  std::vector<SegmentPtr> direct;
  for (const SegmentPtr& segment : segments) {
    Slice slice;
    slice.segment = segment;
    if (!freeze_logged(core, *segment, slice)) break;
    if (belongs_into_main(core, *segment, *slice.view)) {
      direct.push_back(segment);
    } else {
      slices.push_back(std::move(slice));
    }
  }
  if (core.unlogged_writes) {
    if (control.joined != nullptr) return;
    flush_unlogged(core, control);
  } else {
    if (!slices.empty()) flush_slices(core, std::move(slices), control);
    flush_direct(core, direct, control);
  }
  ++core.counters.flush;
}

}  // namespace varve::internal
