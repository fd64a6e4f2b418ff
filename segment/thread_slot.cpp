// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <bit>

#include "varve/concurrent/thread_counters.hpp"

namespace varve::concurrent::internal {

constinit thread_local std::uint32_t thread_slot = kThreadSlotUnknown;

namespace {

constexpr std::uint32_t kWordBits = 64;
static_assert(kThreadSlotCount % kWordBits == 0);
// A bit per slot that is taken.
constinit std::array<std::atomic<std::uint64_t>, kThreadSlotCount / kWordBits> taken{};

struct SlotReturn {
  std::uint32_t slot = kThreadSlotCount;
  SlotReturn() = default;
  SlotReturn(const SlotReturn&) = delete;
  SlotReturn& operator=(const SlotReturn&) = delete;
  ~SlotReturn() {
    thread_slot = kThreadSlotCount;  // For later destructors of the thread.
    if (slot == kThreadSlotCount) return;
    // Release: what the thread stored in its shards comes before the next one's loads.
    taken[slot / kWordBits].fetch_and(~(std::uint64_t{1} << (slot % kWordBits)),
                                      std::memory_order_release);
  }
};

}  // namespace

std::uint32_t take_thread_slot() noexcept {
  static thread_local SlotReturn slot_return;
  thread_slot = kThreadSlotCount;
  for (std::uint32_t i = 0; i < taken.size(); ++i) {
    std::uint64_t word = taken[i].load(std::memory_order_relaxed);
    while (~word != 0) {
      const std::uint64_t lowest_free = ~word & (word + 1);
      // Acquire: see ~SlotReturn.
      if (!taken[i].compare_exchange_weak(word, word | lowest_free, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
        continue;
      }
      thread_slot = i * kWordBits + static_cast<std::uint32_t>(std::countr_zero(lowest_free));
      slot_return.slot = thread_slot;
      return thread_slot;
    }
  }
  return thread_slot;
}

}  // namespace varve::concurrent::internal
