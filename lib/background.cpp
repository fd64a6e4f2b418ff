// SPDX-License-Identifier: Apache-2.0
#include "lib/background.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "directory/mutant.hpp"
#include "directory/thread_priority.hpp"
#include "lib/hooks.hpp"
#include "lib/maintenance.hpp"
#include "lib/make_thread.hpp"
#include "lib/memory_model.hpp"
#include "varve/error.hpp"

namespace varve::internal {
namespace {

using std::chrono::nanoseconds;

// What is assumed of the rate at which memory is freed before it was measured.
constexpr double kDrainRateStart = 100e6;
constexpr double kDrainRateMin = 1e6;
constexpr nanoseconds kPaceMax = std::chrono::milliseconds(20);  // Of one write.
// A pause below this costs more than it paces: it is left to a later write.
constexpr nanoseconds kPaceMin = std::chrono::microseconds(500);
// Memory beside its bytes that a write takes in a delta, about.
constexpr std::size_t kWriteOverhead = 32;
constexpr auto kRetryAfterMax = std::chrono::seconds(30);  // A job that failed again and again.

std::string message_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown";
  }
}

// Throws the failure as an exception of its own.
class CopiedFailure {
 public:
  explicit CopiedFailure(const std::exception_ptr& failure) {
    if (failure == nullptr) return;
    try {
      std::rethrow_exception(failure);
    } catch (const Error& error) {
      error_.emplace(error);
    } catch (const std::bad_alloc&) {
      lacks_memory_ = true;  // There may be none for an Error, either.
    } catch (const std::exception& error) {
      error_.emplace(ErrorCode::Io, std::string("a maintenance job failed: ") + error.what());
    }
  }
  void rethrow_if_any() const {
    if (error_) throw Error(*error_);
    if (lacks_memory_) throw std::bad_alloc();
  }

 private:
  std::optional<Error> error_;
  bool lacks_memory_ = false;
};

}  // namespace

Background::Background(Core& core)
    : core_(core), mutex_(core.locks.background), drain_rate_(kDrainRateStart) {}

Background::~Background() {
  stop(true);
}

void Background::start() {
  if (core_.options.read_only) return;
  try {
    log_thread_ = make_thread<std::thread>([this] { keep_log(); });
    if (!core_.options.tuning.inline_maintenance) return;
    work_wanted_ = true;  // What was due when the index was closed.
    const std::size_t count = maintenance_thread_count(core_.options);
    maintenance_threads_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      maintenance_threads_.push_back(make_thread<std::thread>([this] { maintain(); }));
    }
    if (core_.options.tuning.maintenance_nice > 0) {
      relief_thread_ = make_thread<std::thread>([this] { relieve(); });
    }
  } catch (const std::system_error& error) {
    if (!maintenance_threads_.empty()) return;  // Fewer do it as well.
    stop(true);
    throw Error(ErrorCode::Io,
                "cannot start the threads that Access::Concurrent needs: " +
                    error.code().message() + "; Access::Synchronized needs none",
                core_.directory->path(), error.code());
  }
}

void Background::stop(bool cancel_job) noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (cancel_job) cancel_.cancel();
  }
  work_.notify_all();
  log_work_.notify_all();
  relief_.notify_all();
  room_.notify_all();
  for (std::thread& thread : maintenance_threads_) {
    if (thread.joinable()) thread.join();
  }
  if (relief_thread_.joinable()) relief_thread_.join();
  if (log_thread_.joinable()) log_thread_.join();
}

void Background::wake() noexcept {
  {
    const std::lock_guard lock(mutex_);
    work_wanted_ = true;
  }
  work_.notify_one();
}

void Background::job_done() noexcept {
  {
    const std::lock_guard lock(mutex_);
    job_failure_ = nullptr;
    job_failed_.store(false, std::memory_order_relaxed);
    work_wanted_ = true;
  }
  work_.notify_one();
  made_room();
}

void Background::made_room() noexcept {
  core_.concurrency->domain.collect();
  {
    const std::lock_guard lock(mutex_);  // A writer between its look and its wait must not miss it.
  }
  room_.notify_all();
}

// One notification per time that it becomes due, not one per write.
void Background::wake_if_due() noexcept {
  if (!memory_due(core_) || asked_.load(std::memory_order_relaxed)) return;
  if (!asked_.exchange(true, std::memory_order_acq_rel)) wake();
}

