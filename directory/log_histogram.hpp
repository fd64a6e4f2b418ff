// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace varve::directory {

// Counts of values by size, 16 buckets for each power of two: a percentile is at most 1/16 above
// the true one. Values from 2^41 on (36 minutes in nanoseconds) share the last bucket.
// Thread-safety: any method from any thread; a reader beside writers sees some of their values.
class LogHistogram {
 public:
  void record(std::uint64_t value) noexcept {
    buckets_[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
    std::uint64_t max = max_.load(std::memory_order_relaxed);
    while (value > max && !max_.compare_exchange_weak(max, value, std::memory_order_relaxed)) {
    }
  }

  [[nodiscard]] std::uint64_t count() const noexcept {
    std::uint64_t count = 0;
    for (const auto& bucket : buckets_) count += bucket.load(std::memory_order_relaxed);
    return count;
  }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_.load(std::memory_order_relaxed); }
  // The upper bound of the bucket that has the value at `share` (0 to 1) of all; 0 without values.
  [[nodiscard]] std::uint64_t percentile(double share) const noexcept {
    const auto wanted = static_cast<double>(count()) * share;
    std::uint64_t passed = 0;
    for (std::size_t i = 0; i < kBucketCount; ++i) {
      const std::uint64_t here = buckets_[i].load(std::memory_order_relaxed);
      passed += here;
      if (here != 0 && static_cast<double>(passed) >= wanted) return std::min(last_of(i), max());
    }
    return 0;
  }

 private:
  static constexpr unsigned kSubBits = 4, kSubCount = 1U << kSubBits, kValueBits = 41;
  static constexpr std::size_t kBucketCount = (kValueBits - kSubBits + 1) * kSubCount;

  // Below 16 a bucket per value; then the leading bit selects 16 buckets, the next 4 bits one.
  static std::size_t bucket_of(std::uint64_t value) noexcept {
    value = std::min(value, (std::uint64_t{1} << kValueBits) - 1);
    if (value < kSubCount) return static_cast<std::size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
    return shift * kSubCount + static_cast<std::size_t>(value >> shift);
  }
  static std::uint64_t last_of(std::size_t bucket) noexcept {
    if (bucket < kSubCount) return bucket;
    if (bucket + 1 == kBucketCount) return ~std::uint64_t{0};
    const std::size_t shift = bucket / kSubCount - 1;
    return ((kSubCount + bucket % kSubCount + 1) << shift) - 1;
  }

  std::array<std::atomic<std::uint64_t>, kBucketCount> buckets_ = {};
  std::atomic<std::uint64_t> sum_ = 0, max_ = 0;
};

}  // namespace varve::directory
