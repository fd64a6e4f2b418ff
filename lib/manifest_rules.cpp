// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "directory/bytes.hpp"
#include "lib/manifest.hpp"
#include "varve/limits.hpp"

namespace varve::internal {

namespace {

std::string run_problem(const RunRecord& run, RunRecord::Kind kind, const Manifest& manifest) {
  const std::string name = run_file_name(run);
  if (run.kind != kind) return name + ": a run of the other kind expected";
  const bool is_main = kind == RunRecord::Kind::Main;
  const std::uint64_t next = is_main ? manifest.next_segment_id : manifest.next_delta_number;
  if (run.file_number >= next) {
    return name + ": a number below " + std::to_string(next) + " expected";
  }
  if (!is_main && run.file_version != 0) return name + ": no version expected for a slice";
  if (is_main && run.offset != 0) return name + ": a main run at byte 0 expected";
  std::uint64_t end = 0;
  if (run.size == 0 || !directory::checked_add(run.offset, run.size, end)) {
    return name + ": an impossible range of " + std::to_string(run.size) + " bytes at byte " +
           std::to_string(run.offset);
  }
  if (run.tombstone_count > run.entry_count) return name + ": more tombstones than entries";
  if (run.first_sequence > run.last_sequence || run.last_sequence > manifest.last_sequence) {
    return name + ": sequences " + std::to_string(run.first_sequence) + " to " +
           std::to_string(run.last_sequence) + " within 0 to " +
           std::to_string(manifest.last_sequence) + " expected";
  }
  return {};
}

// A merge names its main run by the segment and its next version. Were that below the version of
// the run that is there, a later merge would come to the name of a file in use.
std::string main_problem(const SegmentRecord& segment) {
  const RunRecord& main = *segment.main;
  if (main.file_number != segment.id) {
    return run_file_name(main) + ": a main run of segment " + std::to_string(segment.id) +
           " expected, one of segment " + std::to_string(main.file_number) + " found";
  }
  if (main.file_version > segment.version) {
    return run_file_name(main) + ": a version up to the segment's, " +
           std::to_string(segment.version) + ", expected, " + std::to_string(main.file_version) +
           " found";
  }
  return {};
}

std::string number_problem(const char* what, std::uint64_t found) {
  if (found <= kManifestNumberMax) return {};
  return std::string(what) + " up to " + std::to_string(kManifestNumberMax) + " expected, " +
         std::to_string(found) + " found";
}

// The problems that a segment has by itself.
std::string segment_problem(const SegmentRecord& segment, const Manifest& manifest) {
  if (segment.id >= manifest.next_segment_id) {
    return "an id below " + std::to_string(manifest.next_segment_id) + " expected";
  }
  if (segment.fence.size() > kKeySizeMax) return "its fence is longer than a key may be";
  std::string number = number_problem("a version", segment.version);
  if (number.empty()) number = number_problem("a flushed sequence", segment.flushed_sequence);
  if (!number.empty()) return number;
  if (segment.main) {
    std::string problem = run_problem(*segment.main, RunRecord::Kind::Main, manifest);
    if (!problem.empty()) return problem;
    problem = main_problem(segment);
    if (!problem.empty()) return problem;
  }
  for (const RunRecord& slice : segment.slices) {
    std::string problem = run_problem(slice, RunRecord::Kind::Slice, manifest);
    if (!problem.empty()) return problem;
  }
  Sequence previous = 0;
  for (const RangeTombstone& range : segment.range_tombstones) {
    if (range.from.size() > kKeySizeMax || range.to.size() > kKeySizeMax) {
      return "a range tombstone with a bound longer than a key may be";
    }
    if (range.sequence < previous) return "its range tombstones are not in the order of sequences";
    previous = range.sequence;
  }
  return number_problem("sequences of range tombstones", previous);
}

// Problems between segments: what may exist once only.
struct Owned {
  std::uint64_t number, from, to;  // Main: its version, twice. Slice: a range of bytes.
  std::size_t segment;
};

std::optional<ManifestProblem> find_shared(std::vector<Owned>& owned, const char* what) {
  std::sort(owned.begin(), owned.end(), [](const Owned& a, const Owned& b) {
    return std::tie(a.number, a.from, a.segment) < std::tie(b.number, b.from, b.segment);
  });
  for (std::size_t i = 1; i < owned.size(); ++i) {
    const Owned &before = owned[i - 1], &here = owned[i];
    if (here.number == before.number && (here.from == before.from || here.from < before.to)) {
      return ManifestProblem{std::string(what) + " " + std::to_string(here.number) +
                                 " is named twice (second at " + std::to_string(here.from) + ")",
                             here.segment};
    }
  }
  return std::nullopt;
}

std::optional<ManifestProblem> find_shared(const Manifest& manifest) {
  std::vector<Owned> ids, mains, slices;
  for (std::size_t i = 0; i < manifest.segments.size(); ++i) {
    const SegmentRecord& segment = manifest.segments[i];
    ids.push_back({segment.id, 0, 0, i});
    if (segment.main) {
      const std::uint64_t version = segment.main->file_version;
      mains.push_back({segment.main->file_number, version, version, i});
    }
    for (const RunRecord& slice : segment.slices) {
      slices.push_back({slice.file_number, slice.offset, slice.offset + slice.size, i});
    }
  }
  if (auto problem = find_shared(ids, "segment id")) return problem;
  if (auto problem = find_shared(mains, "main file of segment")) return problem;
  return find_shared(slices, "a range of delta file");
}

std::string index_problem(const Manifest& manifest) {
  if (manifest.uuid.empty() || manifest.uuid.size() > kUuidSizeMax) {
    return "a uuid of 1 to " + std::to_string(kUuidSizeMax) + " bytes expected, one of " +
           std::to_string(manifest.uuid.size()) + " found";
  }
  const std::pair<const char*, std::uint64_t> numbers[] = {
      {"a writer epoch", manifest.writer_epoch},
      {"an edit", manifest.edit},
      {"a next delta number", manifest.next_delta_number},
      {"a next log number", manifest.next_log_number},
      {"a last sequence", manifest.last_sequence},
      {"a checkpoint", manifest.checkpoint}};
  for (const auto& [what, found] : numbers) {
    if (std::string problem = number_problem(what, found); !problem.empty()) return problem;
  }
  if (manifest.next_segment_id > kManifestSegmentIdMax) {
    return "a next segment id up to " + std::to_string(kManifestSegmentIdMax) + " expected, " +
           std::to_string(manifest.next_segment_id) + " found";
  }
  if (manifest.segments.empty()) return "at least one segment expected, none found";
  if (!manifest.segments.front().fence.empty()) return "no fence before the first segment expected";
  const LogRecordEntry* previous = nullptr;
  for (const LogRecordEntry& log : manifest.logs) {
    if (log.number >= manifest.next_log_number) {
      return "log " + std::to_string(log.number) + ": a number below " +
             std::to_string(manifest.next_log_number) + " expected";
    }
    if (previous != nullptr && previous->number >= log.number) {
      return "log " + std::to_string(log.number) + " follows log " +
             std::to_string(previous->number) + ", ascending numbers expected";
    }
    previous = &log;
  }
  return {};
}

}  // namespace

std::optional<ManifestProblem> find_manifest_problem(const Manifest& manifest) {
  if (std::string problem = index_problem(manifest); !problem.empty()) {
    return ManifestProblem{std::move(problem)};
  }
  for (std::size_t i = 0; i < manifest.segments.size(); ++i) {
    const SegmentRecord& segment = manifest.segments[i];
    std::string problem = segment_problem(segment, manifest);
    if (problem.empty() && i > 0 && manifest.segments[i - 1].fence >= segment.fence) {
      problem = "a fence above that of the segment before it expected";
    }
    if (!problem.empty()) {
      return ManifestProblem{"segment " + std::to_string(segment.id) + ": " + problem, i};
    }
  }
  return find_shared(manifest);
}

}  // namespace varve::internal
