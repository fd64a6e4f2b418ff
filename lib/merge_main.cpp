// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "lib/hooks.hpp"
#include "lib/merge_job.hpp"
#include "lib/merge_output.hpp"
#include "lib/segment_locks.hpp"

namespace varve::internal {
namespace {

// The inputs of a main merge, all in one view, or in two neighbours' views.
struct Part {
  SegmentPtr segment;
  segment::ViewRef view;  // What is active in it is not merged.
  Sequence cut = 0;       // Everything of the segment up to here is in the inputs.
};

// A new main run and the segment that it is for.
struct Child {
  SegmentRecord record;
  std::shared_ptr<const segment::Run> run;
};

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

// Writes the main runs of one merge and makes up the records of the segments that will own them.
class MainWriter {
 public:
  // `parent`: in whose place the children come.
  MainWriter(Core& core, const JobControl& control, const segment::Segment& parent, Sequence cut,
             std::uint64_t child_size)
      : core_(core),
        control_(control),
        parent_(parent),
        cut_(cut),
        child_size_(child_size),
        pending_(core) {}

  // A child that is there already: the append case's untouched main run.
  void keep(SegmentRecord record, std::shared_ptr<const segment::Run> run) {
    children_.push_back({std::move(record), std::move(run)});
  }
  // The first written child takes over `id` and `fence`.
  void begin(std::uint64_t id, std::string fence, std::uint64_t version) {
    first_ = SegmentRecord{};
    first_->id = id;
    first_->fence = std::move(fence);
    first_->version = version;
  }
  void write_all(segment::PruningSource& source, const SequenceRange& range) {
    const WritingPhase writing(core_, control_);
    while (source.valid()) write_one(source, range);
  }
  // Hands out the children; an empty first one when nothing was written.
  std::vector<Child> finish() {
    if (first_) {
      first_->flushed_sequence = cut_;
      children_.push_back({std::move(*first_), nullptr});
    }
    return std::move(children_);
  }
  // Above all ids that were given to children.
  [[nodiscard]] std::uint64_t next_id() const noexcept { return next_id_; }
  void committed() noexcept { pending_.committed(); }
  std::string last_key;  // Written so far, or of a kept run.

 private:
  void write_one(segment::PruningSource& source, const SequenceRange& range) {
    SegmentRecord record;
    if (first_) {
      record = std::move(*first_);
      first_.reset();
    } else {
      record.id = core_.take_segment_id();
      next_id_ = record.id + 1;
      record.version = 1;
      record.fence = segment::shortest_separator(last_key, source.entry().key);
    }
    record.flushed_sequence = cut_;
    RunRecord file;
    file.kind = RunRecord::Kind::Main;
    file.file_number = record.id;
    file.file_version = record.version;
    const std::uint64_t seed = run_seed(core_.manifest()->uuid, file);
    // A file that nobody notes would be in the way of the next attempt, which has the same name.
    std::string name = run_file_name(file);
    pending_.reserve();
    core_.put_runs(name, [&](directory::Sink& sink) {
      const auto summary = write_run(core_, sink, seed, source, child_size_, control_, &last_key);
      RunRecord written = record_of(*summary);
      written.kind = file.kind;
      written.file_number = file.file_number;
      written.file_version = file.file_version;
      written.first_sequence = range.first;
      written.last_sequence = range.last;
      record.main = written;
    });
    pending_.add(std::move(name));
    auto run = pending_.open(*record.main);
    if (is_being_read(parent_)) verify_blocks(*run, control_);
    children_.push_back({std::move(record), std::move(run)});
  }

