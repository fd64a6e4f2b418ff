// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "directory/mutant.hpp"
#include "varve/options.hpp"

namespace varve::internal {

// What deltas may take: Options::memory_budget, or what the other owners of memory leave of
// Options::memory_limit, whichever is less.
// Thread-safety: any thread.
class MemoryBudget {
 public:
  static constexpr std::size_t kDeltasMin = std::size_t{256} << 10;
  // A write at or above this part of it is slowed.
  static constexpr double kPacedFrom = 0.75;
  // And here one more thread is called: paced writers alone do not get memory so full.
  static constexpr double kRelievedFrom = 0.95;

  explicit MemoryBudget(const Options& options) noexcept
      : limit_(options.memory_limit),
        most_(options.memory_budget),
        has_threads_(options.access == Access::Concurrent) {
    share(0);
  }
  // The others have `size` bytes, or may have them soon.
  void share(std::size_t size) noexcept {
    std::size_t deltas = most_;
    if (limit_ != 0 && !VARVE_MUTANT("memory.limit_ignored")) {
      // The last fifth is for what the deltas' pool keeps for reuse (ChunkPool). Where jobs have
      // threads of their own, which may come to a processor late, there are more holes in it and
      // more deltas that are flushed and still held: up to half of what is written to was seen.
      const std::size_t left = (limit_ - std::min(limit_, size)) / 5 * (has_threads_ ? 3 : 4);
      const std::size_t least = VARVE_MUTANT("memory.least_not_left") ? kDeltasMin / 4 : kDeltasMin;
      deltas = std::max(least, std::min(most_, left));
    }
    deltas_.store(deltas, std::memory_order_relaxed);
    paced_from_.store(static_cast<std::size_t>(static_cast<double>(deltas) * kPacedFrom),
                      std::memory_order_relaxed);
    flush_from_.store(deltas / 2, std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_limited() const noexcept { return limit_ != 0; }

  // Bytes of deltas: at most; from where on writes are slowed, from where on there is a relief;
  // from where on some are flushed.
  [[nodiscard]] std::size_t deltas() const noexcept {
    return deltas_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t paced_from() const noexcept {
    return paced_from_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t relieved_from() const noexcept {
    return static_cast<std::size_t>(static_cast<double>(deltas()) * kRelievedFrom);
  }
  [[nodiscard]] std::size_t flush_from() const noexcept {
    return flush_from_.load(std::memory_order_relaxed);
  }

 private:
  const std::size_t limit_, most_;
  const bool has_threads_;
  std::atomic<std::size_t> deltas_ = 0, paced_from_ = 0, flush_from_ = 0;
};

// Adds to a sum of bytes what a part of a job has taken, for as long as it is there.
class JobMemory {
 public:
  explicit JobMemory(std::atomic<std::size_t>& sum) noexcept : sum_(sum) {}
  JobMemory(const JobMemory&) = delete;
  JobMemory& operator=(const JobMemory&) = delete;
  ~JobMemory() { set(0); }
  void set(std::size_t size) noexcept {
    sum_.fetch_add(size - size_, std::memory_order_relaxed);  // Modulo 2^64, also downwards.
    size_ = size;
  }

 private:
  std::atomic<std::size_t>& sum_;
  std::size_t size_ = 0;
};

}  // namespace varve::internal
