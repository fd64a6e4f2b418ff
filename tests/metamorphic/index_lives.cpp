// SPDX-License-Identifier: Apache-2.0
// The part of IndexSubject that opens, closes and kills, and that looks at files and figures.
#include <algorithm>
#include <string>

#include "lib/checker.hpp"
#include "lib/file_names.hpp"
#include "lib/manifest.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/metamorphic/index_subject.hpp"

namespace varve::test::metamorphic {
namespace {

using internal::SegmentIndexAccess;

std::uint64_t newest_log_number(const directory::Directory& directory) {
  std::uint64_t newest = 0;
  for (const directory::FileInfo& file : directory.list()) {
    const auto name = internal::parse_file_name(file.name);
    if (name && name->type == internal::FileName::Type::Log)
      newest = std::max(newest, name->number);
  }
  return newest;
}

bool has_higher_tier(const directory::Directory& directory) {
  const std::string bytes = directory.read_all(internal::kManifestName, 1 << 30);
  const internal::Manifest manifest = internal::decode_manifest(bytes, "MANIFEST");
  return std::any_of(manifest.segments.begin(), manifest.segments.end(), [](const auto& segment) {
    return std::any_of(segment.slices.begin(), segment.slices.end(),
                       [](const auto& slice) { return slice.tier > 0; });
  });
}

// What is wrong with the figures by themselves. Only where no job runs meanwhile.
std::string implausible(const Statistics& figures) {
  std::uint64_t main_size = 0, entry_count = 0, run_count = 0;
  std::string text;
  const auto expect = [&](bool holds, const char* what) {
    if (!holds) text.append("; wrong: ").append(what);
  };
  for (const SegmentStatistics& segment : figures.segments) {
    main_size += segment.main_run_size;
    entry_count += segment.run_entry_count;
    run_count += segment.delta_run_count + (segment.main_run_size == 0 ? 0 : 1);
  }
  expect(!figures.segments.empty() && figures.segments.front().first_key.empty(), "first fence");
  expect(std::is_sorted(figures.segments.begin(), figures.segments.end(),
                        [](const auto& a, const auto& b) { return a.first_key < b.first_key; }),
         "order of fences");
  expect(figures.runs.segment_count == figures.segments.size(), "runs.segment_count");
  expect(figures.runs.run_count == run_count, "runs.run_count");
  expect(figures.runs.main_runs_size == main_size, "runs.main_runs_size");
  expect(figures.runs.run_entry_count == entry_count, "runs.run_entry_count");
  expect(figures.disk_size >= figures.log_disk_size + main_size, "disk_size");
  expect(figures.failed_job_count == 0, "failed_job_count");
  return text;
}

}  // namespace

void Events::add(const Events& other) {
  flush_count += other.flush_count;
  compaction_count += other.compaction_count;
  split_count += other.split_count;
  neighbour_merge_count += other.neighbour_merge_count;
  tier_merge_seen_count += other.tier_merge_seen_count;
  log_rotation_count += other.log_rotation_count;
  fault_count += other.fault_count;
  retry_count += other.retry_count;
  crash_count += other.crash_count;
  hot_path_hit_count += other.hot_path_hit_count;
}

std::string IndexSubject::figures() const {
  const Statistics figures = index_.statistics();
  std::string text = "sequence " + std::to_string(figures.last_sequence) + ", " +
                     std::to_string(figures.put_count) + " puts, " +
                     std::to_string(figures.erase_count) + " erases, " +
                     std::to_string(figures.live_snapshot_count) + " snapshots";
  if (options_.access != Access::Concurrent) text += implausible(figures);
  // Unhealthy is also a job that found the medium full, until the next one did not.
  if (index_.lifecycle() != Lifecycle::Ready)
    text += "; " + std::string(to_string(index_.lifecycle()));
  if (configuration_.fault_every == 0 && !index_.health()) text += "; not healthy";
  if (figures.memory_budget != options_.memory_budget) text += "; another memory budget";
  return text;
}

// An open that the medium had no space for leaves what was there, so it can be tried again.
void IndexSubject::open(const Options& options) {
  if (configuration_.fault_every != 0) medium_.plan_fault(operation_count_);
  constexpr int kOpensMax = 3;
  for (int attempt = 1;; ++attempt) {
    try {
      index_ = SegmentIndexAccess::open(medium_.directory(), options);
      break;
    } catch (const Error& error) {
      const bool full = error.code() == ErrorCode::NoSpace && configuration_.fault_every != 0;
      if (!full || attempt == kOpensMax) throw;
      ++events_.retry_count;
    }
  }
  options_ = options;
  first_log_number_ = newest_log_number(*medium_.directory());
}

void IndexSubject::let_go() {
  cursors_ = {};
  snapshots_ = {};
  const Statistics figures = index_.statistics();
  events_.flush_count += figures.flush_count;
  events_.compaction_count += figures.compaction_count;
  events_.split_count += figures.split_count;
  events_.neighbour_merge_count += figures.merge_count;
  events_.hot_path_hit_count += figures.hot_path.hit_count;
  const auto directory = medium_.directory();
  if (has_higher_tier(*directory)) ++events_.tier_merge_seen_count;
  events_.log_rotation_count += newest_log_number(*directory) - first_log_number_;
}

// A death takes writes that no log has, and a close that fails would.
void IndexSubject::make_durable() {
  if (!unlogged_) return;
  const std::string synced = retried([this] { index_.sync(); });
  if (synced != "ok") throw Error(ErrorCode::Io, "sync before a death: " + last_message_);
  unlogged_ = false;
}

std::string IndexSubject::close() {
  let_go();
  if (medium_.may_die() && configuration_.fault_every != 0) {
    make_durable();
    medium_.clear_faults();
  }
  const std::string closed = outcome([this] { index_.close(); });
  unlogged_ = false;
  const std::string used = outcome([this] { static_cast<void>(index_.contains("k")); });
  if (used != "Closed") return "usable after its close: " + used;
  return closed;
}

std::string IndexSubject::reopen(const Options& options) {
  const std::string closed = close();
  open(options);
  return index_.statistics().recovered_after_crash ? "recovered after a close" : closed;
}

std::string IndexSubject::visit_read_only(const Operation& operation) {
  const Options writable = options_;
  const std::string closed = close();
  if (closed != "ok") return closed;
  Options options = writable;
  options.read_only = true;
  open(options);
  const std::string refused =
      outcome([&] { index_.put(operation.keys[0], operation.values[0].bytes()); });
  std::string text =
      refused + ", " + answer(index_.get(operation.keys[0])) + ", " + answer(scan_all(index_));
  index_.close();
  open(writable);
  return text;
}

std::string IndexSubject::die(const Operation& operation) {
  if (!medium_.may_die()) return reopen(options_);
  if (operation.kind == Kind::PowerLoss) unlogged_ = true;  // Nothing is synced otherwise.
  make_durable();
  let_go();
  const SegmentIndex dead = std::move(index_);  // Closes at the end, on a medium that is history.
  if (operation.kind == Kind::Kill) {
    medium_.kill();
  } else {
    medium_.lose_power(operation.numbers[0]);
  }
  ++events_.crash_count;
  open(options_);
  return index_.statistics().recovered_after_crash ? "ok" : "a crash that nobody noticed";
}

std::string IndexSubject::check_files() {
  std::string text = close();
  if (text != "ok") return text;
  CheckOptions options;
  options.deep = true;
  const auto directory = medium_.directory();
  const CheckReport report = internal::check_directory(*directory, options);
  text = "sound";
  for (const CheckFinding& finding : report.findings) {
    if (finding.severity != Severity::Note) text += "; " + finding.file + ": " + finding.what;
  }
  open(options_);
  return text;
}

std::string IndexSubject::finish() {
  const std::string checked = check_files();
  const std::string closed = close();
  if (medium_.may_die()) events_.fault_count = medium_.fault_count();
  if (checked != "sound") return checked;
  return closed == "ok" ? "" : closed;
}

}  // namespace varve::test::metamorphic
