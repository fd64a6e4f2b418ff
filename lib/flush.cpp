// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "lib/merge_job.hpp"
#include "lib/merge_output.hpp"

namespace varve::internal {

void freeze(Core& core, segment::Segment& segment) {
  if (segment.view().active->empty()) return;
  core.publish(segment, [&](segment::View& view) {
    view.frozen.insert(view.frozen.begin(), std::move(view.active));
    view.active = core.make_delta();
  });
}

namespace {

// One segment's part of a flush.
struct Slice {
  SegmentPtr segment;
  segment::ViewRef view;  // As of the freeze.
  std::optional<RunRecord> record;
  std::shared_ptr<const segment::Run> run;
};

// Writes the frozen deltas of every segment into one delta file; slices come out in key order
// because `slices` is.
void write_delta_file(Core& core, std::uint64_t number, std::vector<Slice>& slices,
                      const JobControl& control) {
  RunRecord file;
  file.kind = RunRecord::Kind::Slice;
  file.file_number = number;
  const std::uint64_t seed = run_seed(core.manifest().uuid, file);
  core.directory->put_immutable(delta_file_name(number), [&](directory::Sink& sink) {
    for (Slice& slice : slices) {
      pad_to_slice(sink);
      const segment::View& view = *slice.view;
      segment::PruningSource source(view.frozen, {}, rules_for(core, view, view.runs.empty()),
                                    slice.segment->lower(), slice.segment->upper());
      const auto summary = write_run(core, sink, seed, source, UINT64_MAX, control);
      if (!summary) continue;
      RunRecord record = record_of(*summary);
      record.kind = RunRecord::Kind::Slice;
      record.file_number = number;
      SequenceRange range;
      for (const auto& delta : view.frozen) range.add(*delta);
      record.first_sequence = range.first;
      record.last_sequence = range.last;
      slice.record = record;
    }
  });
}

// Lets the manifest, then the readers, see the slices in the place of the frozen deltas.
void publish_slices(Core& core, std::uint64_t number, std::vector<Slice>& slices, Sequence cut) {
  core.commit([&](Manifest& next) {
    next.next_delta_number = std::max(next.next_delta_number, number + 1);
    std::size_t position = 0;
    for (const Slice& slice : slices) {
      while (next.segments[position].id != slice.segment->id()) ++position;  // Both in key order.
      SegmentRecord& record = next.segments[position];
      record.flushed_sequence = std::max(record.flushed_sequence, cut);
      record.version = slice.segment->version().version();
      record.range_tombstones = slice.view->range_tombstones;
      if (slice.record) record.slices.insert(record.slices.begin(), *slice.record);
    }
  });
  for (Slice& slice : slices) {
    core.publish(*slice.segment, [&](segment::View& view) {
      for (const auto& delta : slice.view->frozen) std::erase(view.frozen, delta);
      if (slice.record) view.runs.insert(view.runs.begin(), {*slice.record, slice.run});
    });
  }
}

void flush_slices(Core& core, std::vector<Slice> slices, Sequence cut, const JobControl& control) {
  const std::uint64_t number = core.manifest().next_delta_number;
  const bool any_memory = std::any_of(
      slices.begin(), slices.end(), [](const Slice& slice) { return !slice.view->frozen.empty(); });
  PendingFiles pending(core);
  if (any_memory) {
    write_delta_file(core, number, slices, control);
    pending.add(delta_file_name(number));
  }
  const bool any_slice = std::any_of(slices.begin(), slices.end(),
                                     [](const Slice& slice) { return slice.record.has_value(); });
  for (Slice& slice : slices) {
    if (slice.record) slice.run = pending.open(*slice.record);
  }
  publish_slices(core, number, slices, cut);
  pending.committed();
  if (any_memory && !any_slice) core.directory->remove(delta_file_name(number));
}

}  // namespace

void flush_segments(Core& core, const std::vector<SegmentPtr>& segments,
                    const JobControl& control) {
  core.failure.rethrow_if_failed();
  const bool whole_index = core.unlogged_writes;
  const std::vector<SegmentPtr>& chosen = whole_index ? core.routes->segments() : segments;
  // Everything up to the cut is frozen, hence in the runs that this flush writes.
  const Sequence cut = core.last_sequence;
  // A run must not hold writes that the log could still lose: after power loss the index would
  // show them without their predecessors.
  core.sync_log();
  std::vector<Slice> slices;
  std::vector<SegmentPtr> direct;
  for (const SegmentPtr& segment : chosen) {
    freeze(core, *segment);
    const segment::View& view = segment->view();
    const bool to_main =
        !whole_index && view.has_memory() &&
        segment::flush_merges_main(view, core.compaction_ratio(*segment), core.options.tuning);
    if (to_main) {
      direct.push_back(segment);
    } else {
      slices.push_back({segment, segment::ViewRef(view), std::nullopt, nullptr});
    }
  }
  if (!slices.empty()) flush_slices(core, std::move(slices), cut, control);
  if (whole_index) core.unlogged_writes = false;
  for (const SegmentPtr& segment : direct) merge_main(core, segment, control);
  ++core.counters.flush;
}

}  // namespace varve::internal