  Core& core_;
  const JobControl& control_;
  const segment::Segment& parent_;
  const Sequence cut_;
  const std::uint64_t child_size_;
  std::uint64_t next_id_ = 0;
  std::optional<SegmentRecord> first_;
  std::vector<Child> children_;
  PendingFiles pending_;
};

// Range tombstones that must outlive the merge: a snapshot older than the tombstone still needs
// what lies under it, so the merge kept that, and the tombstone must go on hiding it.
std::vector<RangeTombstone> surviving_tombstones(const std::vector<Sequence>& snapshots,
                                                 const segment::View& view) {
  std::vector<RangeTombstone> surviving;
  if (snapshots.empty()) return surviving;
  std::copy_if(
      view.range_tombstones.begin(), view.range_tombstones.end(), std::back_inserter(surviving),
      [&](const RangeTombstone& tombstone) { return snapshots.front() < tombstone.sequence; });
  return surviving;
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

// Adds the tombstones of `from` that `list` does not have yet; a tombstone reaches beyond its
// segment, so neighbours have it as well.
void add_tombstones(std::vector<RangeTombstone>& list, const std::vector<RangeTombstone>& from) {
  for (const RangeTombstone& tombstone : from) {
    if (std::find(list.begin(), list.end(), tombstone) == list.end()) list.push_back(tombstone);
  }
  std::sort(list.begin(), list.end(), [](const RangeTombstone& a, const RangeTombstone& b) {
    return a.sequence < b.sequence;
  });
}

// Those that came after the merge had taken its inputs: what it wrote is wholly older than they.
std::vector<RangeTombstone> later_tombstones(const Part& part) {
  if (VARVE_MUTANT("merge.later_range_erases_dropped")) return {};
  const auto& now = part.segment->view().range_tombstones;  // Only ever appended to beside a job.
  const auto seen = static_cast<std::ptrdiff_t>(part.view->range_tombstones.size());
  return {now.begin() + seen, now.end()};
}

void add_ranges(const segment::View& view, SequenceRange& range) {
  for (const auto& delta : view.frozen) range.add(*delta);
  for (const segment::RunLayer& layer : view.runs) range.add(layer.record);
}

// Leaves the routes alone: the one child owns just what its parent did. What was written meanwhile
// is in the active delta, which stays.
void install_in_place(Core& core, const Part& part, const Child& child) {
  core.publish(*part.segment, [&](segment::View& next) {
    for (const auto& delta : part.view->frozen) std::erase(next.frozen, delta);
    next.runs.clear();
    if (child.record.main) next.runs.push_back({*child.record.main, child.run});
    next.range_tombstones = child.record.range_tombstones;
    add_tombstones(next.range_tombstones, later_tombstones(part));
  });
}

// What the parents hold that was not merged: it goes to all children, which see their part of it.
struct Leftover {
  std::vector<std::shared_ptr<const segment::Delta>> frozen;
  std::vector<RangeTombstone> range_tombstones;
};
Leftover leftover_of(const std::vector<Part>& parts) {
  Leftover leftover;
  if (VARVE_MUTANT("split.leftover_dropped")) return leftover;
  for (const Part& part : parts) {
    const segment::View& now = part.segment->view();
    if (!now.active->empty()) leftover.frozen.push_back(now.active);
    for (const auto& delta : now.frozen) {
      const auto& merged = part.view->frozen;
      if (std::find(merged.begin(), merged.end(), delta) == merged.end()) {
        leftover.frozen.push_back(delta);
      }
    }
    add_tombstones(leftover.range_tombstones, later_tombstones(part));
  }
  return leftover;
}

std::uint64_t frozen_entry_count(const std::vector<Part>& parts) {
  std::uint64_t count = 0;
  for (const Part& part : parts) {
    for (const auto& delta : part.view->frozen) count += delta->entry_count();
  }
  return count;
}

SegmentPtr segment_of(Core& core, const Child& child, std::string upper, const Leftover& leftover,
                      std::uint64_t version_min, std::uint64_t expected_count) {
  auto view = std::make_unique<segment::View>();
  view->active = core.make_delta(expected_count);
  view->frozen = leftover.frozen;
  if (child.record.main) view->runs.push_back({*child.record.main, child.run});
  view->range_tombstones = child.record.range_tombstones;
  add_tombstones(view->range_tombstones, leftover.range_tombstones);
  auto made = std::make_shared<segment::Segment>(
      child.record.id, child.record.fence, std::move(upper),
      std::max(child.record.version, version_min), view.get(), core.locks.segment);
  static_cast<void>(view.release());  // The segment's, from here on.
  return made;
}

// Puts new segments in the place of the parents. Writers that wait for a parent's lock find it
// retired and look for its heir.
std::vector<SegmentPtr> install_children(Core& core, std::size_t position,
                                         const std::vector<Part>& parts,
                                         const std::vector<Child>& children) {
  std::vector<segment::Segment*> parents;
  for (const Part& part : parts) parents.push_back(part.segment.get());
  const SegmentLocks locks(core, parents);
  const Leftover leftover = leftover_of(parts);
  std::uint64_t version_min = 0;
  for (const Part& part : parts) {
    version_min = std::max(version_min, part.segment->version().version() + 1);
  }
  const std::string upper = parts.back().segment->upper();
  const std::uint64_t expected_count = frozen_entry_count(parts) / children.size();
  std::vector<SegmentPtr> segments;
  for (std::size_t i = 0; i < children.size(); ++i) {
    segments.push_back(segment_of(core, children[i],
                                  i + 1 < children.size() ? children[i + 1].record.fence : upper,
                                  leftover, version_min, expected_count));
  }
  // A write that was to a parent may concern any child.
  Sequence last_write = 0;
  for (const Part& part : parts) last_write = std::max(last_write, part.segment->last_write());
  for (const SegmentPtr& segment : segments) segment->note_write(last_write);
  replace_routes(core, position, parts.size(), segments);
  // Whoever still reads the old segment optimistically must learn that it is history.
  for (const Part& part : parts) part.segment->retire();
  return segments;
}

void retire_inputs(Core& core, const std::vector<Part>& parts, const std::vector<Child>& children) {
  for (const Part& part : parts) {
    for (const segment::RunLayer& layer : part.view->runs) {
      const bool kept = std::any_of(children.begin(), children.end(),
                                    [&](const Child& child) { return child.run == layer.run; });
      if (!kept) core.run_store.retire(layer.record, layer.run);
    }
  }
}

// Commits that `children` take the place of `parts`, then lets readers see it.
std::vector<SegmentPtr> install(Core& core, const std::vector<Part>& parts,
                                std::vector<Child> children, MainWriter& writer) {
  const std::size_t position = position_of(*core.manifest(), parts.front().segment->id());
  if (VARVE_MUTANT("merge.inputs_removed_before_commit")) {
    for (const segment::RunLayer& layer : parts.front().view->runs) {
      core.directory->remove(run_file_name(layer.record));
    }
  }
  core.commit([&](Manifest& next) {
    next.next_segment_id = std::max(next.next_segment_id, writer.next_id());
    const auto at = next.segments.begin() + static_cast<std::ptrdiff_t>(position);
    next.segments.erase(at, at + static_cast<std::ptrdiff_t>(parts.size()));
    std::vector<SegmentRecord> records;
    records.reserve(children.size());
    for (const Child& child : children) records.push_back(child.record);
    next.segments.insert(next.segments.begin() + static_cast<std::ptrdiff_t>(position),
                         records.begin(), records.end());
  });
  VARVE_HOOK("merge.committed");
  std::vector<SegmentPtr> segments;
  core.after_commit([&] {
    if (parts.size() == 1 && children.size() == 1) {
      VARVE_CHECK(children.front().record.id == parts.front().segment->id());
      install_in_place(core, parts.front(), children.front());
      segments.push_back(parts.front().segment);
    } else {
      segments = install_children(core, position, parts, children);
    }
    retire_inputs(core, parts, children);
  });
  writer.committed();  // Not before the views are as the manifest is: see ~PendingFiles().
  for (const Part& part : parts) core.job_failures.clear(part.segment->id());
  core.sweep();
  return segments;
}

// The segment without what came after `flushed`: neither its memory nor its later range tombstones.
segment::ViewRef flushed_part(const segment::View& view, Sequence flushed) {
  auto part = std::make_unique<segment::View>();
  part->active = view.active;
  part->runs = view.runs;
  std::copy_if(view.range_tombstones.begin(), view.range_tombstones.end(),
               std::back_inserter(part->range_tombstones), [&](const RangeTombstone& tombstone) {
                 return tombstone.sequence <= flushed ||
                        VARVE_MUTANT("merge.range_erases_applied_early");
               });
  segment::ViewRef reference(*part);
  part.release()->release();  // The reference's is the only one.
  return reference;
}

void write_file(Core& core, const JobControl& control, const std::string& name,
                const std::function<void(directory::Sink&)>& write) {
  const WritingPhase writing(core, control);
  core.put_runs(name, write);
}

void sync_log(Core& core, const JobControl& control) {
  const WritingPhase writing(core, control);
  core.sync_log();
}

// Freezes what the segments have in memory, at one moment. But writes without a log record become
// durable all at one moment or not at all (Core::unlogged_writes), and no segment must run ahead of
// the others: they are flushed as a whole, and when more of them come at once, the merge leaves
// them out.
std::vector<Part> take_parts(Core& core, const std::vector<SegmentPtr>& segments,
                             const JobControl& control) {
  if (core.unlogged_writes && control.joined == nullptr) flush_segments(core, {}, control);
  const auto manifest = core.manifest();
  std::vector<Part> parts;
  const SegmentLocks locks(core, segments);
  const bool leave_memory = core.unlogged_writes;
  for (const SegmentPtr& segment : segments) {
    const Sequence flushed =
        manifest->segments[position_of(*manifest, segment->id())].flushed_sequence;
    if (leave_memory) {
      parts.push_back({segment, flushed_part(segment->view(), flushed), flushed});
      continue;
    }
    freeze(core, *segment);
    parts.push_back(
        {segment, segment::ViewRef(segment->view()), std::max(flushed, core.last_sequence())});
  }
  return parts;
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
  if (ahead && !VARVE_MUTANT("merge.log_not_synced")) sync_log(core, control);
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
  ++core.counters.compaction;
  if (children.size() > 1) ++core.counters.split;
  return install(core, parts, std::move(children), writer);
}

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
  sync_log(core, control);
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
  ++core.counters.merge;
  return install(core, parts, std::move(children), writer).front();
}

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
  const std::vector<segment::RunLayer> inputs(begin, begin + static_cast<std::ptrdiff_t>(count));
  const bool bottom = first + count == view->runs.size();
  RunRecord file;
  file.kind = RunRecord::Kind::Slice;
  file.file_number = core.take_delta_number();
  SequenceRange range;
  for (const segment::RunLayer& layer : inputs) range.add(layer.record);
  const std::vector<Sequence> snapshots = core.snapshots_for_merge();
  std::optional<RunRecord> record;
  PendingFiles pending(core);
  write_file(core, control, run_file_name(file), [&](directory::Sink& sink) {
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
  core.commit([&](Manifest& next) {
    next.next_delta_number = std::max(next.next_delta_number, file.file_number + 1);
    SegmentRecord& target = next.segments[position_of(next, segment->id())];
    target.version = segment->version().version();
    replace(target.slices, record.value_or(RunRecord{}));
  });
  pending.committed();
  core.after_commit([&] {
    core.publish(*segment, [&](segment::View& next) {
      replace(next.runs, segment::RunLayer{record.value_or(RunRecord{}), run});
    });
    for (const segment::RunLayer& layer : inputs) core.run_store.retire(layer.record, layer.run);
    if (!record) core.run_store.discard(run_file_name(file));
  });
  core.job_failures.clear(segment->id());
  core.sweep();
  ++core.counters.compaction;
}

}  // namespace varve::internal
