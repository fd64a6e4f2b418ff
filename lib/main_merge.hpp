// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/merge_job.hpp"
#include "lib/merge_output.hpp"

namespace varve::internal {

// The parts of a merge into main runs, of one segment or of two neighbours:
//
//   take_parts() -> MainWriter -> install()

// The inputs of a main merge, all in one view, or in two neighbours' views.
struct Part {
  SegmentPtr segment;
  segment::ViewRef view;  // What is active in it is not merged.
  Sequence cut = 0;       // Everything of the segment up to here is in the inputs.
};

// Freezes what the segments have in memory, at one moment. But writes without a log record become
// durable all at one moment or not at all (Core::unlogged_writes), and no segment must run ahead of
// the others: they are flushed as a whole, and when more of them come at once, the merge leaves
// them out.
[[nodiscard]] std::vector<Part> take_parts(Core& core, const std::vector<SegmentPtr>& segments,
                                           const JobControl& control);
// The segment without what came after `flushed`: neither its memory nor its later range tombstones.
[[nodiscard]] segment::ViewRef flushed_part(const segment::View& view, Sequence flushed);
void add_ranges(const segment::View& view, SequenceRange& range);

// Range tombstones that must outlive the merge: a snapshot older than the tombstone still needs
// what lies under it, so the merge kept that, and the tombstone must go on hiding it.
[[nodiscard]] std::vector<RangeTombstone> surviving_tombstones(
    const std::vector<Sequence>& snapshots, const segment::View& view);
// Adds the tombstones of `from` that `list` does not have yet; a tombstone reaches beyond its
// segment, so neighbours have it as well.
void add_tombstones(std::vector<RangeTombstone>& list, const std::vector<RangeTombstone>& from);

// A new main run and the segment that it is for.
struct Child {
  SegmentRecord record;
  std::shared_ptr<const segment::Run> run;
};

// Writes the main runs of one merge and makes up the records of the segments that will own them.
class MainWriter {
 public:
  // `parent`: in whose place the children come, or the first of two.
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
  void begin(std::uint64_t id, std::string fence, std::uint64_t version);
  void write_all(segment::PruningSource& source, const SequenceRange& range);
  // Hands out the children; an empty first one when nothing was written.
  std::vector<Child> finish();
  // Above all ids that were given to children.
  [[nodiscard]] std::uint64_t next_id() const noexcept { return next_id_; }
  void committed() noexcept { pending_.committed(); }
  std::string last_key;  // Written so far, or of a kept run.

 private:
  void write_one(segment::PruningSource& source, const SequenceRange& range);

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

// Commits that `children` take the place of `parts`, then lets readers see it.
std::vector<SegmentPtr> install(Core& core, const std::vector<Part>& parts,
                                std::vector<Child> children, MainWriter& writer);

}  // namespace varve::internal
