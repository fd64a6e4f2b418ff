// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/export.hpp"

namespace varve {

enum class LockAlertKind : std::uint8_t {
  HighLockContention,  // A class of locks crossed one of the two thresholds below.
  DeadlockDetected,    // Locks wait for each other in a circle.
};

// "HIGH_LOCK_CONTENTION", "DEADLOCK_DETECTED". Never null.
[[nodiscard]] VARVE_EXPORT std::string_view to_string(LockAlertKind kind) noexcept;

struct LockAlert {
  LockAlertKind kind = LockAlertKind::HighLockContention;
  std::string lock;     // "segment" (the class) for contention, "segment 12" for a deadlock.
  std::string details;  // The figures and thresholds, or the wait-for graph.
};

// Whether and how the locks of an index are watched. Off, nothing is counted.
struct LockHealthOptions {
  bool enabled = false;
  // Contention is high when, over the last `window_wait_count` waits for the locks of one class,
  // the average wait reaches this time ...
  std::chrono::nanoseconds wait_threshold = std::chrono::milliseconds(10);
  // ... or this share of the acquisitions had to wait. It is over when both are below half.
  double contention_ratio = 0.25;
  std::uint32_t window_wait_count = 512;  // At least 1.
  // Every how many acquisitions, on average, one is counted and its hold time measured; at least 1.
  // Waits are all counted.
  std::uint32_t sample_period = 64;
  // A wait that has lasted this long looks for a deadlock, and again after twice the time.
  std::chrono::nanoseconds deadlock_check_after = std::chrono::seconds(1);
  // Called once when contention becomes high, and once per deadlock, by the thread that notices it,
  // which holds locks of the index: be brief, and do not call the index. What it throws is dropped.
  std::function<void(const LockAlert&)> on_alert = {};
};

// Durations of one kind. Percentiles are within 2 %.
struct LockTimes {
  std::uint64_t count = 0;
  std::chrono::nanoseconds average{0}, p50{0}, p99{0}, max{0};
};

// The locks of one name and rank, since the index was opened.
struct LockClassReport {
  std::string name;
  std::uint8_t rank = 0;
  std::uint64_t acquisition_count = 0;  // Estimated from samples.
  LockTimes wait;                       // Of every acquisition that had to wait, timeouts included.
  LockTimes hold;                       // Of sampled acquisitions.
  std::uint64_t timeout_count = 0;      // Waits that ended without the lock, deadlocks included.
  std::uint64_t deadlock_count = 0;
  bool is_contention_high = false;
};

// One lock that is waited for often. A count is exact for few such locks, else a lower bound.
struct ContendedLock {
  std::string name;  // "segment 12"
  std::uint64_t wait_count = 0;
};

struct LockReport {
  std::vector<LockClassReport> classes;        // By rank.
  std::vector<ContendedLock> most_waited_for;  // Most often first, 16 at most.
};

// A table for people, one line per class of locks and one per contended lock.
[[nodiscard]] VARVE_EXPORT std::string to_string(const LockReport& report);

}  // namespace varve
