// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "varve/concurrent/latency_histogram.hpp"
#include "varve/concurrent/operation_snapshot.hpp"
#include "varve/concurrent/thread_counters.hpp"
#include "varve/concurrent/thread_number.hpp"

namespace varve::concurrent {

// Counts of one kind of operation, and the distribution of its latencies, without locks.
//
//   if (!OperationStatistics::should_sample()) { work(); statistics.record_success(); return; }
//   const auto begin = std::chrono::steady_clock::now(); ...; statistics.record_latency(...);
//
// Thread-safety: all methods, any thread. Nothing is lost. A snapshot taken while others record is
// weakly consistent: each figure is one that was true during it.
// Cost: a count is a plain addition to memory of the thread's own (see ThreadCounters). A latency
// is three atomic additions to memory that threads share: record a sample of them, for reading the
// clock twice costs more than that.
// Memory: 11 KiB, and a cache line for each thread.
class OperationStatistics {
 public:
  OperationStatistics() = default;
  OperationStatistics(const OperationStatistics&) = delete;
  OperationStatistics& operator=(const OperationStatistics&) = delete;

  void record_success(std::uint64_t count = 1) noexcept { counts_.mine().add(kSuccess, count); }
  void record_failure(std::uint64_t count = 1) noexcept { counts_.mine().add(kFailure, count); }

  // True for one call in 64 on average, by chance (see thread_random()).
  [[nodiscard]] static bool should_sample() noexcept { return thread_random() >> 58 == 0; }

  // Negative ones (a clock that was set back) count as 0.
  void record_latency(std::chrono::nanoseconds latency) noexcept { latencies_.record(latency); }

  [[nodiscard]] OperationSnapshot snapshot() const {
    OperationSnapshot result;
    result.success_count = counts_.sum(kSuccess);
    result.failure_count = counts_.sum(kFailure);
    latencies_.describe(result);
    return result;
  }

 private:
  static constexpr std::size_t kSuccess = 0, kFailure = 1;
  ThreadCounters<2> counts_;
  LatencyHistogram latencies_;
};

}  // namespace varve::concurrent
