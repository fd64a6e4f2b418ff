// SPDX-License-Identifier: Apache-2.0
#include "lib/core.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "lib/hooks.hpp"
#include "lib/memory_model.hpp"
#include "lib/merge_output.hpp"
#include "lib/read_limits.hpp"

namespace varve::internal {

Core::Core(std::shared_ptr<directory::Directory> opened,
           std::unique_ptr<directory::Ownership> owner, const Options& chosen, Manifest manifest)
    : directory(std::move(opened)),
      ownership(std::move(owner)),
      options(chosen),
      locks(options.lock_health),
      space(*directory, options.read_only ? 0 : options.tuning.reserve_size),
      memory_budget(options),
      catalog(*directory, std::move(manifest), failure),
      run_store(*directory, catalog.manifest()->uuid,
                options.untrusted ? Reads::Buffered : options.reads,
                read_limits(options.untrusted).run),
      concurrency(options.access == Access::Concurrent ? std::make_unique<Concurrency>(locks)
                                                       : nullptr) {
  // With a limit, the share that deltas get of it has nothing in it for what they might want again.
  // A quarter more than the budget: at its end there are chunks that are not full yet.
  if (options.memory_limit == 0) pool.set_kept_size(options.memory_budget / 4 * 5);
}

Core::~Core() {
  delete routes_.load(std::memory_order_relaxed);
}

void Core::set_routes(std::unique_ptr<const RouteMap> routes) {
  auto* const retired =
      const_cast<RouteMap*>(routes_.exchange(routes.release(), std::memory_order_acq_rel));
  if (retired == nullptr) return;
  if (concurrency != nullptr) {
    concurrency->domain.retire_intrusive(retired,
                                         [](concurrent::EpochDomain::Retired* doomed) noexcept {
                                           delete static_cast<const RouteMap*>(doomed);
                                         });
  } else {
    delete retired;
  }
}

Sequence Core::take_snapshot() {
  if (concurrency != nullptr) return snapshots.take(concurrency->published);
  snapshots.add(last_sequence());
  return last_sequence();
}

std::vector<Sequence> Core::snapshots_for_merge() const {
  if (concurrency != nullptr) concurrency->published.await(last_sequence());
  return snapshots.live();
}

JobBoard::Lock Core::lock_jobs() const {
  return concurrency == nullptr ? JobBoard::Lock() : concurrency->jobs.lock();
}

JobBoard::Lock Core::join_jobs() const {
  return concurrency == nullptr ? JobBoard::Lock() : concurrency->jobs.join();
}

std::uint64_t Core::take_number(std::atomic<std::uint64_t>& next, std::uint64_t at_least) noexcept {
  std::uint64_t seen = next.load(std::memory_order_relaxed);
  while (true) {
    const std::uint64_t number = std::max(seen, at_least);
    if (next.compare_exchange_weak(seen, number + 1, std::memory_order_relaxed)) return number;
  }
}

std::unique_lock<directory::Mutex> Core::lock_catalog() const {
  return concurrency == nullptr ? std::unique_lock<directory::Mutex>()
                                : std::unique_lock(concurrency->catalog);
}

std::unique_lock<directory::Mutex> Core::lock_log() const {
  return concurrency == nullptr ? std::unique_lock<directory::Mutex>()
                                : std::unique_lock(concurrency->log);
}

std::unique_lock<segment::WriterMutex> Core::lock_writer(segment::Segment& segment) const {
  return concurrency == nullptr ? std::unique_lock<segment::WriterMutex>()
                                : std::unique_lock(segment.writer_mutex());
}

std::shared_ptr<segment::Delta> Core::make_delta(std::uint64_t expected_count) {
  using segment::Delta;
  const auto mode =
      concurrency == nullptr ? Delta::ReaderMode::Alone : Delta::ReaderMode::Concurrent;
  return std::make_shared<Delta>(pool, mode, expected_count);
}

std::shared_ptr<segment::Delta> Core::make_unfilled_delta(
    std::unique_ptr<segment::DeltaFiller> filler) {
  using segment::Delta;  // Nobody reads it while it is filled, nor writes to it afterwards.
  auto delta = std::make_shared<Delta>(pool, Delta::ReaderMode::Alone);
  delta->fill_later(std::move(filler), locks.filling);
  return delta;
}

std::shared_ptr<segment::Segment> Core::make_segment(const SegmentRecord& record, std::string upper,
                                                     std::vector<segment::RunLayer> runs) {
  auto view = std::make_unique<segment::View>();
  view->active = make_delta(0);
  view->runs = std::move(runs);
  view->range_tombstones = record.range_tombstones;
  auto made = std::make_shared<segment::Segment>(record.id, record.fence, std::move(upper),
                                                 record.version, view.get(), locks.segment);
  static_cast<void>(view.release());  // The segment's, from here on.
  return made;
}

void Core::publish(segment::Segment& segment, const std::function<void(segment::View&)>& change) {
  const auto lock = lock_writer(segment);
  publish_locked(segment, change);
}

void Core::publish_locked(segment::Segment& segment,
                          const std::function<void(segment::View&)>& change) {
  const segment::View& old = segment.view();
  auto next = std::make_unique<segment::View>();
  next->active = old.active;
  next->frozen = old.frozen;
  next->runs = old.runs;
  next->range_tombstones = old.range_tombstones;
  change(*next);
  const segment::View* retired = segment.publish(next.release());
  if (concurrency != nullptr) {
    // Intrusive: without memory a pinned thread could neither note the view nor wait with it.
    concurrency->domain.retire_intrusive(const_cast<segment::View*>(retired),
                                         [](concurrent::EpochDomain::Retired* view) noexcept {
                                           static_cast<const segment::View*>(view)->release();
                                         });
  } else {
    retired->release();
  }
}

void Core::share_memory() {
  if (!memory_budget.is_limited()) return;
  const auto held = manifest();
  std::uint64_t others = run_store.tables_size() + run_store.tables_free_size() +
                         structure_size(*held, options) +
                         std::max<std::uint64_t>(jobs_size_max(*held, options),
                                                 jobs_size.load(std::memory_order_relaxed));
  if (concurrency != nullptr) others += options.tuning.hot_path_size;
  memory_budget.share(others);
}

void Core::measure_held_memory() {
  const std::uint64_t released = pool.size_released();  // First, as memory_size() falls with it.
  const std::size_t size = memory_size();
  std::set<const segment::Delta*> live;  // Children of a split share their parent's deltas.
  std::size_t in_views = 0;
  const auto add = [&](const segment::Delta* delta) {
    if (live.insert(delta).second) in_views += delta->memory_size();
  };
  for (const auto& segment : routes().segments()) {
    const segment::ViewRef view = view_of(*segment);
    add(view->active.get());
    for (const auto& delta : view->frozen) add(delta.get());
  }
  held_until_.store(released + size - std::min(size, in_views), std::memory_order_relaxed);
}

Sequence oldest_unflushed(const segment::View& view, Sequence flushed_sequence) noexcept {
  Sequence oldest = segment::kSequenceMax;
  const auto consider = [&](const segment::Delta& delta) {
    if (!delta.empty() && delta.last_sequence() > flushed_sequence) {
      oldest = std::min(oldest, delta.first_sequence());
    }
  };
  consider(*view.active);
  for (const auto& delta : view.frozen) consider(*delta);
  for (const RangeTombstone& tombstone : view.range_tombstones) {
    if (tombstone.sequence > flushed_sequence) oldest = std::min(oldest, tombstone.sequence);
  }
  return oldest;
}

// Log records up to here are in runs. `manifest` may already be ahead of the routes: the record
// that a segment's keys belong to is then the one whose range contains its fence.
Sequence Core::checkpoint_for(const Manifest& manifest) const noexcept {
  // Before the views are looked at: what is handed out later may not be in them yet.
  Sequence checkpoint = visible_sequence();
  const auto pinned = pin();
  std::size_t at = 0;
  for (const auto& segment : routes().segments()) {
    while (at + 1 < manifest.segments.size() &&
           manifest.segments[at + 1].fence <= segment->lower()) {
      ++at;
    }
    const Sequence oldest =
        oldest_unflushed(segment->view(), manifest.segments[at].flushed_sequence);
    const Sequence flushed = VARVE_MUTANT("log.checkpoint_off_by_one") ? oldest : oldest - 1;
    if (oldest != segment::kSequenceMax) checkpoint = std::min(checkpoint, flushed);
  }
  return checkpoint;
}

void Core::commit(const std::function<void(Manifest&)>& edit) {
  const auto lock = lock_catalog();
  replace_manifest(edit);
  VARVE_HOOK("manifest.committed");
}

void Core::replace_manifest(const std::function<void(Manifest&)>& edit) {
  Sequence checkpoint = 0;
  if (log != nullptr && VARVE_MUTANT("log.released_before_commit")) {
    Manifest next = *manifest();
    edit(next);
    log->release_through(checkpoint_for(next));
    log->remove_released();
  }
  catalog.replace(*ownership, [&](Manifest& next) {
    edit(next);
    next.last_sequence = std::max(next.last_sequence, last_sequence());
    checkpoint = std::max(next.checkpoint, checkpoint_for(next));
    if (VARVE_MUTANT("log.checkpoint_too_high")) checkpoint = last_sequence();
    next.checkpoint = checkpoint;
    if (log != nullptr) {
      next.logs = log->live_after(checkpoint);
      // Also a file whose own commit failed is listed by the next one, whoever does that.
      if (!next.logs.empty()) {
        next.next_log_number = std::max(next.next_log_number, next.logs.back().number + 1);
      }
    }
  });
  if (log == nullptr) return;
  remove_dead([&] {
    log->release_through(checkpoint);
    log->remove_released();
  });
}

// The manifest names it no longer: that it is still there costs room and nothing else. An error
// here would make the caller believe that its commit had not happened.
void Core::remove_dead(const std::function<void()>& remove) {
  try {
    remove();
  } catch (const std::exception& error) {
    job_failures.note(JobFailures::kRemoval, error.what());
    return;
  }
  job_failures.clear(JobFailures::kRemoval);
}

void Core::sweep() {
  remove_dead([this] { run_store.sweep(); });
}

void Core::after_commit(const std::function<void()>& step) {
  try {
    step();
  } catch (...) {
    failure.record(std::current_exception());
    throw;
  }
}

void Core::take_log(std::unique_ptr<WriteLog> taken) {
  log = std::move(taken);
  log_listed_ = true;  // A file that does not fit is replaced first, if there is one at all.
}

// Also when an earlier commit of the new file failed: no record may go into a file that recovery
// would not read.
void Core::begin_log(std::size_t payload_size, bool small) {
  const auto catalog_lock = lock_catalog();
  {
    const auto log_lock = lock_log();
    if (log_ready(payload_size)) return;
    if (!log->fits(payload_size)) {
      log_listed_ = false;
      on_log([&](WriteLog& open) {
        open.rotate(next_log_number(), last_sequence() + 1, payload_size, small);
      });
    }
  }
  if (!VARVE_MUTANT("log.not_listed"))
    replace_manifest([](Manifest&) {});  // It lists the log, and the number after it.
  const auto log_lock = lock_log();
  log_listed_ = true;
}

std::uint64_t Core::next_log_number() const {
  // The present file's number is the manifest's next one as long as no commit listed it.
  const std::uint64_t above = log->live().empty() ? 0 : log->live().back().number + 1;
  return std::max(manifest()->next_log_number, above);
}

void Core::prepare_log() {
  const auto lock = lock_catalog();
  if (log == nullptr || !log->wants_next() || space.is_short()) return;
  try {
    on_log([&](WriteLog& open) { open.prepare(next_log_number(), last_sequence() + 1); });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NoSpace) throw;
  }
}