// Memory that grows slowly counts as quiet too, as long as the flush is worth it. And memory that
// was flushed but had readers in it then, which nobody may have looked at since: the job that finds
// nothing to flush gives it back.
void Background::read_sampled() noexcept {
  if (maintenance_threads_.empty()) return;
  if (core_.reads_may_want_merge.load(std::memory_order_relaxed) &&
      core_.reads_may_want_merge.exchange(false, std::memory_order_relaxed)) {
    wake();
  }
  const std::size_t size = core_.memory_size();
  const std::size_t quiet_from = core_.memory_budget.deltas() / 32;  // Less is not worth a file.
  if (size < quiet_from) return;
  const Clock::rep now = Clock::now().time_since_epoch().count();
  const std::size_t before = quiet_size_.load(std::memory_order_relaxed);
  if (size < before || size - before > quiet_from / 8) {
    quiet_size_.store(size, std::memory_order_relaxed);
    quiet_since_.store(now, std::memory_order_relaxed);
    return;
  }
  const Clock::duration quiet(now - quiet_since_.load(std::memory_order_relaxed));
  if (quiet >= kQuietTime && !quiet_.exchange(true, std::memory_order_relaxed)) wake();
}

void Background::wake_log_keeper() noexcept {
  if (log_asked_.load(std::memory_order_relaxed)) return;
  if (log_asked_.exchange(true, std::memory_order_acq_rel)) return;
  {
    const std::lock_guard lock(mutex_);
    log_sync_wanted_ = true;
  }
  log_work_.notify_one();
}

void Background::ask_for_relief() noexcept {
  if (relief_asked_.load(std::memory_order_relaxed)) return;
  if (relief_asked_.exchange(true, std::memory_order_acq_rel)) return;
  {
    const std::lock_guard lock(mutex_);
    relief_wanted_ = true;
  }
  relief_.notify_one();
}

// What failed, or has no room, is for maintain() to try again, which knows when.
void Background::relieve() {
  std::unique_lock lock(mutex_);
  while (true) {
    relief_.wait(lock, [this] { return stopping_ || relief_wanted_; });
    if (stopping_) return;
    relief_wanted_ = false;
    relief_asked_.store(false, std::memory_order_release);
    bool worked = true;
    while (worked && job_failure_ == nullptr && !core_.space.is_short() &&
           memory_size() >= paced_from()) {
      lock.unlock();
      worked = do_one_job();
      lock.lock();
    }
  }
}

// Those that recovery has left for later, each by one thread. One that cannot be filled is asked
// for again by whoever needs it, and says so then.
void Background::fill_deltas() noexcept {
  if (VARVE_MUTANT("replay.filled_by_nobody")) return;
  try {
    std::vector<SegmentPtr> segments;
    {
      const auto pinned = Core::pin();
      segments = core_.routes().segments();
    }
    for (const SegmentPtr& segment : segments) {
      const segment::ViewRef view = Core::view_of(*segment);
      for (const auto& delta : view->frozen) {
        if (stopping_) return;
        static_cast<void>(delta->try_fill());
      }
    }
  } catch (const std::exception&) {
    // See above.
  }
}

void Background::maintain() {
  directory::make_thread_nicer(static_cast<int>(core_.options.tuning.maintenance_nice));
  fill_deltas();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (job_failure_ != nullptr) {
      work_.wait_for(lock, pause_, [this] { return stopping_ || job_failure_ == nullptr; });
    } else if (core_.space.is_short() || core_.job_failures.any()) {
      work_.wait_for(lock, hooks::retry_pause.load(std::memory_order_relaxed),
                     [this] { return stopping_ || work_wanted_; });
    } else {
      work_.wait(lock, [this] { return stopping_ || work_wanted_; });
    }
    if (stopping_) return;
    const bool again = job_failure_ != nullptr;
    work_wanted_ = false;
    lock.unlock();
    asked_.store(false, std::memory_order_release);
    if (!again || may_try_again()) {
      while (do_one_job()) {
      }
    }
    lock.lock();
  }
}

// After a failure. What had no room is not tried by each thread, and not as long as there is none.
bool Background::may_try_again() noexcept {
  return !core_.space.lacks(Space::Use::Job) || core_.space.worth_trying(Space::Use::Job);
}

