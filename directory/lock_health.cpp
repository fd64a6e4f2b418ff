// SPDX-License-Identifier: Apache-2.0
#include "varve/lock_health.hpp"

#include <cstdio>

namespace varve {
namespace {

double microseconds(std::chrono::nanoseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

template <typename... Values>
void append(std::string& text, const char* format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  text += line;
}

}  // namespace

std::string_view to_string(LockAlertKind kind) noexcept {
  switch (kind) {
    case LockAlertKind::HighLockContention:
      return "HIGH_LOCK_CONTENTION";
    case LockAlertKind::DeadlockDetected:
      return "DEADLOCK_DETECTED";
  }
  return "UNKNOWN";
}

std::string to_string(const LockReport& report) {
  std::string text;
  append(text, "%-20s %12s %10s %10s %10s %10s %10s %10s %10s %9s %9s\n", "lock (times in us)",
         "acquired", "waited", "wait avg", "wait p99", "wait max", "hold p50", "hold p99",
         "hold max", "timeouts", "deadlocks");
  for (const LockClassReport& one : report.classes) {
    append(text, "%-20s %12llu %10llu %10.1f %10.1f %10.1f %10.1f %10.1f %10.1f %9llu %9llu%s\n",
           one.name.c_str(), static_cast<unsigned long long>(one.acquisition_count),
           static_cast<unsigned long long>(one.wait.count), microseconds(one.wait.average),
           microseconds(one.wait.p99), microseconds(one.wait.max), microseconds(one.hold.p50),
           microseconds(one.hold.p99), microseconds(one.hold.max),
           static_cast<unsigned long long>(one.timeout_count),
           static_cast<unsigned long long>(one.deadlock_count),
           one.is_contention_high ? "  high contention" : "");
  }
  for (const ContendedLock& lock : report.most_waited_for) {
    append(text, "waited for: %-20s %10llu times\n", lock.name.c_str(),
           static_cast<unsigned long long>(lock.wait_count));
  }
  return text;
}

}  // namespace varve
