// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "directory/wait_graph.hpp"
#include "varve/concurrent/latency_histogram.hpp"
#include "varve/lock_health.hpp"

namespace varve::directory {

class LockMonitor;
class Mutex;

// Which locks of a class are waited for most: a bucket per order number modulo 64, in which a lock
// that waits elsewhere in the bucket displace when they are the majority.
// Thread-safety: any method from any thread.
class ContendedLocks {
 public:
  void note(std::uint32_t order_number) noexcept;
  // Appends those that are known, named by `name` and their order number.
  void append_to(std::vector<ContendedLock>& locks, std::string_view name) const;

 private:
  std::array<std::atomic<std::uint64_t>, 64> buckets_ = {};  // Order number, then wait count.
};

// What is observed of one class of locks.
// Thread-safety: any method from any thread.
struct LockClassFigures {
  LockClassFigures(LockMonitor& owner, std::string_view class_name, std::uint8_t class_rank)
      : monitor(owner), name(class_name), rank(class_rank) {}

  LockMonitor& monitor;
  const std::string name;
  const std::uint8_t rank;
  concurrent::LatencyHistogram waits, holds;
  ContendedLocks contended;
  std::atomic<std::uint64_t> sample_count = 0, timeout_count = 0, deadlock_count = 0;
  std::atomic<std::uint64_t> wait_count = 0, wait_time = 0;
  std::atomic<bool> is_contention_high = false;
  // What the last window of waits ended with. Guarded by the monitor's mutex.
  std::uint64_t window_sample_count = 0, window_wait_time = 0;
};

// Observes the locks of one index: times their waits, samples their holds, finds deadlocks.
//
// Lifetime: outlives its lock classes.
// Thread-safety: any method from any thread.
class LockMonitor {
 public:
  // `options.enabled` is the caller's to heed: see make_lock_monitor().
  explicit LockMonitor(LockHealthOptions options);

  [[nodiscard]] const LockHealthOptions& options() const noexcept { return options_; }
  [[nodiscard]] LockReport report() const;

  // For LockClass and Mutex. A class added twice has one set of figures.
  [[nodiscard]] LockClassFigures* add_class(std::string_view name, std::uint8_t rank);
  // `graph`: null when the wait ended with the lock.
  void note_wait(LockClassFigures& figures, const Mutex& mutex, std::chrono::nanoseconds time,
                 const WaitGraph* graph) noexcept;
  // Counts and reports a deadlock, unless the last one reported is the same.
  void note_deadlock(LockClassFigures& figures, const Mutex& mutex,
                     const WaitGraph& graph) noexcept;

 private:
  void end_window(LockClassFigures& figures) noexcept;
  void alert(LockAlertKind kind, std::string lock, std::string details) const noexcept;

  const LockHealthOptions options_;
  mutable std::mutex mutex_;  // Below every engine lock; never held during an alert.
  std::vector<std::unique_ptr<LockClassFigures>> classes_;  // Guarded by mutex_, as is the next.
  std::uint64_t last_deadlock_ = 0;
};

// Null unless enabled. Errors: InvalidArgument when an option is out of its bounds.
[[nodiscard]] std::unique_ptr<LockMonitor> make_lock_monitor(const LockHealthOptions& options);

}  // namespace varve::directory