// False: nothing is due, or going on makes no sense now.
bool Background::do_one_job() {
  std::exception_ptr failure;
  bool worked = false;
  const std::uint64_t failed_before = job_begins();
  try {
    // Without a log record, all segments are flushed at one moment, which only a lone job can.
    const bool alone = core_.unlogged_writes;
    auto jobs = alone ? core_.lock_jobs() : core_.join_jobs();
    if (!stopping_ && !core_.failure.failed()) {
      JobControl control{.cancel = &cancel_, .joined = alone ? nullptr : &jobs};
      if (!alone && core_.options.tuning.maintenance_share < 1) {
        control.rest = [this, since = Clock::now()]() mutable { rest(since); };
      }
      worked = maintain_once(core_, control);
      if (!worked && quiet_.exchange(false, std::memory_order_relaxed)) {
        quiet_size_.store(0, std::memory_order_relaxed);
        worked = flush_for_readers(core_, control);
      }
      if (core_.space.is_short()) core_.look_for_room();
    }
  } catch (const Error& error) {
    // Has what is left of it by then been latched, then where it happened.
    if (error.code() != ErrorCode::Cancelled) failure = std::current_exception();
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  try {
    measure_held();
  } catch (const std::exception&) {
    // Or else a writer could wait for memory that only a reader holds, and nobody would look again.
    if (failure == nullptr) failure = std::current_exception();
  }
  VARVE_HOOK("job.ending");
  const bool failed = failure != nullptr;
  job_ended(worked, std::move(failure), failed_before);
  VARVE_HOOK("job.ended");
  made_room();
  return worked && !failed;
}

// Leaves the processor to others for as long as the thread's share asks for after the work since
// `worked_since`.
void Background::rest(Clock::time_point& worked_since) {
  const double share = core_.options.tuning.maintenance_share;
  const std::chrono::duration<double> worked = Clock::now() - worked_since;
  const auto until =
      Clock::now() + std::chrono::duration_cast<nanoseconds>(worked * (1 / share - 1));
  VARVE_HOOK("job.resting");
  {
    std::unique_lock lock(mutex_);
    room_.wait_until(lock, until, [this] { return stopping_ || memory_size() >= paced_from(); });
  }
  worked_since = Clock::now();
}

// Returns how many have failed so far.
std::uint64_t Background::job_begins() noexcept {
  const std::lock_guard lock(mutex_);
  if (jobs_running_++ == 0) {
    mark_ = Clock::now();
    released_at_mark_ = core_.pool.size_released();
  }
  return figures_.failed_job_count;
}

// That nothing is due says that there is nothing to be tried again, unless a job failed during that
// look: it had its segments, and nobody would come back to them.
void Background::job_ended(bool worked, std::exception_ptr failure,
                           std::uint64_t failed_before) noexcept {
  {
    const std::lock_guard lock(mutex_);
    --jobs_running_;
    measure_drain(Clock::now());
    if (failure != nullptr) {
      pause_ = job_failure_ == nullptr ? Clock::duration(hooks::retry_pause.load())
                                       : std::min<Clock::duration>(2 * pause_, kRetryAfterMax);
      job_failure_ = std::move(failure);
      ++figures_.failed_job_count;
    } else if (worked || (jobs_running_ == 0 && failed_before == figures_.failed_job_count)) {
      job_failure_ = nullptr;
    }
    job_failed_.store(job_failure_ != nullptr, std::memory_order_relaxed);
    work_wanted_ = work_wanted_ || worked;  // What it did may have made more due.
  }
  if (worked) work_.notify_one();
}

// Averaged over time, so that a job that frees a lot counts no more than the time it took.
// Requires: mutex_ is held.
void Background::measure_drain(Clock::time_point now) noexcept {
  constexpr double kAveragedSeconds = 2;
  const std::chrono::duration<double> took = now - mark_;
  const std::uint64_t released = core_.pool.size_released();
  if (took.count() <= 0) return;
  const double rate = static_cast<double>(released - released_at_mark_) / took.count();
  const double weight = took.count() / (took.count() + kAveragedSeconds);
  const double before = drain_rate_.load(std::memory_order_relaxed);
  drain_rate_.store(std::max(kDrainRateMin, before + weight * (rate - before)),
                    std::memory_order_relaxed);
  mark_ = now;
  released_at_mark_ = released;
}

void Background::measure_held() {
  core_.concurrency->domain.collect();
  const auto jobs = core_.join_jobs();
  core_.measure_held_memory();
}

// Nobody waits for it but a writer who has come to the log's end before the next file was ready.
void Background::keep_log() {
  directory::make_thread_nicer(static_cast<int>(core_.options.tuning.maintenance_nice));
  const auto interval = core_.options.sync_interval;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto wanted = [this] { return stopping_ || log_sync_wanted_; };
    const bool asked = interval.count() == 0 ? (log_work_.wait(lock, wanted), true)
                                             : log_work_.wait_for(lock, interval, wanted);
    if (stopping_) return;
    log_sync_wanted_ = false;
    lock.unlock();
    try {
      if (!asked && core_.unlogged_writes) {
        const auto jobs = core_.lock_jobs();
        flush_all(core_, {.cancel = &cancel_});
      } else if (!core_.failure.failed()) {
        core_.sync_log();
        core_.prepare_log();
      }
      core_.job_failures.clear(JobFailures::kLogKeeper);
    } catch (const std::exception& error) {
      // A failed sync has poisoned the log: writers throw it. The rest is tried again.
      if (!stopping_) core_.job_failures.note(JobFailures::kLogKeeper, error.what());
    }
    // Not before: all that a sync is at counts as unsynced until its end, and writes would ask for
    // the next one meanwhile.
    log_asked_.store(false, std::memory_order_release);
    lock.lock();
  }
}

