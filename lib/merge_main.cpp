// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <utility>

#include "directory/mutant.hpp"
#include "lib/hooks.hpp"
#include "lib/main_merge.hpp"

namespace varve::internal {
namespace {

// True when everything but the main run lies behind it, as with ascending keys: then the main run
// can stay as it is, and the new keys begin segments of their own.
bool only_appends(const Core& core, const segment::View& view) {
  const segment::RunLayer* main = view.main_run();
  if (main == nullptr || main->record.size < core.options.tuning.segment_size / 2 ||
      !view.range_tombstones.empty()) {
    return false;
  }
  const std::string_view largest = main->run->largest_key();
  const auto begins_behind = [&](segment::EntrySource& source) {
    source.seek_to_first();
    return !source.valid() || source.entry().key > largest;
  };
  for (const auto& delta : view.frozen) {
    if (!begins_behind(*delta->cursor())) return false;
  }
  for (const segment::RunLayer& layer : view.runs) {
    if (&layer != main && layer.run->smallest_key() <= largest) return false;
  }
  return true;
}

std::uint64_t input_size(const segment::View& view) {
  std::uint64_t size = 0;
  for (const auto& delta : view.frozen) size += delta->data_size();
  for (const segment::RunLayer& layer : view.runs) size += layer.record.size;
  return size;
}

// Bytes after which a child is closed: equal children of at least half the segment size.
std::uint64_t child_size(const Core& core, std::uint64_t estimate) {
  const std::uint64_t limit = core.options.tuning.segment_size;
  if (estimate <= limit) return UINT64_MAX;
  const std::uint64_t count = std::max<std::uint64_t>(2, estimate / (limit / 2 + limit / 4));
  return estimate / count;
}

// The sequence below which nothing in the segment can be seen by anybody, because a range
// tombstone covers all of it and no snapshot is older; 0: none.
Sequence all_erased_below(const std::vector<Sequence>& snapshots, const segment::Segment& segment,
                          const segment::View& view) {
  for (auto it = view.range_tombstones.rbegin(); it != view.range_tombstones.rend(); ++it) {
    const bool covers = it->from <= segment.lower() &&
                        (it->to.empty() || (!segment.upper().empty() && it->to >= segment.upper()));
    if (covers && (snapshots.empty() || snapshots.front() >= it->sequence)) return it->sequence;
  }
  return 0;
}

}  // namespace

std::vector<SegmentPtr> merge_main(Core& core, const SegmentPtr& segment,
                                   const JobControl& control) {
  core.failure.rethrow_if_failed();
  const std::vector<Part> parts = take_parts(core, {segment}, control);
  const segment::View& view = *parts.front().view;
  const Sequence cut = parts.front().cut;
  const auto manifest = core.manifest();
  const std::size_t record_at = position_of(*manifest, segment->id());
  // Also what a range erase takes away must not run ahead of the log: after power loss the other
  // segments would still have their part of the range.
  const bool ahead = !view.frozen.empty() ||
                     oldest_unflushed(view, manifest->segments[record_at].flushed_sequence) !=
                         segment::kSequenceMax;
  const std::uint64_t log_position = core.log_position();
  const std::vector<Sequence> snapshots = core.snapshots_for_merge();
  const std::uint64_t version = segment->version().version() + 1;
  const bool appends = only_appends(core, view);
  std::vector<segment::RunLayer> inputs = view.runs;
  std::uint64_t estimate = input_size(view);
  if (appends) {
    estimate -= inputs.back().record.size;
    inputs.pop_back();
  }
  MainWriter writer(core, control, *segment, cut, child_size(core, estimate));
  SequenceRange range;
  add_ranges(view, range);
  // What a range tombstone has erased whole need not be read.
  const Sequence erased = all_erased_below(snapshots, *segment, view);
  std::vector<std::shared_ptr<const segment::Delta>> deltas = view.frozen;
  std::erase_if(deltas, [&](const auto& delta) { return delta->last_sequence() < erased; });
  std::erase_if(inputs, [&](const auto& layer) { return layer.record.last_sequence < erased; });
  segment::PruningSource source(deltas, inputs, rules_for(snapshots, view, true), segment->lower(),
                                segment->upper());
  if (appends) {
    SegmentRecord kept = manifest->segments[record_at];
    kept.slices.clear();
    kept.flushed_sequence = cut;
    kept.version = version;
    writer.last_key = view.main_run()->run->largest_key();
    writer.keep(std::move(kept), view.main_run()->run);
  } else {
    writer.begin(segment->id(), segment->lower(), version);
  }
  writer.write_all(source, range);
  std::vector<Child> children = writer.finish();
  for (Child& child : children) {
    child.record.range_tombstones = surviving_tombstones(snapshots, view);
  }
  VARVE_HOOK("merge.written");
  if (ahead && !VARVE_MUTANT("merge.log_not_synced")) {
    sync_log_before_commit(core, control, log_position);
  }
  ++core.counters.compaction;
  if (children.size() > 1) ++core.counters.split;
  return install(core, parts, std::move(children), writer);
}

}  // namespace varve::internal
