// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "bench/latency.hpp"

namespace varve::bench {

// The shares of operations whose time is reported; the longest of all is beside them.
inline constexpr std::array<double, 9> kQuantiles = {0.5,   0.75,  0.9,    0.95,  0.99,
                                                     0.995, 0.999, 0.9995, 0.9999};

// How long each of `count` operations took.
struct Latencies {
  std::uint64_t count = 0;
  double seconds = 0;  // In which they were done: count / seconds is their rate.
  std::array<std::uint64_t, kQuantiles.size()> quantiles_ns = {};
  std::uint64_t longest_ns = 0;
};
[[nodiscard]] inline Latencies summary(const LatencyHistogram& times, double seconds) {
  Latencies result{.count = times.count(), .seconds = seconds, .longest_ns = times.longest()};
  for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
    result.quantiles_ns[i] = times.quantile(kQuantiles[i]);
  }
  return result;
}

// What one run of one workload cost. Sizes in bytes.
struct Measurement {
  std::uint64_t operation_count = 0;
  double wall_seconds = 0;           // Background work included.
  double foreground_seconds = 0;     // Until the last call returned.
  double cpu_seconds = 0;            // All threads.
  std::uint64_t user_size = 0;       // Keys and values written; 0: the workload only reads.
  std::uint64_t written_size = 0;    // To the device, by this process.
  std::uint64_t disk_size = 0;       // Of the store's files, afterwards.
  std::uint64_t raw_size = 0;        // Of the keys and values in the store, afterwards.
  std::uint64_t anonymous_size = 0;  // Private memory afterwards, beyond the harness's own.
  std::uint64_t mapped_size = 0;     // Resident pages of mapped files, afterwards.
  std::uint32_t thread_count = 0;    // 0: a workload that knows no threads.
  std::uint64_t segment_count = 0;   // Of the store, where it has such.
  // By what the operations were: "get", "put", "erase", "scan", ... Empty: not measured each.
  std::map<std::string, Latencies> latencies = {};
};

}  // namespace varve::bench