// Where jobs run side by side, or readers do beside writers, no processor is left that would do a
// part of a job; another thread would only cut in on theirs.
bool Core::may_write_behind() const noexcept {
  if (memory_size() < memory_budget.paced_from() || concurrency->jobs.writing_count() > 1) {
    return false;
  }
  const auto pinned = pin();
  const auto& segments = routes().segments();
  return std::none_of(segments.begin(), segments.end(),
                      [](const auto& segment) { return is_being_read(*segment); });
}

void Core::put_runs(const std::string& name, const std::function<void(directory::Sink&)>& write) {
  JobMemory buffer(jobs_size);
  try {
    directory->put_immutable(name, [&](directory::Sink& sink) {
      // A memory limit has no room for another buffer, and a share is of one thread's time.
      if (concurrency != nullptr && !memory_budget.is_limited() &&
          options.tuning.maintenance_share >= 1) {
        sink.write_behind_when([this, &sink, &buffer] {
          const bool pressed = may_write_behind();
          if (pressed) buffer.set(2 * sink.buffer_size());
          return pressed;
        });
      }
      buffer.set(sink.buffer_size());
      write(sink);
    });
  } catch (const directory::SyncError&) {
    // The file is gone again, but a medium that lost it may have lost more.
    if (!VARVE_MUTANT("run.failed_sync_not_latched")) failure.record(std::current_exception());
    throw;
  }
}

