// SPDX-License-Identifier: Apache-2.0
#include "lib/engine.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "lib/engine_cursor.hpp"
#include "lib/index_statistics.hpp"
#include "lib/insertion_queue.hpp"
#include "lib/key_lookups.hpp"
#include "lib/maintenance.hpp"
#include "lib/operation_checks.hpp"
#include "lib/out_of_memory.hpp"
#include "lib/recovery.hpp"
#include "varve/error.hpp"

namespace varve::internal {
Engine::Engine(std::unique_ptr<Core> core)
    : core_(std::move(core)), last_interval_sync_(std::chrono::steady_clock::now()) {}
Engine::~Engine() = default;

// Refuses a write that cannot or must not happen now, before it has any effect.
Durability Engine::admit(const WriteOptions& options) {
  if (core_->options.read_only) {
    throw Error(ErrorCode::ReadOnly, "the index was opened read-only", core_->directory->path());
  }
  core_->failure.rethrow_if_failed();
  if (core_->exclusive_scans != 0) {
    throw Error(ErrorCode::Busy, "an exclusive scan is open: destroy it, then write");
  }
  if (options.deadline && options.deadline->count() <= 0) {
    throw Error(ErrorCode::Busy, "the write's deadline had passed before it began");
  }
  return options.durability.value_or(core_->options.durability);
}

// Due maintenance runs before the write. One with a deadline leaves it to others as long as the
// memory budget allows, because how long a flush takes cannot be promised.
void Engine::make_room(const WriteOptions& options, bool erases) {
  if (!memory_due(*core_) && !structure_dirty_ && !core_->space.is_short()) [[likely]]
    return;
  if (!erases) core_->admit_growth();
  const bool inline_allowed = core_->options.tuning.inline_maintenance && !options.deadline;
  if (inline_allowed && (erases || VARVE_MUTANT("reserve.given_to_growth"))) {
    make_room_for_erase();
  } else if (inline_allowed) {
    make_room_for_growth();
  } else if (core_->memory_size() >= memory_limit(*core_, erases)) {
    throw Error(ErrorCode::Busy, "the memory budget of " +
                                     std::to_string(core_->memory_budget.deltas()) +
                                     " bytes is used up: flush(), maintain() or write without "
                                     "a deadline first");
  }
}

// A job that had no room is not tried by each write.
void Engine::make_room_for_growth() {
  Space& space = core_->space;
  if (space.lacks(Space::Use::Job) && !space.worth_trying(Space::Use::Job)) {
    if (memory_due(*core_)) space.refuse();
    return;
  }
  run_due_jobs_of_write();
}

void Engine::make_room_for_erase() {
  Space& space = core_->space;
  if (space.lacks(Space::Use::Job) && !space.worth_trying(Space::Use::Job)) {
    if (core_->memory_size() < memory_limit(*core_, true)) return;
  }
  try {
    run_due_jobs_of_write();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NoSpace) throw;
    if (core_->memory_size() < memory_limit(*core_, true)) return;
    core_->with_reserve([this] { run_due_jobs_of_write(); });
  }
}

bool Engine::run_due_jobs() {
  bool worked = false;
  while (maintain_once(*core_)) worked = true;
  structure_dirty_ = false;
  return worked;
}

// A write does the due jobs, and shows in the figures what it waited.
void Engine::run_due_jobs_of_write() {
  const auto begin = std::chrono::steady_clock::now();
  if (!run_due_jobs()) return;
  const auto time = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - begin);
  Counters& counters = core_->counters;
  ++counters.stalled_writes;
  counters.stalled_microseconds_max = std::max<std::uint64_t>(
      counters.stalled_microseconds_max, static_cast<std::uint64_t>(time.count()));
}

void Engine::put(std::string_view key, std::string_view value, const WriteOptions& options) {
  check_key(key);
  check_value(value);
  write_one(OperationKind::Put, key, value, options);
}

void Engine::erase(std::string_view key, const WriteOptions& options) {
  check_key(key);
  write_one(OperationKind::Erase, key, {}, options);
}

void Engine::erase_range(std::string_view from, std::string_view to, const WriteOptions& options) {
  if (!to.empty() && from >= to) return;
  check_bounds(from, to);
  write_one(OperationKind::EraseRange, from, to, options);
}

