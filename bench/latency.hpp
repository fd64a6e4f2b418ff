// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace varve::bench {

// Counts of times in ns, in buckets whose width grows with the time: 64 to each power of two, so
// that a quantile is at most 1.6 % too high. The longest time is kept exactly.
// Thread-safety: none; each thread has one of its own, and they are added up afterwards.
class LatencyHistogram {
 public:
  static constexpr unsigned kStepBits = 6;  // log2 of the buckets of a power of two.
  static constexpr std::uint64_t kTimeMax = (std::uint64_t{1} << 42) - 1;  // More than an hour.

  LatencyHistogram() : counts_(bucket_of(kTimeMax) + 1) {}

  void add(std::uint64_t ns) noexcept {
    ns = std::min(ns, kTimeMax);
    ++counts_[bucket_of(ns)];
    ++count_;
    longest_ = std::max(longest_, ns);
  }
  void add(const LatencyHistogram& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    longest_ = std::max(longest_, other.longest_);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t longest() const noexcept { return longest_; }
  // The time that a share `quantile` of all did not exceed, as the upper end of its bucket; 0 when
  // there is none.
  [[nodiscard]] std::uint64_t quantile(double quantile) const noexcept {
    const double wanted = quantile * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return std::min(end_of(i), longest_);
    }
    return longest_;
  }

  // Below 2^(kStepBits + 1) every number has a bucket of its own.
  [[nodiscard]] static std::size_t bucket_of(std::uint64_t ns) noexcept {
    if (ns < kStepCount) return ns;
    const unsigned shift = static_cast<unsigned>(std::bit_width(ns)) - kStepBits - 1;
    return (std::size_t{shift} << kStepBits) + (ns >> shift);
  }
  [[nodiscard]] static std::uint64_t end_of(std::size_t bucket) noexcept {
    if (bucket < kStepCount) return bucket;
    const std::size_t shift = (bucket >> kStepBits) - 1;
    return (((bucket & (kStepCount - 1)) + kStepCount + 1) << shift) - 1;
  }

 private:
  static constexpr std::uint64_t kStepCount = std::uint64_t{1} << kStepBits;

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0, longest_ = 0;
};

}  // namespace varve::bench
