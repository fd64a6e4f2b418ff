// SPDX-License-Identifier: Apache-2.0
#include "lib/maintenance.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "segment/compaction.hpp"

namespace varve::internal {
namespace {

// The log may grow to this multiple of the memory budget before segments are flushed for its sake.
constexpr std::uint64_t kLogBudgetFactor = 3;
// More than this many of either in a segment would show in its reads.
constexpr std::size_t kRangeTombstonesMax = 32;
constexpr std::size_t kFrozenDeltasMax = 8;

void sort_by_route(const Core& core, std::vector<SegmentPtr>& segments) {
  std::sort(segments.begin(), segments.end(), [&](const SegmentPtr& a, const SegmentPtr& b) {
    return core.routes().index_of(a->lower()) < core.routes().index_of(b->lower());
  });
}

bool flush_for_log(Core& core, const JobControl& control) {
  const std::uint64_t limit = kLogBudgetFactor * core.options.memory_budget;
  if (core.log == nullptr) return false;
  Sequence needed = 0;
  {
    const auto lock = core.lock_catalog();
    if (core.log->live_size() <= limit) return false;
    needed = core.log->checkpoint_for_live_size(limit / 2);
  }
  const auto manifest = core.manifest();
  const auto& records = manifest->segments;
  std::vector<SegmentPtr> chosen;
  for (std::size_t i = 0; i < core.routes().size(); ++i) {
    const SegmentPtr& segment = core.routes().at(i);
    if (oldest_unflushed(*Core::view_of(*segment), records[i].flushed_sequence) <= needed) {
      chosen.push_back(segment);
    }
  }
  if (chosen.empty()) {  // Nothing holds the log back: a commit alone lets go of it.
    if (manifest->checkpoint >= needed) return false;
    core.commit([](Manifest&) {});
    return true;
  }
  flush_segments(core, chosen, control);
  return true;
}

bool is_erased_whole(const Core& core, const segment::Segment& segment, const segment::View& view) {
  if (view.range_tombstones.empty() || (view.runs.empty() && !view.has_memory())) return false;
  const RangeTombstone& newest = view.range_tombstones.back();
  return core.snapshots.count() == 0 && newest.from <= segment.lower() &&
         (newest.to.empty() || (!segment.upper().empty() && newest.to >= segment.upper()));
}

bool merge_one_segment(Core& core, const JobControl& control) {
  for (const SegmentPtr& segment : core.routes().segments()) {
    const segment::ViewRef held = Core::view_of(*segment);
    const segment::View& view = *held;
    const bool many_tombstones = view.range_tombstones.size() > kRangeTombstonesMax &&
                                 core.snapshots.count() == 0;  // Else the merge must keep them.
    if (many_tombstones || view.frozen.size() > kFrozenDeltasMax ||
        is_erased_whole(core, *segment, view)) {
      merge_main(core, SegmentPtr(segment), control);
      return true;
    }
    const segment::MergePlan plan =
        segment::plan_merge(view, core.compaction_ratio(*segment), core.options.tuning);
    switch (plan.kind) {
      case segment::MergeKind::None:
        break;
      case segment::MergeKind::Main:
        merge_main(core, SegmentPtr(segment), control);
        return true;
      case segment::MergeKind::Tier:
        merge_tier(core, SegmentPtr(segment), plan.first, plan.count, control);
        return true;
    }
  }
  return false;
}

bool merge_small_neighbours(Core& core, const JobControl& control) {
  const std::uint64_t small = core.options.tuning.segment_size / 4;
  const auto size = [](const segment::Segment& segment) {
    const segment::ViewRef view = Core::view_of(segment);
    return view->memory_size() + view->slices_size() + view->main_size();
  };
  const auto& segments = core.routes().segments();
  for (std::size_t i = 1; i < segments.size(); ++i) {
    if (size(*segments[i - 1]) < small && size(*segments[i]) < small) {
      merge_neighbours(core, SegmentPtr(segments[i - 1]), SegmentPtr(segments[i]), control);
      return true;
    }
  }
  return false;
}

}  // namespace

bool flush_for_memory(Core& core, const JobControl& control) {
  if (!memory_due(core)) return false;
  std::vector<std::pair<std::size_t, SegmentPtr>> by_size;
  for (const SegmentPtr& segment : core.routes().segments()) {
    const segment::ViewRef view = Core::view_of(*segment);
    if (view->has_memory()) by_size.emplace_back(view->memory_size(), segment);
  }
  if (by_size.empty()) return false;
  std::sort(by_size.begin(), by_size.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<SegmentPtr> chosen;
  std::size_t collected = 0;
  for (auto& [size, segment] : by_size) {
    if (collected >= core.options.memory_budget / 8) break;
    collected += size;
    chosen.push_back(std::move(segment));
  }
  sort_by_route(core, chosen);
  flush_segments(core, chosen, control);
  if (core.concurrency != nullptr) core.concurrency->domain.collect();
  core.memory_after_flush = core.memory_size();
  return true;
}

bool maintain_once(Core& core, const JobControl& control) {
  return flush_for_memory(core, control) || flush_for_log(core, control) ||
         merge_one_segment(core, control) || merge_small_neighbours(core, control);
}

void flush_all(Core& core, const JobControl& control) {
  std::vector<SegmentPtr> chosen;
  const auto manifest = core.manifest();
  const auto& records = manifest->segments;
  for (std::size_t i = 0; i < core.routes().size(); ++i) {
    const SegmentPtr& segment = core.routes().at(i);
    if (oldest_unflushed(*Core::view_of(*segment), records[i].flushed_sequence) !=
        segment::kSequenceMax) {
      chosen.push_back(segment);
    }
  }
  if (!chosen.empty()) flush_segments(core, chosen, control);
}

}  // namespace varve::internal