void Background::admit_slowly(std::size_t size, const Deadline& deadline, bool erases) {
  wake_if_due();
  if (memory_size() >= core_.memory_budget.relieved_from()) ask_for_relief();
  // Nothing is freed at a rate while there is no space.
  if (core_.options.tuning.inline_maintenance && memory_size() < core_.memory_budget.deltas() &&
      !core_.space.lacks(Space::Use::Job)) {
    pace(size, deadline);
  }
  if (memory_size() >= memory_limit(core_, erases)) wait_for_room(deadline, erases);
}

// At the middle of the paced range a write takes as long as freeing its memory does; towards the
// full budget more and more.
void Background::pace(std::size_t size, const Deadline& deadline) {
  const auto budget = static_cast<double>(core_.memory_budget.deltas());
  constexpr double kPacedFrom = MemoryBudget::kPacedFrom;
  const double fill = (static_cast<double>(memory_size()) / budget - kPacedFrom) / (1 - kPacedFrom);
  const double clamped = std::clamp(fill, 0.0, 0.99);
  const double seconds = static_cast<double>(size + kWriteOverhead) /
                         drain_rate_.load(std::memory_order_relaxed) * clamped / (1 - clamped);
  const auto cost = std::min(kPaceMax, nanoseconds(static_cast<std::int64_t>(seconds * 1e9)));
  const Clock::time_point now = Clock::now();
  std::unique_lock lock(mutex_);
  next_write_ = std::max(next_write_, now) + cost;
  ++figures_.paced_write_count;
  if (next_write_ - now < kPaceMin) return;
  Clock::time_point until = std::min(next_write_, now + kPaceMax);
  if (deadline) until = std::min(until, *deadline);
  room_.wait_until(lock, until, [&] { return stopping_ || memory_size() < flush_from(); });
  if (memory_size() < flush_from()) next_write_ = Clock::now();
  figures_.paced_nanoseconds += static_cast<std::uint64_t>(nanoseconds(Clock::now() - now).count());
}

void Background::wait_for_room(const Deadline& deadline, bool erases) {
  const Clock::time_point since = Clock::now();
  if (core_.options.tuning.inline_maintenance) wake();
  std::unique_lock lock(mutex_);
  ++figures_.stalled_write_count;
  bool room = false;  // What was seen: other writers may have taken it by the time we look again.
  const auto done = [&] {
    room = memory_size() < memory_limit(core_, erases);  // Which a job may have moved.
    return room || stopping_ || job_failure_ != nullptr || core_.failure.failed();
  };
  const bool may_wait = core_.options.tuning.inline_maintenance;
  if (may_wait && deadline) {
    room_.wait_until(lock, *deadline, done);
  } else if (may_wait) {
    room_.wait(lock, done);
  } else {
    static_cast<void>(done());
  }
  const auto waited = static_cast<std::uint64_t>(nanoseconds(Clock::now() - since).count());
  figures_.stalled_nanoseconds_max = std::max(figures_.stalled_nanoseconds_max, waited);
  if (stopping_) throw Error(ErrorCode::Closed, "the index is closed", core_.directory->path());
  if (room) return;
  const CopiedFailure failure(job_failure_);
  lock.unlock();
  core_.failure.rethrow_if_failed();
  failure.rethrow_if_any();
  refuse(nanoseconds(static_cast<std::int64_t>(
      1e9 * static_cast<double>(memory_size() - std::min(memory_size(), flush_from())) /
      drain_rate_.load(std::memory_order_relaxed))));
}

void Background::refuse(nanoseconds retry_after) const {
  throw Error::busy("the memory budget of " + std::to_string(core_.memory_budget.deltas()) +
                        " bytes is used up: flush(), maintain() or write without a deadline first",
                    retry_after);
}

// The message is made here: where a job fails there may be no memory for one.
Background::Figures Background::figures() const {
  const std::lock_guard lock(mutex_);
  Figures figures = figures_;
  if (job_failure_ != nullptr) figures.last_failure = message_of(job_failure_);
  return figures;
}

}  // namespace varve::internal
