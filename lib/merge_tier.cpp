// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "lib/main_merge.hpp"

namespace varve::internal {
namespace {

// Gives `file` a number.
void write_file(Core& core, const JobControl& control, RunRecord& file,
                const std::function<void(directory::Sink&)>& write) {
  const auto next_name = [&] {
    file.file_number = core.take_delta_number();
    return run_file_name(file);
  };
  const WritingPhase writing(core, control);
  static_cast<void>(put_runs_by_free_name(core, next_name, write));
}

}  // namespace

void merge_tier(Core& core, const SegmentPtr& segment, std::size_t first, std::size_t count,
                const JobControl& control) {
  core.failure.rethrow_if_failed();
  // Range tombstones that are not in the manifest yet may still be lost: what they cover stays.
  const auto manifest = core.manifest();
  const segment::ViewRef view =
      flushed_part(*Core::view_of(*segment),
                   manifest->segments[position_of(*manifest, segment->id())].flushed_sequence);
  VARVE_CHECK(count > 0 && first + count <= view->slice_count());
  const auto begin = view->runs.begin() + static_cast<std::ptrdiff_t>(first);
  std::vector<segment::RunLayer> inputs(begin, begin + static_cast<std::ptrdiff_t>(count));
  if (VARVE_MUTANT("merge.older_version_wins")) std::reverse(inputs.begin(), inputs.end());
  const bool bottom = first + count == view->runs.size();
  RunRecord file;
  file.kind = RunRecord::Kind::Slice;
  SequenceRange range;
  for (const segment::RunLayer& layer : inputs) range.add(layer.record);
  const std::vector<Sequence> snapshots = core.snapshots_for_merge();
  std::optional<RunRecord> record;
  PendingFiles pending(core);
  write_file(core, control, file, [&](directory::Sink& sink) {
    segment::PruningSource source({}, inputs, rules_for(snapshots, *view, bottom), segment->lower(),
                                  segment->upper());
    const auto summary =
        write_run(core, sink, run_seed(core.manifest()->uuid, file), source, UINT64_MAX, control);
    if (!summary) return;
    record = record_of(*summary);
    record->kind = file.kind;
    record->file_number = file.file_number;
    record->tier = inputs.front().record.tier + 1;
    record->first_sequence = range.first;
    record->last_sequence = range.last;
  });
  pending.add(run_file_name(file));
  std::shared_ptr<const segment::Run> run;
  if (record) run = pending.open(*record);
  if (record && is_being_read(*segment)) {
    const WritingPhase writing(core, control);
    verify_blocks(*run, control);
  }
  const auto replace = [&](auto& list, auto&& replacement) {
    const auto at = list.begin() + static_cast<std::ptrdiff_t>(first);
    list.erase(at, at + static_cast<std::ptrdiff_t>(count));
    if (record) list.insert(list.begin() + static_cast<std::ptrdiff_t>(first), replacement);
  };
  // Made before the commit: after it there must be nothing that can fail outside of it.
  const std::function<void()> show = [&] {
    core.publish(*segment, [&](segment::View& next) {
      replace(next.runs, segment::RunLayer{record.value_or(RunRecord{}), run});
    });
    for (const segment::RunLayer& layer : inputs) core.run_store.retire(layer.record);
    if (!record) core.run_store.discard(run_file_name(file));
  };
  core.commit([&](Manifest& next) {
    next.next_delta_number = std::max(next.next_delta_number, file.file_number + 1);
    SegmentRecord& target = next.segments[position_of(next, segment->id())];
    target.version = segment->version().version();
    replace(target.slices, record.value_or(RunRecord{}));
  });
  core.after_commit(show);
  pending.committed();  // Not before the views are as the manifest is: see ~PendingFiles().
  core.job_failures.clear(segment->id());
  core.sweep();
  ++core.counters.compaction;
}

}  // namespace varve::internal
