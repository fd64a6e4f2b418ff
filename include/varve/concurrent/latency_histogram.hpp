// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "varve/concurrent/operation_snapshot.hpp"

namespace varve::concurrent {

// Buckets whose width grows with the value: 32 per doubling, so that what stands for a bucket (its
// middle) is off by at most 1/64 (1.6 %). Values below 64 have a bucket each.
struct LatencyBuckets {
  static constexpr std::uint32_t kPartBits = 5;
  static constexpr std::uint32_t kExactCount = 2U << kPartBits;
  static constexpr std::uint32_t kValueBitsMax = 42;  // Over an hour; more counts as this.
  static constexpr std::uint64_t kValueMax = (std::uint64_t{1} << kValueBitsMax) - 1;
  static constexpr std::size_t kCount =
      kExactCount + ((kValueBitsMax - kPartBits - 1) << kPartBits);

  [[nodiscard]] static std::size_t index_of(std::uint64_t value) noexcept {
    value = std::min(value, kValueMax);
    if (value < kExactCount) return static_cast<std::size_t>(value);
    // The 6 highest bits say which bucket, the number of bits behind them how wide it is.
    const auto shift = static_cast<std::uint32_t>(std::bit_width(value)) - kPartBits - 1;
    return static_cast<std::size_t>((std::uint64_t{shift} << kPartBits) + (value >> shift));
  }
  // The middle of the bucket.
  [[nodiscard]] static std::uint64_t value_of(std::size_t index) noexcept {
    if (index < kExactCount) return index;
    const std::uint64_t shift = (index >> kPartBits) - 1;
    const std::uint64_t first = (index - (shift << kPartBits)) << shift;
    return first + (std::uint64_t{1} << shift) / 2;
  }
};

// The distribution of latencies.
//
// Thread-safety: all methods, any thread. Nothing is lost: a latency is three atomic additions to
// memory that the threads share, so record a sample of them where operations are short. describe()
// beside others that record is weakly consistent: each figure is one that was true during it.
// Memory: 10 KiB.
class LatencyHistogram {
 public:
  LatencyHistogram() = default;
  LatencyHistogram(const LatencyHistogram&) = delete;
  LatencyHistogram& operator=(const LatencyHistogram&) = delete;

  // Negative ones (a clock that was set back) count as 0.
  void record(std::chrono::nanoseconds latency) noexcept {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(latency.count(), 0));
    buckets_[LatencyBuckets::index_of(value)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
    std::uint64_t max = max_.load(std::memory_order_relaxed);
    while (value > max && !max_.compare_exchange_weak(max, value, std::memory_order_relaxed)) {
    }
  }

  // Fills in what `to` says of latencies.
  void describe(OperationSnapshot& to) const {
    std::vector<std::uint64_t> counts;
    counts.reserve(buckets_.size());
    for (const auto& bucket : buckets_) counts.push_back(bucket.load(std::memory_order_relaxed));
    std::size_t at = 0;
    to.latency_count = 0;
    for (std::size_t i = 0; i < OperationSnapshot::kBelowCount; ++i) {
      const std::size_t end =
          LatencyBuckets::index_of(std::uint64_t{1} << (OperationSnapshot::kBelowBitsMin + i));
      while (at < end) to.latency_count += counts[at++];
      to.latencies_below[i] = to.latency_count;
    }
    while (at < counts.size()) to.latency_count += counts[at++];
    if (to.latency_count == 0) return;
    const std::uint64_t max = max_.load(std::memory_order_relaxed);
    const auto value_at = [&](std::uint64_t per_10000) {
      return percentile(counts, to.latency_count, per_10000, max);
    };
    to.p50 = value_at(5'000);
    to.p90 = value_at(9'000);
    to.p99 = value_at(9'900);
    to.p99_9 = value_at(9'990);
    to.p99_99 = value_at(9'999);
    to.max = to_nanoseconds(max);
    const std::uint64_t sum = sum_.load(std::memory_order_relaxed);
    to.sum = to_nanoseconds(sum);
    to.mean = to_nanoseconds(sum / to.latency_count);
  }

 private:
  [[nodiscard]] static std::chrono::nanoseconds to_nanoseconds(std::uint64_t value) noexcept {
    constexpr auto kMax = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
    return std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(value, kMax)));
  }
  // The value of the smallest latency that at least so many of all do not exceed.
  [[nodiscard]] static std::chrono::nanoseconds percentile(const std::vector<std::uint64_t>& counts,
                                                           std::uint64_t total,
                                                           std::uint64_t per_10000,
                                                           std::uint64_t max) noexcept {
    // Rounded up, and in this order: the total times 10,000 may not fit.
    const std::uint64_t rank =
        total / 10'000 * per_10000 + (total % 10'000 * per_10000 + 9'999) / 10'000;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      seen += counts[i];
      // No percentile is above the maximum, as a bucket's middle could be.
      if (seen >= rank) return to_nanoseconds(std::min(LatencyBuckets::value_of(i), max));
    }
    return to_nanoseconds(max);
  }

  std::array<std::atomic<std::uint64_t>, LatencyBuckets::kCount> buckets_{};
  alignas(64) std::atomic<std::uint64_t> sum_{0};
  std::atomic<std::uint64_t> max_{0};
};

}  // namespace varve::concurrent
