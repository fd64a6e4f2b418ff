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

#include "varve/concurrent/thread_number.hpp"

namespace varve::concurrent {

// What OperationStatistics had counted when it was asked.
struct OperationSnapshot {
  std::uint64_t success_count = 0, failure_count = 0;
  std::uint64_t latency_count = 0;  // Latencies recorded; the rest is about these.
  std::chrono::nanoseconds p50{0}, p90{0}, p99{0}, p99_9{0}, p99_99{0};
  std::chrono::nanoseconds max{0};   // Exact.
  std::chrono::nanoseconds mean{0};  // Of the values as recorded.

  [[nodiscard]] std::uint64_t count() const noexcept { return success_count + failure_count; }
};

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

// Counts of one kind of operation, and the distribution of its latencies, without locks.
//
// Thread-safety: all methods, any thread. Nothing is lost: every count is an atomic addition.
// Threads are spread over shards of one cache line each, so that they seldom meet. A snapshot
// taken while others record is weakly consistent: each figure is one that was true during it.
// Cost: a count is one uncontended atomic addition. A latency is two, to memory that threads share:
// record a sample of them (should_sample()), for reading the clock twice costs more than that.
// Memory: 10 KiB.
class OperationStatistics {
 public:
  OperationStatistics() = default;
  OperationStatistics(const OperationStatistics&) = delete;
  OperationStatistics& operator=(const OperationStatistics&) = delete;

  void record_success(std::uint64_t count = 1) noexcept {
    my_shard().success_count.fetch_add(count, std::memory_order_relaxed);
  }
  void record_failure(std::uint64_t count = 1) noexcept {
    my_shard().failure_count.fetch_add(count, std::memory_order_relaxed);
  }

  // True for one call in 64 on average, by chance (see thread_random()).
  [[nodiscard]] static bool should_sample() noexcept { return thread_random() >> 58 == 0; }

  // Negative ones (a clock that was set back) count as 0.
  void record_latency(std::chrono::nanoseconds latency) noexcept {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(latency.count(), 0));
    buckets_[LatencyBuckets::index_of(value)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
    std::uint64_t max = max_.load(std::memory_order_relaxed);
    while (value > max && !max_.compare_exchange_weak(max, value, std::memory_order_relaxed)) {
    }
  }

  [[nodiscard]] OperationSnapshot snapshot() const {
    OperationSnapshot result;
    for (const Shard& shard : shards_) {
      result.success_count += shard.success_count.load(std::memory_order_relaxed);
      result.failure_count += shard.failure_count.load(std::memory_order_relaxed);
    }
    std::vector<std::uint64_t> counts;
    counts.reserve(buckets_.size());
    for (const auto& bucket : buckets_) counts.push_back(bucket.load(std::memory_order_relaxed));
    for (const std::uint64_t count : counts) result.latency_count += count;
    if (result.latency_count == 0) return result;
    const std::uint64_t max = max_.load(std::memory_order_relaxed);
    const auto at = [&](std::uint64_t per_10000) {
      return percentile(counts, result.latency_count, per_10000, max);
    };
    result.p50 = at(5'000);
    result.p90 = at(9'000);
    result.p99 = at(9'900);
    result.p99_9 = at(9'990);
    result.p99_99 = at(9'999);
    result.max = to_nanoseconds(max);
    result.mean = to_nanoseconds(sum_.load(std::memory_order_relaxed) / result.latency_count);
    return result;
  }

 private:
  static constexpr std::uint32_t kShardCount = 16;
  struct alignas(64) Shard {
    std::atomic<std::uint64_t> success_count{0}, failure_count{0};
  };

  [[nodiscard]] Shard& my_shard() noexcept { return shards_[thread_number() % kShardCount]; }
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

  std::array<Shard, kShardCount> shards_;
  alignas(64) std::array<std::atomic<std::uint64_t>, LatencyBuckets::kCount> buckets_{};
  alignas(64) std::atomic<std::uint64_t> sum_{0};
  std::atomic<std::uint64_t> max_{0};
};

}  // namespace varve::concurrent