void Core::end_log() {
  const std::vector<LogRecordEntry> logs = log->live();
  log->remove_spares();
  log.reset();
  commit([](Manifest& next) {
    next.logs.clear();
    next.closed_cleanly = true;
  });
  for (const LogRecordEntry& entry : logs) directory->remove(log_file_name(entry.number));
}

void Core::shrink_log() {
  const auto catalog_lock = lock_catalog();
  if (seal_log_without_use()) replace_manifest([](Manifest&) {});
  log->remove_spares();
}

// Under lock_catalog(). A full medium might not have the room for another log: erases need one.
bool Core::seal_log_without_use() {
  const auto log_lock = lock_log();
  if (log->live().empty() || space.is_short()) return false;
  if (checkpoint_for(*manifest()) < last_sequence()) return false;
  on_log([this](WriteLog& open) { open.seal(last_sequence()); });
  return true;
}

double Core::compaction_ratio(const segment::Segment& segment) const noexcept {
  const std::uint64_t spread = segment.id() * 0x9e3779b97f4a7c15ULL >> 48;  // 16 bits.
  const double factor = 0.8 + 0.4 * static_cast<double>(spread) / 65535.0;
  return options.tuning.compaction_ratio * factor;
}

segment::MergePlan Core::merge_plan(const segment::Segment& segment,
                                    const segment::View& view) const noexcept {
  const segment::MergePlan plan =
      segment::plan_merge(view, compaction_ratio(segment), options.tuning);
  if (plan.kind == segment::MergeKind::Main) return plan;
  if (!options.tuning.merge_for_reads || space.is_short()) return plan;
  // Only Access::Concurrent has threads that nobody waits for.
  if (!view.reads_want_merge(concurrency != nullptr)) return plan;
  // No medium is to be filled for it: as much again as it writes stays free.
  if (!space.has_room_for(2 * view.size()) && !VARVE_MUTANT("scan.merge_fills_medium")) return plan;
  return {.kind = segment::MergeKind::Main};
}

}  // namespace varve::internal
