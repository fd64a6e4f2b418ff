// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "lib/core.hpp"
#include "lib/merge_job.hpp"
#include "segment/compaction.hpp"
#include "segment/run_writer.hpp"

namespace varve::internal {

// Pieces that the jobs share. Internal to flush.cpp, merge_main.cpp and merge_tier.cpp.

inline constexpr std::uint64_t kCancelCheckInterval = 4096;  // Entries.

// The record of a written run, but for its kind, file and tier.
[[nodiscard]] RunRecord record_of(const segment::RunSummary& summary);

// Writes one run at the sink's present position until `source` ends or `cut` bytes are passed at
// the end of a key; nullopt when there was no entry. `last_key` receives the last one written.
[[nodiscard]] std::optional<segment::RunSummary> write_run(
    Core& core, directory::Sink& sink, std::uint64_t seed, segment::PruningSource& source,
    std::uint64_t cut, const JobControl& control, std::string* last_key = nullptr);

// Before the commit of runs that hold what was written to the log up to `position`: has it on the
// device, where it mostly is by then, letting other jobs in meanwhile. Else, after power loss, the
// index would show writes without their predecessors, which the log had lost.
// Errors: Io; the log is poisoned then, and so is the index.
void sync_log_before_commit(Core& core, const JobControl& control, std::uint64_t position);

// Is a new run of the segment worth a verify_blocks()? Yes, if reads of it were noted lately.
[[nodiscard]] bool is_being_read(const segment::Segment& segment) noexcept;

// Verifies the blocks of a mapped run that nobody reads yet, in the job's time: else each reader
// would do it, and wait for the pages, at the first touch of a block.
// Errors: Corruption, Io: what was written cannot be read; Cancelled.
void verify_blocks(const segment::Run& run, const JobControl& control);

// Writes a file of runs by the first name of those that `next_name` gives which is free, and says
// which (see kTakenNamesMax). A run depends on its file's name: `write` is called once, for that.
// Errors: as Core::put_runs(); AlreadyExists when all are taken.
[[nodiscard]] std::string put_runs_by_free_name(Core& core,
                                                const std::function<std::string()>& next_name,
                                                const std::function<void(directory::Sink&)>& write);

// Pads the sink to kSliceAlignment.
void pad_to_slice(directory::Sink& sink);

// Files that a job has written and not committed yet. Unless committed() is called, they are
// removed again, so that the job can be tried anew under the same names; but not when the failure
// left the manifest in doubt, for then it may name them.
class PendingFiles {
 public:
  explicit PendingFiles(Core& core) noexcept : core_(core) {}
  PendingFiles(const PendingFiles&) = delete;
  PendingFiles& operator=(const PendingFiles&) = delete;
  ~PendingFiles();
  // Before the file is made: the add() after it then cannot fail.
  void reserve() { names_.reserve(names_.size() + 1); }
  void add(std::string name) { names_.push_back(std::move(name)); }
  // Opens a run of such a file.
  [[nodiscard]] std::shared_ptr<const segment::Run> open(const RunRecord& record);
  void committed() noexcept {
    names_.clear();
    opened_.clear();
  }

 private:
  [[nodiscard]] bool are_committed() const noexcept;
  Core& core_;
  std::vector<std::string> names_;
  std::vector<RunRecord> opened_;
};

// Sequences that the inputs of a merge may hold.
struct SequenceRange {
  Sequence first = segment::kSequenceMax, last = 0;
  void add(const segment::Delta& delta) noexcept;
  void add(const RunRecord& record) noexcept;
};

// The rules for a merge of `view`'s layers. `snapshots`: Core::snapshots_for_merge(), called after
// the merge's inputs were fixed. One merge must use one such list for all that it decides.
[[nodiscard]] segment::MergeRules rules_for(const std::vector<Sequence>& snapshots,
                                            const segment::View& view, bool bottom);

// Position of a segment's record in a manifest, by id.
[[nodiscard]] std::size_t position_of(const Manifest& manifest, std::uint64_t segment_id);

// Puts `replacements` into the route map in the place of the `count` segments from `position` on.
void replace_routes(Core& core, std::size_t position, std::size_t count,
                    const std::vector<SegmentPtr>& replacements);

}  // namespace varve::internal
