// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace varve::concurrent {

// What was counted of one kind of operation, and how long it took: see OperationStatistics.
struct OperationSnapshot {
  // Element i of latencies_below counts the latencies below 2^(8+i) nanoseconds: 256 ns to 34 s.
  static constexpr std::uint32_t kBelowBitsMin = 8;
  static constexpr std::size_t kBelowCount = 28;

  std::uint64_t success_count = 0;  // Operations.
  std::uint64_t failure_count = 0;  // Operations.
  std::uint64_t latency_count = 0;  // Latencies recorded; the rest is about these.
  std::chrono::nanoseconds p50{0}, p90{0}, p99{0}, p99_9{0}, p99_99{0};  // To within 1.6 %.
  std::chrono::nanoseconds max{0};                                       // Exact.
  std::chrono::nanoseconds mean{0};
  std::chrono::nanoseconds sum{0};                           // Exact, up to 292 years.
  std::array<std::uint64_t, kBelowCount> latencies_below{};  // Ascending, exact.

  [[nodiscard]] std::uint64_t count() const noexcept { return success_count + failure_count; }
};

}  // namespace varve::concurrent
