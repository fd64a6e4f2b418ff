// SPDX-License-Identifier: Apache-2.0
#include "lib/main_merge.hpp"

#include <algorithm>
#include <functional>
#include <iterator>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "lib/hooks.hpp"
#include "lib/segment_locks.hpp"
#include "segment/run_format.hpp"

namespace varve::internal {

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
      const Sequence cut =
          VARVE_MUTANT("merge.unflushed_called_flushed") ? core.last_sequence() : flushed;
      parts.push_back({segment, flushed_part(segment->view(), flushed), cut});
      continue;
    }
    freeze(core, *segment);
    parts.push_back(
        {segment, segment::ViewRef(segment->view()), std::max(flushed, core.last_sequence())});
  }
  return parts;
}

void add_ranges(const segment::View& view, SequenceRange& range) {
  for (const auto& delta : view.frozen) range.add(*delta);
  for (const segment::RunLayer& layer : view.runs) range.add(layer.record);
}

std::vector<RangeTombstone> surviving_tombstones(const std::vector<Sequence>& snapshots,
                                                 const segment::View& view) {
  std::vector<RangeTombstone> surviving;
  if (snapshots.empty() || VARVE_MUTANT("merge.range_erases_forgotten")) return surviving;
  std::copy_if(
      view.range_tombstones.begin(), view.range_tombstones.end(), std::back_inserter(surviving),
      [&](const RangeTombstone& tombstone) { return snapshots.front() < tombstone.sequence; });
  return surviving;
}

void add_tombstones(std::vector<RangeTombstone>& list, const std::vector<RangeTombstone>& from) {
  for (const RangeTombstone& tombstone : from) {
    if (std::find(list.begin(), list.end(), tombstone) == list.end()) list.push_back(tombstone);
  }
  std::sort(list.begin(), list.end(), [](const RangeTombstone& a, const RangeTombstone& b) {
    return a.sequence < b.sequence;
  });
}

void MainWriter::begin(std::uint64_t id, std::string fence, std::uint64_t version) {
  first_ = SegmentRecord{};
  first_->id = id;
  first_->fence = std::move(fence);
  first_->version = version;
}

void MainWriter::write_all(segment::PruningSource& source, const SequenceRange& range) {
  const WritingPhase writing(core_, control_);
  while (source.valid()) write_one(source, range);
}

std::vector<Child> MainWriter::finish() {
  if (first_) {
    first_->flushed_sequence = cut_;
    children_.push_back({std::move(*first_), nullptr});
  }
  return std::move(children_);
}

void MainWriter::write_one(segment::PruningSource& source, const SequenceRange& range) {
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
  const auto next_name = [&] {
    file.file_version = record.version++;
    return run_file_name(file);
  };
  pending_.reserve();  // A file that nobody notes would stay until the next open.
  std::string name = put_runs_by_free_name(core_, next_name, [&](directory::Sink& sink) {
    const std::uint64_t seed = run_seed(core_.manifest()->uuid, file);
    const auto summary = write_run(core_, sink, seed, source, child_size_, control_, &last_key);
    RunRecord written = record_of(*summary);
    written.kind = file.kind;
    written.file_number = file.file_number;
    written.file_version = file.file_version;
    written.first_sequence = range.first;
    written.last_sequence = range.last;
    record.main = written;
  });
  record.version = file.file_version;
  pending_.add(std::move(name));
  auto run = pending_.open(*record.main);
  if (is_being_read(parent_)) verify_blocks(*run, control_);
  children_.push_back({std::move(record), std::move(run)});
}

namespace {

// Those that came after the merge had taken its inputs: what it wrote is wholly older than they.
std::vector<RangeTombstone> later_tombstones(const Part& part) {
  if (VARVE_MUTANT("merge.later_range_erases_dropped")) return {};
  const auto& now = part.segment->view().range_tombstones;  // Only ever appended to beside a job.
  const auto seen = static_cast<std::ptrdiff_t>(part.view->range_tombstones.size());
  return {now.begin() + seen, now.end()};
}

// Leaves the routes alone: the one child owns just what its parent did. What was written meanwhile
// is in the active delta, which stays.
void install_in_place(Core& core, const Part& part, const Child& child) {
  const auto lock = core.lock_writer(*part.segment);
  part.segment->raise_version(child.record.version);
  core.publish_locked(*part.segment, [&](segment::View& next) {
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
  parents.reserve(parts.size());
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
  if (VARVE_MUTANT("split.last_write_forgotten")) last_write = 0;
  for (const SegmentPtr& segment : segments) segment->note_write(last_write);
  replace_routes(core, position, parts.size(), segments);
  // Whoever still reads the old segment optimistically must learn that it is history.
  if (VARVE_MUTANT("split.parent_not_retired")) return segments;
  for (const Part& part : parts) part.segment->retire();
  return segments;
}

void retire_inputs(Core& core, const std::vector<Part>& parts, const std::vector<Child>& children) {
  for (const Part& part : parts) {
    for (const segment::RunLayer& layer : part.view->runs) {
      const bool kept = std::any_of(children.begin(), children.end(),
                                    [&](const Child& child) { return child.run == layer.run; });
      if (!kept) core.run_store.retire(layer.record);
    }
  }
}

}  // namespace

std::vector<SegmentPtr> install(Core& core, const std::vector<Part>& parts,
                                std::vector<Child> children, MainWriter& writer) {
  const std::size_t position = position_of(*core.manifest(), parts.front().segment->id());
  if (VARVE_MUTANT("merge.inputs_removed_before_commit")) {
    for (const segment::RunLayer& layer : parts.front().view->runs) {
      core.directory->remove(run_file_name(layer.record));
    }
  }
  std::vector<SegmentPtr> segments;
  // Made before the commit: after it there must be nothing that can fail outside of it.
  const std::function<void()> show = [&] {
    if (parts.size() == 1 && children.size() == 1) {
      VARVE_CHECK(children.front().record.id == parts.front().segment->id());
      install_in_place(core, parts.front(), children.front());
      segments.push_back(parts.front().segment);
    } else {
      segments = install_children(core, position, parts, children);
    }
    retire_inputs(core, parts, children);
  };
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
  core.after_commit(show);
  writer.committed();  // Not before the views are as the manifest is: see ~PendingFiles().
  for (const Part& part : parts) core.job_failures.clear(part.segment->id());
  core.sweep();
  return segments;
}

}  // namespace varve::internal