void Engine::write_one(OperationKind kind, std::string_view key, std::string_view value,
                       const WriteOptions& options) {
  const Durability durability = admit(options);
  const bool erases = kind != OperationKind::Put;
  make_room(options, erases);
  const bool logged = durability != Durability::Buffered;
  if (logged) ready_log(WriteLog::operation_payload_size(key, value), erases);
  const Sequence sequence = core_->last_sequence() + 1;
  const auto append = [&] {
    if (logged) {
      core_->on_log(
          [&](WriteLog& log) { log.append_operation(sequence, kind, key, value, durability); });
    } else {
      core_->unlogged_writes = true;
    }
  };
  if (kind == OperationKind::EraseRange) {
    append();
    apply_logged(core_->failure, [&] { put_range_erase(key, value, sequence); });
  } else {
    // What the insertion waits for is on its way while the log is appended to.
    segment::Segment& segment = core_->routes().find(key);
    const std::uint64_t hash = directory::hash64(key);
    const segment::Delta::Place place = segment.find_place(key, hash);
    append();
    apply_logged(core_->failure, [&] {
      segment.insert(place, key, hash, entry_kind(kind), value, sequence, keeps_older());
    });
  }
  core_->set_last_sequence(sequence);
  settle(durability);
}

void Engine::write(const WriteBatch& batch, const WriteOptions& options) {
  const Durability durability = admit(options);
  if (batch.empty()) return;
  const bool erases = batch.put_count() == 0;
  make_room(options, erases);
  const bool logged = durability != Durability::Buffered;
  if (logged) ready_log(batch.size(), erases);
  const Sequence sequence = core_->last_sequence() + 1;
  if (logged) {
    core_->on_log([&](WriteLog& log) { log.append(sequence, batch.encoded(), durability); });
  } else {
    core_->unlogged_writes = true;
  }
  OperationReader reader(batch.encoded());
  OperationSequencer sequencer(sequence);
  Operation operation;
  InsertionQueue<segment::Segment> queue(keeps_older());
  apply_logged(core_->failure, [&] {
    while (reader.next(operation)) {
      const Sequence own = sequencer.next(operation.kind);
      if (operation.kind == OperationKind::EraseRange) {
        queue.finish();
        put_range_erase(operation.key, operation.value, own);
      } else {
        queue.add(core_->routes().find(operation.key), entry_kind(operation.kind), operation.key,
                  operation.value, own);
      }
    }
    queue.finish();
  });
  VARVE_CHECK(reader.ok());  // WriteBatch encodes only what parses.
  core_->set_last_sequence(sequencer.last());
  settle(durability);
}

void Engine::put_range_erase(std::string_view from, std::string_view to, Sequence sequence) {
  apply_range_erase(*core_, from, to, sequence, false);
  structure_dirty_ = true;
}

void Engine::settle(Durability durability) {
  if (durability == Durability::Synced) {
    sync_log();
    return;
  }
  if (core_->options.sync_interval.count() == 0) [[likely]]
    return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_interval_sync_ < core_->options.sync_interval) return;
  sync();
  last_interval_sync_ = now;
}

void Engine::sync() {
  if (core_->options.read_only) return;
  core_->failure.rethrow_if_failed();
  // What has no log record becomes durable by a flush only.
  if (core_->unlogged_writes) {
    flush_all(*core_);
    return;
  }
  sync_log();
}

void Engine::sync_log() {
  core_->sync_log();
}

bool Engine::get(std::string_view key, std::string& value, Sequence at) {
  const std::uint64_t hash = directory::hash64(key);
  const segment::FoundEntry found = core_->routes().find(key).view().find(key, hash, at, scratch_);
  if (!found.found) return false;
  value.assign(found.value);
  return true;
}

bool Engine::contains(std::string_view key, Sequence at) {
  return core_->routes().find(key).view().find(key, directory::hash64(key), at, scratch_).found;
}

std::size_t Engine::multi_get(std::span<const std::string_view> keys, Sequence at,
                              std::span<std::optional<std::string>> values) {
  return find_keys(core_->routes(), keys, at, values);
}

std::unique_ptr<EngineCursor> Engine::scan(const ScanOptions& options) {
  return std::make_unique<EngineCursor>(*core_, options);
}

Sequence Engine::take_snapshot() {
  return core_->take_snapshot();
}

void Engine::release_snapshot(Sequence sequence) noexcept {
  core_->snapshots.remove(sequence);
}

void Engine::flush() {
  if (core_->options.read_only) return;
  core_->failure.rethrow_if_failed();
  flush_all(*core_);
  core_->pool.trim();
  if (core_->options.tuning.inline_maintenance) run_due_jobs();
}

bool Engine::maintain() {
  if (core_->options.read_only) return false;
  core_->failure.rethrow_if_failed();
  const bool worked = maintain_once(*core_);
  core_->look_for_room();
  if (!worked) structure_dirty_ = false;
  return worked;
}

