// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace varve::internal {

// Counts of operations that many threads add to: each thread to one of a few lines, so that
// counting does not make them wait for each other. Thread-safety: any thread. sum() is exact once
// the others have stopped.
class OperationCounters {
 public:
  enum class Kind : std::uint8_t { Put, Erase, Get, GetHit, Scan, UserBytes };

  void add(Kind kind, std::uint64_t amount = 1) noexcept {
    shards_[shard()].counts[static_cast<std::size_t>(kind)].fetch_add(amount,
                                                                      std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t sum(Kind kind) const noexcept {
    std::uint64_t sum = 0;
    for (const Shard& shard : shards_) {
      sum += shard.counts[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
    }
    return sum;
  }

 private:
  static constexpr std::size_t kKindCount = 6, kShardCount = 16;
  struct alignas(64) Shard {
    std::array<std::atomic<std::uint64_t>, kKindCount> counts{};
  };
  [[nodiscard]] static std::size_t shard() noexcept {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
    return mine % kShardCount;
  }
  std::array<Shard, kShardCount> shards_;
};

}  // namespace varve::internal
