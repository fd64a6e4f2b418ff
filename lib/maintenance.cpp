// SPDX-License-Identifier: Apache-2.0
#include "lib/maintenance.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "directory/mutant.hpp"
#include "lib/ordered_by_cost.hpp"
#include "segment/compaction.hpp"
#include "varve/error.hpp"

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

std::size_t memory_size(const std::vector<SegmentPtr>& segments) {
  std::size_t size = 0;
  for (const SegmentPtr& segment : segments) size += Core::view_of(*segment)->memory_size();
  return size;
}

void flush_claimed(Core& core, const std::vector<SegmentPtr>& segments, const JobControl& control) {
  const Claim claim(core, segments);
  struct InJob {
    InJob(Core& of, std::size_t bytes) : core(of), size(bytes) { core.memory_in_jobs += size; }
    InJob(const InJob&) = delete;
    InJob& operator=(const InJob&) = delete;
    ~InJob() { core.memory_in_jobs -= size; }
    Core& core;
    const std::size_t size;
  };
  const InJob in_job(core, memory_size(segments));
  flush_segments(core, segments, control);
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
  bool any_in_job = false;
  for (std::size_t i = 0; i < core.routes().size(); ++i) {
    const SegmentPtr& segment = core.routes().at(i);
    if (oldest_unflushed(*Core::view_of(*segment), records[i].flushed_sequence) > needed) continue;
    if (Claim::is_free(core, *segment)) {
      chosen.push_back(segment);
    } else {
      any_in_job = true;
    }
  }
  if (chosen.empty() && any_in_job) return false;
  if (chosen.empty()) {  // Nothing holds the log back: a commit alone lets go of it.
    if (manifest->checkpoint >= needed) return false;
    core.commit([](Manifest&) {});
    return true;
  }
  flush_claimed(core, chosen, control);
  return true;
}

bool is_erased_whole(const Core& core, const segment::Segment& segment, const segment::View& view) {
  if (view.range_tombstones.empty() || (view.runs.empty() && !view.has_memory())) return false;
  const RangeTombstone& newest = view.range_tombstones.back();
  return core.snapshots.count() == 0 && newest.from <= segment.lower() &&
         (newest.to.empty() || (!segment.upper().empty() && newest.to >= segment.upper()));
}

// Merges the segment if that is due.
bool merge_if_due(Core& core, const SegmentPtr& segment, const JobControl& control) {
  const segment::ViewRef held = Core::view_of(*segment);
  const segment::View& view = *held;
  const bool many_tombstones = view.range_tombstones.size() > kRangeTombstonesMax &&
                               core.snapshots.count() == 0;  // Else the merge must keep them.
  segment::MergePlan plan;
  if (many_tombstones || view.frozen.size() > kFrozenDeltasMax ||
      is_erased_whole(core, *segment, view)) {
    plan.kind = segment::MergeKind::Main;
  } else {
    plan = core.merge_plan(*segment, view);
  }
  if (plan.kind == segment::MergeKind::None) {
    core.job_failures.clear(segment->id());  // There is nothing to be tried again.
    return false;
  }
  const Claim claim(core, {segment});
  if (plan.kind == segment::MergeKind::Main) {
    merge_main(core, segment, control);
  } else {
    merge_tier(core, segment, plan.first, plan.count, control);
  }
  return true;
}

bool may_merge(const Core& core, const segment::Segment& segment) {
  return Claim::is_free(core, segment) && !core.job_failures.resting(segment.id());
}

// Does a merge. Should it fail for the sake of these segments alone, they are left alone for a
// while, and others get their turn: false.
bool unless_local(Core& core, const std::vector<std::uint64_t>& segment_ids,
                  const std::function<bool()>& merge) {
  try {
    return merge();
  } catch (const Error& error) {
    if (!core.is_local(error)) throw;
    for (const std::uint64_t id : segment_ids) core.job_failures.note(id, error.what());
    return false;
  }
}

// The one first whose layers cost readers most.
bool merge_one_segment(Core& core, const JobControl& control) {
  const std::vector<SegmentPtr> segments =  // Copies: they may be replaced meanwhile.
      ordered_by_cost(core.routes().segments(),
                      [](const SegmentPtr& segment) { return segment->read_cost(); });
  for (const SegmentPtr& segment : segments) {
    if (!may_merge(core, *segment)) continue;
    const bool merged =
        unless_local(core, {segment->id()}, [&] { return merge_if_due(core, segment, control); });
    if (merged) return true;
  }
  for (const SegmentPtr& segment : segments) segment->age_read_cost();
  return false;
}

