// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace varve::segment {

// What reads have paid for a view's further runs since it was published, nanoseconds, by a sample
// of them; and how much was in memory when that began, for the rate of the writes meanwhile. It
// steers merges and decides nothing that a reader could see.
// Thread-safety: any thread.
class ReadDebt {
 public:
  // Adds a cost. True: the debt has reached `limit` times a power of two, and somebody should see
  // whether a merge pays. (A limit that grows meanwhile may put that off to the next power.)
  // Requires: `limit` > 0.
  bool add(std::uint64_t cost, std::uint64_t limit, std::size_t memory_size) noexcept {
    const std::uint64_t before = debt_.fetch_add(cost, std::memory_order_relaxed);
    if (before == 0) memory_at_start_.store(memory_size, std::memory_order_relaxed);
    return std::bit_width(before / limit) != std::bit_width((before + cost) / limit);
  }
  [[nodiscard]] std::uint64_t debt() const noexcept {
    return debt_.load(std::memory_order_relaxed);
  }
  // Bytes that memory has grown by since the first cost; `memory_size`: now.
  [[nodiscard]] std::size_t grown(std::size_t memory_size) const noexcept {
    const std::size_t start = memory_at_start_.load(std::memory_order_relaxed);
    return memory_size > start ? memory_size - start : 0;
  }

 private:
  std::atomic<std::uint64_t> debt_ = 0;
  std::atomic<std::size_t> memory_at_start_ = 0;
};

}  // namespace varve::segment
