// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "directory/check.hpp"
#include "lib/main_merge.hpp"

namespace varve::internal {

SegmentPtr merge_neighbours(Core& core, const SegmentPtr& left, const SegmentPtr& right,
                            const JobControl& control) {
  core.failure.rethrow_if_failed();
  VARVE_CHECK(left->upper() == right->lower());
  // What is frozen may be shared with a sibling of an earlier split, and then holds keys of its
  // range: in one merge of both it could pass for newer than it is.
  if (!Core::view_of(*left)->frozen.empty() || !Core::view_of(*right)->frozen.empty()) {
    flush_segments(core, {left, right}, control);
    if (left->retired() || right->retired()) return left;  // A later pass looks again.
    if (control.joined != nullptr && core.unlogged_writes) return left;  // Likewise: not flushed.
  }
  const std::vector<Part> parts = take_parts(core, {left, right}, control);
  const std::uint64_t log_position = core.log_position();
  const std::vector<Sequence> snapshots = core.snapshots_for_merge();
  // Their keys do not overlap, so all layers of both are one merge. One flushed sequence speaks for
  // both: what the other has beyond it is replayed twice, to the same effect.
  const Sequence cut = std::min(parts.front().cut, parts.back().cut);
  SequenceRange range;
  std::vector<std::shared_ptr<const segment::Delta>> deltas;
  std::vector<segment::RunLayer> runs;
  segment::View rules_view;
  for (const Part& part : parts) {
    add_ranges(*part.view, range);
    deltas.insert(deltas.end(), part.view->frozen.begin(), part.view->frozen.end());
    runs.insert(runs.end(), part.view->runs.begin(), part.view->runs.end());
    add_tombstones(rules_view.range_tombstones, part.view->range_tombstones);
  }
  segment::PruningSource source(deltas, runs, rules_for(snapshots, rules_view, true), left->lower(),
                                right->upper());
  MainWriter writer(core, control, *left, cut, UINT64_MAX);
  writer.begin(left->id(), left->lower(), left->version().version() + 1);
  writer.write_all(source, range);
  std::vector<Child> children = writer.finish();
  for (Child& child : children) {
    child.record.range_tombstones = surviving_tombstones(snapshots, rules_view);
  }
  sync_log_before_commit(core, control, log_position);
  ++core.counters.merge;
  return install(core, parts, std::move(children), writer).front();
}

}  // namespace varve::internal
