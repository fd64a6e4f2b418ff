// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "directory/mutex.hpp"
#include "lib/core.hpp"
#include "varve/segment_index.hpp"

namespace varve::internal {

// The background threads of a concurrent index, and what writers have to do with them.
//
//   maintenance  each does due jobs one after the other, until none is due; nicer than the caller's
//   relief       does so too while memory is nearly full, and is no nicer: where others take all
//                processors, writers do not wait for the nice ones
//   log keeper   syncs the log ahead of the flush that will need it, and every sync_interval
//
// Pacing: while the deltas hold less than kPacedFrom of the memory budget, writers are not slowed.
// From there on each write reserves time, more of it the fuller the memory is, so that writers come
// down to the rate at which memory is freed; at the full budget they wait for room. Memory that
// only readers still hold does not count: nobody waits for a cursor, which may be his own.
//
// A job that fails is shown in health() and tried again after a while, or when something has
// changed. What leaves the disk in doubt is latched where it happens.
// Threads: with one of maintenance and one for the log everything gets done, only slower.
// Thread-safety: any thread. Lifetime: stop() before the core goes.
class Background {
 public:
  using Clock = std::chrono::steady_clock;
  using Deadline = std::optional<Clock::time_point>;

  explicit Background(Core& core);
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background();

  // Errors: Io when not even the threads that are needed can be had.
  void start();
  // Ends the waiting of writers (they throw Closed), then the threads; a job in progress is
  // cancelled or waited for. Idempotent.
  void stop(bool cancel_job) noexcept;

  // A write of `size` bytes asks to come in. Returns at once while there is room. `erases`: it
  // consists of erases (see memory_limit()).
  // Errors: Busy (naming the reason and when to try again) once the deadline has passed; Closed;
  // what the last job failed with, when there is no room because of it.
  void admit(std::size_t size, const Deadline& deadline, bool erases) {
    if (memory_size() < paced_from()) [[likely]] {
      return;
    }
    admit_slowly(size, deadline, erases);
  }
  // After a write: wakes the threads that have something to do now.
  void wrote() noexcept {
    if (memory_size() >= flush_from()) [[unlikely]] {
      wake_if_due();
    }
    if (core_.log != nullptr && core_.log->bytes_unsynced() >= kSyncAheadSize) [[unlikely]] {
      wake_log_keeper();
    }
  }
  // One read in some thousand tells of itself. Memory that nobody adds to any more costs each read
  // a look and each seek a walk: once readers have found it as it was for kQuietTime, it is
  // flushed. And what reads have found out about runs (Core::reads_may_want_merge) is looked into.
  void read_sampled() noexcept;
  // The structure changed in a way that may have made a job due.
  void wake() noexcept;
  // After a job that another thread has done: what failed here before is worth another try.
  void job_done() noexcept;

  struct Figures {
    std::uint64_t paced_write_count = 0;        // Writes that were slowed.
    std::uint64_t paced_nanoseconds = 0;        // And by how much, together.
    std::uint64_t stalled_write_count = 0;      // Writes that waited for room.
    std::uint64_t stalled_nanoseconds_max = 0;  // The longest such wait.
    std::uint64_t failed_job_count = 0;
    std::string last_failure;  // Empty: the last job succeeded.
  };
  [[nodiscard]] Figures figures() const;
  [[nodiscard]] bool healthy() const noexcept {
    return !job_failed_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kSyncAheadSize = std::size_t{8} << 20;
  static constexpr std::chrono::milliseconds kQuietTime{500};

  [[nodiscard]] std::size_t memory_size() const noexcept { return core_.flushable_size(); }
  [[nodiscard]] std::size_t flush_from() const noexcept { return core_.memory_budget.flush_from(); }
  [[nodiscard]] std::size_t paced_from() const noexcept { return core_.memory_budget.paced_from(); }
  void admit_slowly(std::size_t size, const Deadline& deadline, bool erases);
  void pace(std::size_t size, const Deadline& deadline);
  void wait_for_room(const Deadline& deadline, bool erases);
  [[noreturn]] void refuse(std::chrono::nanoseconds retry_after) const;
  void wake_if_due() noexcept;
  void wake_log_keeper() noexcept;
  void ask_for_relief() noexcept;
  void maintain();
  void fill_deltas() noexcept;
  void relieve();
  bool may_try_again() noexcept;
  bool do_one_job();
  void keep_log();
  void measure_held();
  void rest(Clock::time_point& worked_since);
  void made_room() noexcept;
  [[nodiscard]] std::uint64_t job_begins() noexcept;
  void job_ended(bool worked, std::exception_ptr failure, std::uint64_t failed_before) noexcept;
  void measure_drain(Clock::time_point now) noexcept;

  Core& core_;
  CancelToken cancel_;

  mutable directory::Mutex mutex_;  // Innermost: nothing is locked under it.
  std::condition_variable_any work_, log_work_, relief_, room_;
  std::atomic<bool> stopping_ = false;  // Written under mutex_.
  bool work_wanted_ = false;            // Guarded by mutex_.
  bool log_sync_wanted_ = false;        // Guarded by mutex_.
  bool relief_wanted_ = false;          // Guarded by mutex_.
  Clock::time_point next_write_;        // Guarded by mutex_. Reserved by paced writes up to here.
  // Guarded by mutex_, and so is the exception itself: what others are told of it is copied there.
  std::exception_ptr job_failure_;
  Figures figures_;          // Guarded by mutex_.
  Clock::duration pause_{};  // Guarded by mutex_. Before the failed job is tried again.
  std::atomic<bool> asked_ = false, log_asked_ = false, relief_asked_ = false, job_failed_ = false;
  // What read_sampled() saw, and since when it has been so.
  std::atomic<std::size_t> quiet_size_ = 0;
  std::atomic<Clock::rep> quiet_since_ = 0;
  std::atomic<bool> quiet_ = false;  // Readers want a flush.
  // Bytes of memory freed per second in which there was a job, over the last few seconds.
  std::atomic<double> drain_rate_;
  std::size_t jobs_running_ = 0;        // Guarded by mutex_.
  std::uint64_t released_at_mark_ = 0;  // Guarded by mutex_. When the rate was looked at last,
  Clock::time_point mark_;              // or the first job began after a rest.
  std::vector<std::thread> maintenance_threads_;
  std::thread log_thread_, relief_thread_;
};

}  // namespace varve::internal