// Returns the segment's end. What range erases have emptied goes first where room is short: that
// costs none, and the segments are taken in the order of their keys.
std::string Engine::compact_segment(std::string_view at, const JobControl& control) {
  while (core_->space.is_short() && drop_erased_segment(*core_, control)) {
  }
  const SegmentPtr segment = core_->routes().at(core_->routes().index_of(at));
  const segment::ViewRef view = Core::view_of(*segment);
  const bool compact_already = !view->has_memory() && view->slice_count() == 0 &&
                               view->range_tombstones.empty() && view->runs.size() <= 1 &&
                               view->main_size() <= core_->options.tuning.segment_size;
  if (!compact_already) {
    core_->with_reserve([&] { core_->do_job([&] { merge_main(*core_, segment, control); }); });
  }
  return segment->upper();
}

std::optional<std::string> Engine::compact_step(std::string_view at, std::string_view to,
                                                const CancelToken* cancel) {
  if (core_->options.read_only) {
    throw Error(ErrorCode::ReadOnly, "the index was opened read-only", core_->directory->path());
  }
  core_->failure.rethrow_if_failed();
  const JobControl control{cancel};
  control.check();
  std::string upper;
  try {
    upper = compact_segment(at, control);
  } catch (const Error& error) {
    // Now that it is known that there is none; but the same merge again would do no better.
    if (error.code() != ErrorCode::NoSpace || !drop_erased_segment(*core_, control)) throw;
    upper = compact_segment(at, control);
  }
  if (!upper.empty() && (to.empty() || upper < to)) return upper;
  bool worked = true;  // Neighbours that became small.
  while (worked) core_->with_reserve([&] { worked = maintain_once(*core_, control); });
  if (to.empty()) {
    shrink_log();
    core_->pool.trim();
  }
  return std::nullopt;
}

// Who compacts wants the room. That a file is still there is no reason to fail.
void Engine::shrink_log() {
  try {
    core_->shrink_log();
  } catch (const Error& error) {
    if (core_->failure.failed()) throw;
    core_->job_failures.note(JobFailures::kRemoval, error.what());
  }
}

void count_segment(MaintenanceProgress& progress, bool last) noexcept {
  ++progress.segments_done;
  if (last) {
    progress.segments_total = progress.segments_done;
  } else {
    progress.segments_total = std::max(progress.segments_total, progress.segments_done + 1);
  }
}

std::size_t Engine::segment_count(std::string_view from, std::string_view to) const {
  if (!to.empty() && from >= to) return 0;
  const RouteMap& routes = core_->routes();
  const std::size_t first = routes.index_of(from);
  std::size_t last = to.empty() ? routes.size() - 1 : routes.index_of(to);
  if (last > first && routes.at(last)->lower() == to) --last;  // The end is exclusive.
  return last - first + 1;
}

void Engine::close() {
  Core& core = *core_;
  if (core.options.read_only) return;
  core.failure.rethrow_if_failed();  // Whoever only closes must learn of it too.
  if (!VARVE_MUTANT("close.not_flushed")) flush_all(core);
  core.sweep();
  core.end_log();
  core.ownership->set_phase(true, core.manifest()->writer_epoch);
}

Options Engine::options() const {
  Options options = core_->options;
  options.key_codec = core_->manifest()->key_codec;
  options.value_codec = core_->manifest()->value_codec;
  return options;
}

void Engine::set_codecs(std::string_view key_codec, std::string_view value_codec) {
  const auto held = core_->manifest();
  const Manifest& manifest = *held;
  const auto check = [&](const char* what, const std::string& present, std::string_view wanted) {
    if (present.empty() || wanted.empty() || present == wanted) return;
    throw Error(ErrorCode::Mismatch,
                std::string("the index's ") + what + " codec is \"" + present +
                    "\", the caller's is \"" + std::string(wanted) + "\"",
                core_->directory->path());
  };
  check("key", manifest.key_codec, key_codec);
  check("value", manifest.value_codec, value_codec);
  const bool adds = (manifest.key_codec.empty() && !key_codec.empty()) ||
                    (manifest.value_codec.empty() && !value_codec.empty());
  if (!adds) return;
  if (core_->options.read_only) {
    throw Error(ErrorCode::ReadOnly, "a read-only index cannot record a codec",
                core_->directory->path());
  }
  core_->commit([&](Manifest& next) {
    if (next.key_codec.empty()) next.key_codec = key_codec;
    if (next.value_codec.empty()) next.value_codec = value_codec;
  });
}

Statistics Engine::statistics() const {
  return collect_statistics(*core_);
}

segment::FilterTally Engine::tally_filters(std::string_view key) {
  return core_->routes().find(key).view().tally_filters(key, directory::hash64(key), scratch_);
}

}  // namespace varve::internal
