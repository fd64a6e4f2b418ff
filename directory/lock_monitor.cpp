// SPDX-License-Identifier: Apache-2.0
#include "directory/lock_monitor.hpp"

#include <algorithm>
#include <cstdio>

#include "directory/lock_class.hpp"
#include "directory/mutex.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

using std::chrono::nanoseconds;

constexpr std::size_t kContendedCountMax = 16;

LockTimes times_of(const concurrent::LatencyHistogram& histogram) {
  concurrent::OperationSnapshot found;
  histogram.describe(found);
  return {.count = found.latency_count,
          .average = found.mean,
          .p50 = found.p50,
          .p99 = found.p99,
          .max = found.max};
}

std::string microseconds(double time_ns) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f us", time_ns / 1000);
  return text;
}

}  // namespace

LockClass::LockClass(std::string_view name, std::uint8_t rank, LockMonitor* monitor)
    : name_(name),
      rank_(rank),
      figures_(monitor == nullptr ? nullptr : monitor->add_class(name, rank)) {}

void ContendedLocks::note(std::uint32_t order_number) noexcept {
  std::atomic<std::uint64_t>& bucket = buckets_[order_number % buckets_.size()];
  std::uint64_t seen = bucket.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    const std::uint64_t count = seen & 0xFFFF'FFFF;
    if (count == 0) {
      next = std::uint64_t{order_number} << 32 | 1;
    } else if (seen >> 32 == order_number) {
      next = count == 0xFFFF'FFFF ? seen : seen + 1;
    } else {
      next = seen - 1;
    }
  } while (!bucket.compare_exchange_weak(seen, next, std::memory_order_relaxed));
}

void ContendedLocks::append_to(std::vector<ContendedLock>& locks, std::string_view name) const {
  for (const auto& bucket : buckets_) {
    const std::uint64_t seen = bucket.load(std::memory_order_relaxed);
    if ((seen & 0xFFFF'FFFF) == 0) continue;
    locks.push_back({lock_name(name, static_cast<std::uint32_t>(seen >> 32)), seen & 0xFFFF'FFFF});
  }
}

LockMonitor::LockMonitor(LockHealthOptions options) : options_(std::move(options)) {}

LockClassFigures* LockMonitor::add_class(std::string_view name, std::uint8_t rank) {
  const std::lock_guard lock(mutex_);
  for (const auto& figures : classes_) {
    if (figures->name == name && figures->rank == rank) return figures.get();
  }
  return classes_.emplace_back(std::make_unique<LockClassFigures>(*this, name, rank)).get();
}

void LockMonitor::note_wait(LockClassFigures& figures, const Mutex& mutex, nanoseconds time,
                            const WaitGraph* graph) noexcept {
  const auto waited = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
  figures.waits.record(time);
  figures.contended.note(mutex.order_number());
  figures.wait_time.fetch_add(waited, std::memory_order_relaxed);
  const std::uint64_t count = figures.wait_count.fetch_add(1, std::memory_order_relaxed) + 1;
  if (count % options_.window_wait_count == 0) end_window(figures);
  if (graph == nullptr) return;
  figures.timeout_count.fetch_add(1, std::memory_order_relaxed);
  if (graph->is_deadlock) note_deadlock(figures, mutex, *graph);
}

void LockMonitor::end_window(LockClassFigures& figures) noexcept {
  const double wait_count = options_.window_wait_count;
  double acquisition_count = 0, average = 0, ratio = 0;
  bool has_become_high = false;
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t samples = figures.sample_count.load(std::memory_order_relaxed);
    const std::uint64_t wait_time = figures.wait_time.load(std::memory_order_relaxed);
    acquisition_count = static_cast<double>(samples - figures.window_sample_count) *
                        static_cast<double>(options_.sample_period);
    average = static_cast<double>(wait_time - figures.window_wait_time) / wait_count;
    figures.window_sample_count = samples;
    figures.window_wait_time = wait_time;
    // Who waits also acquires, or times out; a low estimate must not make more than all of them.
    ratio = wait_count / std::max(wait_count, acquisition_count);
    const auto wait_threshold = static_cast<double>(options_.wait_threshold.count());
    const bool was_high = figures.is_contention_high.load(std::memory_order_relaxed);
    // Half-way back only: one alert per crossing, not one per wobble.
    const double factor = was_high ? 0.5 : 1;
    const bool is_high =
        average >= factor * wait_threshold || ratio >= factor * options_.contention_ratio;
    figures.is_contention_high.store(is_high, std::memory_order_relaxed);
    has_become_high = is_high && !was_high;
  }
  if (!has_become_high) return;
  char share[16];
  std::snprintf(share, sizeof share, "%.0f %%", ratio * 100);
  try {
    alert(LockAlertKind::HighLockContention, figures.name,
          "over the last " + std::to_string(options_.window_wait_count) + " waits, " + share +
              " of the acquisitions waited, " + microseconds(average) + " on average");
  } catch (...) {  // No memory for an alert: the report still shows it.
  }
}

void LockMonitor::note_deadlock(LockClassFigures& figures, const Mutex& mutex,
                                const WaitGraph& graph) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (last_deadlock_ == graph.circle_id) return;
    last_deadlock_ = graph.circle_id;
  }
  figures.deadlock_count.fetch_add(1, std::memory_order_relaxed);
  try {
    alert(LockAlertKind::DeadlockDetected, to_string(mutex), graph.text);
  } catch (...) {  // As above.
  }
}

void LockMonitor::alert(LockAlertKind kind, std::string lock, std::string details) const noexcept {
  if (!options_.on_alert) return;
  try {
    options_.on_alert({kind, std::move(lock), std::move(details)});
  } catch (...) {  // As documented: the waiting thread has nobody to tell.
  }
}

LockReport LockMonitor::report() const {
  LockReport report;
  const std::lock_guard lock(mutex_);
  for (const auto& figures : classes_) {
    LockClassReport& one = report.classes.emplace_back();
    one.name = figures->name;
    one.rank = figures->rank;
    one.acquisition_count =
        figures->sample_count.load(std::memory_order_relaxed) * options_.sample_period;
    one.wait = times_of(figures->waits);
    one.hold = times_of(figures->holds);
    one.timeout_count = figures->timeout_count.load(std::memory_order_relaxed);
    one.deadlock_count = figures->deadlock_count.load(std::memory_order_relaxed);
    one.is_contention_high = figures->is_contention_high.load(std::memory_order_relaxed);
    figures->contended.append_to(report.most_waited_for, figures->name);
  }
  std::sort(report.classes.begin(), report.classes.end(),
            [](const auto& a, const auto& b) { return a.rank < b.rank; });
  std::sort(report.most_waited_for.begin(), report.most_waited_for.end(),
            [](const auto& a, const auto& b) { return a.wait_count > b.wait_count; });
  if (report.most_waited_for.size() > kContendedCountMax) {
    report.most_waited_for.resize(kContendedCountMax);
  }
  return report;
}

std::unique_ptr<LockMonitor> make_lock_monitor(const LockHealthOptions& options) {
  if (options.window_wait_count == 0 || options.sample_period == 0 ||
      options.sample_period > (1U << 30) || !(options.contention_ratio > 0) ||
      options.wait_threshold <= nanoseconds(0) || options.deadlock_check_after <= nanoseconds(0)) {
    throw Error(ErrorCode::InvalidArgument,
                "lock health: thresholds, window and sample period must be above 0, and the "
                "sample period at most 2^30");
  }
  return options.enabled ? std::make_unique<LockMonitor>(options) : nullptr;
}

}  // namespace varve::directory
