// SPDX-License-Identifier: Apache-2.0
#include "lib/recovery.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "directory/mutant.hpp"
#include "lib/checker.hpp"
#include "lib/log_recovery.hpp"
#include "lib/memory_model.hpp"
#include "lib/merge_job.hpp"
#include "lib/options_check.hpp"
#include "lib/read_limits.hpp"
#include "varve/error.hpp"

namespace varve::internal {

// The deltas stay as they are: their entries carry their sequences, so older ones are told from
// newer ones until a flush has applied the tombstone (segment::RangeTombstone).
void apply_range_erase(Core& core, std::string_view from, std::string_view to, Sequence sequence,
                       bool only_unflushed) {
  const auto manifest = core.manifest();
  const auto& records = manifest->segments;
  for (std::size_t i = core.routes().index_of(from); i < core.routes().size(); ++i) {
    segment::Segment& segment = *core.routes().at(i);
    if (!to.empty() && segment.lower() >= to) break;
    if (only_unflushed && sequence <= records[i].flushed_sequence) continue;
    if (!segment.view().has_memory() && segment.view().runs.empty()) continue;
    core.publish(segment, [&](segment::View& view) {
      view.range_tombstones.push_back({std::string(from), std::string(to), sequence});
    });
  }
}

namespace {

Manifest new_manifest(const Options& options) {
  Manifest manifest;
  manifest.uuid = directory::random_uuid();
  manifest.key_codec = options.key_codec;
  manifest.value_codec = options.value_codec;
  manifest.options_text = options_text(options);
  manifest.next_segment_id = 2;
  SegmentRecord first;
  first.id = 1;
  first.version = 1;
  manifest.segments.push_back(std::move(first));
  return manifest;
}

bool manifest_exists(const directory::Directory& directory) {
  const std::vector<directory::FileInfo> files = directory.list();
  return std::any_of(files.begin(), files.end(),
                     [](const auto& file) { return file.name == kManifestName; });
}

// A directory with runs or logs of ours but no manifest is a damaged index, not a place for a new
// one.
void refuse_headless_index(const directory::Directory& directory) {
  for (const directory::FileInfo& file : directory.list()) {
    const auto name = parse_file_name(file.name);
    if (!name) continue;
    if (name->type == FileName::Type::Log || name->type == FileName::Type::Delta ||
        name->type == FileName::Type::Main) {
      throw Error(ErrorCode::Corruption,
                  "MANIFEST is missing, but " + file.name + " shows that an index was here",
                  directory.path());
    }
  }
}

Manifest load_manifest(const directory::Directory& directory, bool untrusted) {
  return decode_manifest(
      directory.read_all(kManifestName, read_limits(untrusted).manifest_size_max),
      (directory.path() / kManifestName).string());
}

void check_codec(const char* what, const std::string& present, const std::string& wanted,
                 const directory::Directory& directory) {
  if (present.empty() || wanted.empty() || present == wanted) return;
  throw Error(ErrorCode::Mismatch,
              std::string("the index's ") + what + " codec is \"" + present +
                  "\", the caller's is \"" + wanted + "\"",
              directory.path());
}

// To begin another thread takes as long as to open a run of so many entries, about.
constexpr std::uint64_t kEntriesPerThread = 250'000;

// Sparse indexes and filters are read, checked and built by as many threads as maintenance has.
std::vector<segment::RunLayer> open_runs(Core& core, const std::vector<SegmentRecord>& records) {
  std::vector<segment::RunLayer> layers;
  std::uint64_t entry_count = 0;
  const auto add = [&](const RunRecord& record) {
    layers.push_back({record, nullptr});
    entry_count += record.entry_count;
  };
  for (const SegmentRecord& segment : records) {
    for (const RunRecord& slice : segment.slices) add(slice);
    if (segment.main) add(*segment.main);
  }
  const std::size_t thread_count = static_cast<std::size_t>(std::min<std::uint64_t>(
      maintenance_thread_count(core.options), entry_count / kEntriesPerThread + 1));
  core.run_store.open(layers, std::min(thread_count, layers.size()));
  return layers;
}

void open_segments(Core& core) {
  const auto manifest = core.manifest();
  const auto& records = manifest->segments;
  std::vector<segment::RunLayer> layers = open_runs(core, records);
  auto next = std::make_move_iterator(layers.begin());
  std::vector<SegmentPtr> segments;
  segments.reserve(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto end =
        next + static_cast<std::ptrdiff_t>(records[i].slices.size() + (records[i].main ? 1 : 0));
    segments.push_back(core.make_segment(records[i],
                                         i + 1 < records.size() ? records[i + 1].fence : "",
                                         std::vector<segment::RunLayer>(next, end)));
    next = end;
  }
  core.set_routes(std::make_unique<const RouteMap>(std::move(segments)));
  core.set_recovered_sequence(manifest->last_sequence);
}

// Options::untrusted: all that check({.deep = true}) looks at, before any of it is used.
void verify_all(const Core& core) {
  const CheckReport report =
      check_directory(*core.directory, {.deep = true, .untrusted = true}, Holder::Caller);
  for (const CheckFinding& finding : report.findings) {
    if (finding.severity != Severity::Damage) continue;
    std::string message =
        finding.file + " at byte " + std::to_string(finding.offset) + ": " + finding.what;
    if (!finding.expected.empty()) message += "; " + finding.expected + " expected";
    if (!finding.found.empty()) message += ", " + finding.found + " found";
    throw Error(ErrorCode::Corruption, message, core.directory->path() / finding.file);
  }
}

// False: it is of no use, because its blocks were not copied with it or it is too large for today's
// options.
bool adopt_reserve(Core& core, const directory::FileInfo& file) {
  const bool fits = file.size <= core.options.tuning.reserve_size &&
                    file.allocated_size >= file.size && file.size != 0;
  if (file.kind != directory::FileKind::Regular || !fits) return false;
  core.space.adopt(file.size);
  return true;
}

// Removes files of ours that the manifest does not name: what a crash left half done. Foreign
// files are not touched.
void remove_strays(Core& core) {
  std::set<std::string> live;
  const auto manifest = core.manifest();
  for (const LogRecordEntry& log : manifest->logs) live.insert(log_file_name(log.number));
  for (const SegmentRecord& segment : manifest->segments) {
    if (segment.main) live.insert(run_file_name(*segment.main));
    for (const RunRecord& slice : segment.slices) live.insert(run_file_name(slice));
  }
  std::vector<std::string> strays;
  for (const directory::FileInfo& file : core.directory->list()) {
    const auto name = parse_file_name(file.name);
    if (!name || live.contains(file.name)) continue;
    if (name->type == FileName::Type::Lock || name->type == FileName::Type::Manifest) continue;
    if (name->type == FileName::Type::Reserve && adopt_reserve(core, file)) continue;
    // We make regular files only; a link by a temporary name is removed, never followed.
    const bool temporary = name->type == FileName::Type::Temporary;
    const bool removable = file.kind == directory::FileKind::Regular ||
                           (file.kind == directory::FileKind::Symlink && temporary);
    if (!removable) continue;
    if (temporary) {
      core.directory->remove(file.name);
    } else {
      strays.push_back(file.name);
    }
  }
  if (strays.empty()) return;
  // The process that died may not have synced the manifest's name. The one before it, which power
  // loss could then bring back, may name these files: not one goes before this manifest lasts.
  if (!VARVE_MUTANT("recovery.strays_before_manifest")) {
    core.catalog.replace(*core.ownership, [](Manifest&) {});
  }
  for (const std::string& name : strays) core.directory->remove(name);
}

// From here on the index is ours to write: a new epoch, by one manifest edit. Where no log is gone
// on with, the first write makes one, so that opening costs no more than it must.
void begin_writing(Core& core) {
  const Options& options = core.options;
  core.commit([&](Manifest& next) {
    if (!VARVE_MUTANT("recovery.epoch_kept")) ++next.writer_epoch;
    next.closed_cleanly = VARVE_MUTANT("recovery.still_called_clean");
    next.options_text = options_text(options);
    if (next.key_codec.empty()) next.key_codec = options.key_codec;
    if (next.value_codec.empty()) next.value_codec = options.value_codec;
  });
}

Manifest manifest_for_open(directory::Directory& directory, const Options& options, OpenMode mode,
                           bool& created) {
  const bool exists = manifest_exists(directory);
  created = !exists;
  if (exists) {
    if (mode == OpenMode::Create) {
      throw Error(ErrorCode::AlreadyExists, "there is an index already", directory.path());
    }
    return load_manifest(directory, options.untrusted);
  }
  refuse_headless_index(directory);
  if (mode == OpenMode::Open && (!options.create_if_missing || options.read_only)) {
    throw Error(ErrorCode::NotFound, "there is no index in this directory", directory.path());
  }
  return new_manifest(options);
}

// What another open of it would find more room by: see open_core().
bool remove_reserve(directory::Directory& directory) {
  for (const directory::FileInfo& file : directory.list()) {
    if (file.name != kReserveName || file.kind != directory::FileKind::Regular) continue;
    directory.remove(kReserveName);
    return true;
  }
  return false;
}

// `lack`: an earlier attempt found no space; then what was kept back is here by now, and not for
// flushes. Null when this one finds none and there was something to give up: `lack` tells.
std::unique_ptr<Core> recover(const std::shared_ptr<directory::Directory>& directory,
                              std::unique_ptr<directory::Ownership> ownership,
                              const Options& options, OpenMode mode, std::optional<Error>& lack) {
  const auto start = std::chrono::steady_clock::now();
  bool created = false;
  Manifest manifest = manifest_for_open(*directory, options, mode, created);
  check_codec("key", manifest.key_codec, options.key_codec, *directory);
  check_codec("value", manifest.value_codec, options.value_codec, *directory);
  const bool was_clean = created || manifest.closed_cleanly;
  if (!options.read_only) ownership->set_phase(false, manifest.writer_epoch + 1);
  auto core = std::make_unique<Core>(directory, std::move(ownership), options, std::move(manifest));
  core->counters.recovered_after_crash = !was_clean;
  if (lack) {
    core->space.ran_out(Space::Use::Job, *lack);
    core->space.ran_out(Space::Use::Reserve, *lack);
  }
  open_segments(*core);
  core->share_memory();
  LogRecovery logs(*core);
  logs.read();
  if (options.untrusted && !created) verify_all(*core);
  try {
    if (!options.read_only) {
      remove_strays(*core);
      logs.take_over();
    }
    logs.finish();
    if (!options.read_only) {
      begin_writing(*core);
      core->ownership->set_phase(true, core->manifest()->writer_epoch);
    }
  } catch (const Error& error) {
    // Still the owner: what is kept back for times without space goes, for the next attempt.
    if (error.code() != ErrorCode::NoSpace || !remove_reserve(*core->directory)) throw;
    lack = error;
    return nullptr;
  }
  core->counters.recovery_microseconds =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                     std::chrono::steady_clock::now() - start)
                                     .count());
  return core;
}

}  // namespace

std::unique_ptr<Core> open_core(const std::shared_ptr<directory::Directory>& directory,
                                const Options& options, OpenMode mode) {
  check_options(options);
  const bool may_create =
      mode == OpenMode::Create || (options.create_if_missing && !options.read_only);
  std::unique_ptr<Core> core;
  std::optional<Error> lack;
  while (core == nullptr) {  // Twice at most: there is one reserve to remove.
    auto ownership = directory->acquire(options.read_only ? LockMode::Shared : LockMode::Exclusive,
                                        options.lock_wait, may_create);
    core = recover(directory, std::move(ownership), options, mode, lack);
  }
  return core;
}

}  // namespace varve::internal
