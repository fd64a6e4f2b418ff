// SPDX-License-Identifier: Apache-2.0
#include "lib/merge_output.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "lib/file_names.hpp"
#include "lib/hooks.hpp"
#include "lib/out_of_memory.hpp"
#include "segment/run_blocks.hpp"
#include "varve/error.hpp"

namespace varve::internal {

void JobControl::check() const {
  if (cancel != nullptr && cancel->cancelled()) {
    throw Error(ErrorCode::Cancelled, "the maintenance call was cancelled by its caller");
  }
  if (rest) rest();
}

Claim::Claim(const Core& core, std::vector<SegmentPtr> segments)
    : core_(core), segments_(std::move(segments)) {
  if (core.concurrency == nullptr || VARVE_MUTANT("job.segment_not_claimed")) return;
  std::size_t count = 0;
  try {
    for (; count < segments_.size(); ++count) core.concurrency->jobs.claim(segments_[count]->id());
  } catch (...) {
    while (count > 0) core.concurrency->jobs.give_up(segments_[--count]->id());
    throw;
  }
}

Claim::~Claim() {
  if (core_.concurrency == nullptr || VARVE_MUTANT("job.claim_kept")) return;
  for (const SegmentPtr& segment : segments_) core_.concurrency->jobs.give_up(segment->id());
}

RunRecord record_of(const segment::RunSummary& summary) {
  RunRecord record;
  record.offset = summary.offset;
  record.size = summary.size;
  record.entry_count = summary.entry_count;
  record.tombstone_count = summary.tombstone_count;
  record.raw_size = summary.raw_size;
  record.footer_checksum = summary.footer_checksum;
  return record;
}

std::optional<segment::RunSummary> write_run(Core& core, directory::Sink& sink, std::uint64_t seed,
                                             segment::PruningSource& source, std::uint64_t cut,
                                             const JobControl& control, std::string* last_key) {
  if (!source.valid()) return std::nullopt;
  segment::RunWriter writer(sink, {.seed = seed,
                                   .block_size = core.options.tuning.block_size,
                                   .filter_bits_per_key = core.options.tuning.filter_bits_per_key});
  JobMemory memory(core.jobs_size);
  std::uint64_t until_check = kCancelCheckInterval;
  while (source.valid()) {
    if (cut != UINT64_MAX && source.starts_key() && writer.size() >= cut &&
        writer.entry_count() > 0) {
      break;
    }
    writer.add(source.entry());
    source.next();
    if (--until_check == 0) {
      control.check();
      memory.set(writer.memory_size());
      VARVE_HOOK("run.writing");
      until_check = kCancelCheckInterval;
    }
  }
  if (last_key != nullptr) *last_key = writer.last_key();
  memory.set(writer.memory_size() + writer.finish_memory_size());
  segment::RunSummary summary = writer.finish();
  core.counters.run_bytes += summary.size;
  return summary;
}

namespace {

bool names_file(const Manifest& manifest, const std::string& name) {
  return std::any_of(
      manifest.segments.begin(), manifest.segments.end(), [&](const SegmentRecord& segment) {
        return (segment.main && run_file_name(*segment.main) == name) ||
               std::any_of(segment.slices.begin(), segment.slices.end(),
                           [&](const RunRecord& slice) { return run_file_name(slice) == name; });
      });
}

}  // namespace

// A job can fail after its commit, in what follows it there. Then its files are the index's.
bool PendingFiles::are_committed() const noexcept {
  try {
    const auto manifest = core_.manifest();
    return std::any_of(names_.begin(), names_.end(),
                       [&](const std::string& name) { return names_file(*manifest, name); });
  } catch (const std::exception&) {
    return true;  // Nobody knows.
  }
}

PendingFiles::~PendingFiles() {
  if (names_.empty() || core_.failure.failed()) return;
  if (are_committed()) {
    // The manifest is ahead of the views: what is built on these would contradict it.
    core_.failure.record(failure_of(ErrorCode::ReadOnly,
                                    "a maintenance job failed after its commit: the index is "
                                    "read-only until it is opened again"));
    return;
  }
  for (const RunRecord& record : opened_) core_.run_store.abandon(record);
  for (const std::string& name : names_) {
    try {
      core_.directory->remove(name);
    } catch (const std::exception&) {
      // The next attempt takes another name, and the next open removes it as a stray.
    }
  }
}

std::shared_ptr<const segment::Run> PendingFiles::open(const RunRecord& record) {
  opened_.reserve(opened_.size() + 1);  // What is open is noted, whatever happens.
  auto run = core_.run_store.open(record);
  opened_.push_back(record);
  return run;
}

void sync_log_before_commit(Core& core, const JobControl& control, std::uint64_t position) {
  const WritingPhase writing(core, control);
  core.sync_log_through(position);
}

bool is_being_read(const segment::Segment& segment) noexcept {
  constexpr std::uint64_t kReadCostMin = 16;  // A thousand reads or two: see note_read().
  return segment.read_cost() >= kReadCostMin;
}

void verify_blocks(const segment::Run& run, const JobControl& control) {
  constexpr std::size_t kBlocksPerCheck = 64;
  const segment::RunBlocks& blocks = run.blocks();
  if (!blocks.mapped() || VARVE_MUTANT("merge.output_not_verified")) return;
  VARVE_HOOK("job.verifying");
  std::string unused;
  for (std::size_t block = 0; block < blocks.count(); ++block) {
    static_cast<void>(blocks.load(block, unused));
    if (block % kBlocksPerCheck == 0) control.check();
  }
}

std::string put_runs_by_free_name(Core& core, const std::function<std::string()>& next_name,
                                  const std::function<void(directory::Sink&)>& write) {
  for (int taken_count = 0;;) {
    std::string name = next_name();
    bool begun = false;
    try {
      core.put_runs(name, [&](directory::Sink& sink) {
        begun = true;
        write(sink);
      });
      return name;
    } catch (const Error& error) {
      const bool taken = error.code() == ErrorCode::AlreadyExists && !begun;
      if (!taken || ++taken_count == kTakenNamesMax) throw;
    }
  }
}

void pad_to_slice(directory::Sink& sink) {
  const std::uint64_t over = sink.offset() % kSliceAlignment;
  if (over != 0) sink.append(std::string(kSliceAlignment - over, '\0'));
}

void SequenceRange::add(const segment::Delta& delta) noexcept {
  if (delta.empty()) return;
  first = std::min(first, delta.first_sequence());
  last = std::max(last, delta.last_sequence());
}

void SequenceRange::add(const RunRecord& record) noexcept {
  first = std::min(first, record.first_sequence);
  last = std::max(last, record.last_sequence);
}

segment::MergeRules rules_for(const std::vector<Sequence>& snapshots, const segment::View& view,
                              bool bottom) {
  segment::MergeRules rules;
  if (!VARVE_MUTANT("merge.snapshots_ignored")) rules.snapshots = snapshots;
  rules.bottom = bottom || VARVE_MUTANT("merge.tombstones_dropped_early");
  rules.range_tombstones = &view.range_tombstones;
  return rules;
}

std::size_t position_of(const Manifest& manifest, std::uint64_t segment_id) {
  const auto it =
      std::find_if(manifest.segments.begin(), manifest.segments.end(),
                   [&](const SegmentRecord& record) { return record.id == segment_id; });
  VARVE_CHECK(it != manifest.segments.end());
  return static_cast<std::size_t>(it - manifest.segments.begin());
}

void replace_routes(Core& core, std::size_t position, std::size_t count,
                    const std::vector<SegmentPtr>& replacements) {
  std::vector<SegmentPtr> segments = core.routes().segments();
  const auto at = segments.begin() + static_cast<std::ptrdiff_t>(position);
  segments.erase(at, at + static_cast<std::ptrdiff_t>(count));
  segments.insert(segments.begin() + static_cast<std::ptrdiff_t>(position), replacements.begin(),
                  replacements.end());
  core.set_routes(std::make_unique<const RouteMap>(std::move(segments)));
}

}  // namespace varve::internal