bool merge_one_erased(Core& core, const JobControl& control) {
  const std::vector<SegmentPtr> segments = core.routes().segments();
  for (const SegmentPtr& segment : segments) {
    if (!may_merge(core, *segment)) continue;
    if (!is_erased_whole(core, *segment, *Core::view_of(*segment))) continue;
    const Claim claim(core, {segment});
    merge_main(core, segment, control);
    return true;
  }
  return false;
}

bool merge_small_neighbours(Core& core, const JobControl& control) {
  const std::uint64_t small = core.options.tuning.segment_size / 4;
  const auto size = [](const segment::Segment& segment) {
    const segment::ViewRef view = Core::view_of(segment);
    return view->size();
  };
  const auto& segments = core.routes().segments();
  for (std::size_t i = 1; i < segments.size(); ++i) {
    if (!may_merge(core, *segments[i - 1]) || !may_merge(core, *segments[i]) ||
        size(*segments[i - 1]) >= small || size(*segments[i]) >= small) {
      continue;
    }
    const SegmentPtr left = segments[i - 1], right = segments[i];
    return unless_local(core, {left->id(), right->id()}, [&] {
      const Claim claim(core, {left, right});
      merge_neighbours(core, left, right, control);
      return true;
    });
  }
  return false;
}

// Flushes the segments with the most in memory, until it is `size_wanted` bytes together. False:
// there is nothing that could be flushed now.
bool flush_largest(Core& core, std::size_t size_wanted, const JobControl& control) {
  std::vector<std::pair<std::size_t, SegmentPtr>> by_size;
  for (const SegmentPtr& segment : core.routes().segments()) {
    const segment::ViewRef view = Core::view_of(*segment);
    if (view->has_memory() && Claim::is_free(core, *segment))
      by_size.emplace_back(view->memory_size(), segment);
  }
  if (by_size.empty()) return false;
  std::sort(by_size.begin(), by_size.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<SegmentPtr> chosen;
  std::size_t collected = 0;
  for (auto& [size, segment] : by_size) {
    if (collected >= size_wanted) break;
    collected += size;
    chosen.push_back(std::move(segment));
  }
  sort_by_route(core, chosen);
  flush_claimed(core, chosen, control);
  if (core.concurrency != nullptr) core.concurrency->domain.collect();
  core.memory_after_flush = core.memory_size();
  return true;
}

}  // namespace

bool drop_erased_segment(Core& core, const JobControl& control) {
  bool worked = false;
  core.with_reserve([&] { core.do_job([&] { worked = merge_one_erased(core, control); }); });
  return worked;
}

bool flush_for_memory(Core& core, const JobControl& control) {
  return memory_due(core) && flush_largest(core, core.memory_budget.deltas() / 8, control);
}

bool flush_for_erases(Core& core) {
  bool worked = false;
  core.with_reserve([&] { core.do_job([&] { worked = flush_for_memory(core); }); });
  return worked;
}

bool flush_for_readers(Core& core, const JobControl& control) {
  if (core.space.is_short()) return false;
  bool worked = false;
  core.do_job([&] { worked = flush_largest(core, SIZE_MAX, control); });
  core.pool.trim();
  return worked;
}

namespace {

bool do_due_job(Core& core, const JobControl& control) {
  if (core.space.is_short() && merge_one_erased(core, control)) return true;
  if (core.space.lacks(Space::Use::Reserve) && !VARVE_MUTANT("reserve.used_up_by_jobs")) {
    // What is left of the reserve is for erases and for what their caller asks for: only their
    // memory may need it.
    return core.flushable_size() >= core.memory_budget.deltas() && flush_for_memory(core, control);
  }
  return flush_for_memory(core, control) || flush_for_log(core, control) ||
         merge_one_segment(core, control) || merge_small_neighbours(core, control);
}

}  // namespace

bool maintain_once(Core& core, const JobControl& control) {
  bool worked = false;
  core.do_job([&] { worked = do_due_job(core, control); });
  return worked;
}

void flush_all(Core& core, const JobControl& control) {
  core.do_job([&] {
    // Chosen anew by each attempt: the one before may have split some.
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
  });
}

}  // namespace varve::internal
