// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "varve/concurrent/thread_number.hpp"
#include "varve/export.hpp"

namespace varve::concurrent {

// Living threads that have a slot each; those beyond share one.
inline constexpr std::uint32_t kThreadSlotCount = 128;

namespace internal {
inline constexpr std::uint32_t kThreadSlotUnknown = kThreadSlotCount + 1;  // Not asked for yet.
// Plain and constant-initialized, so that it is reached without an initialization wrapper. One for
// the process, wherever the inline functions below were compiled.
extern VARVE_EXPORT constinit thread_local std::uint32_t thread_slot;
[[nodiscard]] VARVE_EXPORT std::uint32_t take_thread_slot() noexcept;
}  // namespace internal

// A number below kThreadSlotCount that no other living thread has; or kThreadSlotCount, for threads
// beyond and for what a thread calls while its thread_locals are being destroyed. A thread gives
// its slot back at its end, and the next thread that takes it sees all that it has done.
// In a child of fork() the slots of its parent's other threads stay taken.
[[nodiscard]] inline std::uint32_t thread_slot() noexcept {
  const std::uint32_t slot = internal::thread_slot;
  return slot != internal::kThreadSlotUnknown ? slot : internal::take_thread_slot();
}

// Counts that many threads add to, each to a shard of its own: an addition is a load, an addition
// and a store without a lock prefix, to memory that no other thread writes.
//
// Thread-safety: mine() and sum() from any thread; a shard is its thread's alone. Nothing is lost.
// A sum taken while others add is one that was true during it; it is exact once they have stopped.
// Lifetime: no thread may be inside when it is destroyed.
// Memory: 1 KiB, and 8 bytes a count for each thread (beyond 128 threads, atomic additions to a
// shared shard; likewise when there is no memory for one).
template <std::size_t kCount>
class ThreadCounters {
 public:
  class alignas(64) Shard {
   public:
    [[nodiscard]] bool is_shared() const noexcept { return calls_to_skip_ == kShared; }
    void add(std::size_t i, std::uint64_t amount = 1) noexcept {
      if (is_shared()) [[unlikely]] {
        counts_[i].fetch_add(amount, std::memory_order_relaxed);
      } else {
        add_alone(i, amount);
      }
    }
    // Requires: not is_shared().
    void add_alone(std::size_t i, std::uint64_t amount = 1) noexcept {
      std::atomic<std::uint64_t>& count = counts_[i];
      count.store(count.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    // Which calls to time: about `weight` of 64, by chance. The distance to the next one is drawn,
    // since with every 64th call a thread that alternates between two kinds of calls would sample
    // one of them only. Requires: weight in [1, 16].
    [[nodiscard]] bool should_sample(std::int32_t weight = 1) noexcept {
      return !skips_sample(weight) && draw_sample(weight);
    }
    // The same in two steps. True: not this call, and the shard is the thread's alone. False:
    // draw_sample() tells.
    [[nodiscard]] bool skips_sample(std::int32_t weight = 1) noexcept {
      const std::int32_t left = calls_to_skip_;
      if (left < weight) [[unlikely]]
        return false;
      calls_to_skip_ = left - weight;
      return true;
    }
    [[nodiscard]] bool draw_sample(std::int32_t weight = 1) noexcept {
      if (is_shared()) return thread_random() >> 58 < static_cast<std::uint64_t>(weight);
      calls_to_skip_ = random_distance();
      return true;
    }

   private:
    friend class ThreadCounters;
    // Less than every weight, and never written.
    static constexpr std::int32_t kShared = -1;
    [[nodiscard]] static std::int32_t random_distance() noexcept {
      return static_cast<std::int32_t>((thread_random() >> 32) % 127);
    }
    explicit Shard(std::int32_t calls_to_skip) noexcept : calls_to_skip_(calls_to_skip) {}
    std::int32_t calls_to_skip_;
    std::array<std::atomic<std::uint64_t>, kCount> counts_{};
  };

  ThreadCounters() noexcept { shards_[kThreadSlotCount].store(&shared_); }
  ThreadCounters(const ThreadCounters&) = delete;
  ThreadCounters& operator=(const ThreadCounters&) = delete;
  ~ThreadCounters() {
    for (std::uint32_t slot = 0; slot < kThreadSlotCount; ++slot) {
      delete shards_[slot].load(std::memory_order_acquire);
    }
  }

  // The calling thread's shard, for this thread only.
  [[nodiscard]] Shard& mine() noexcept {
    Shard* const shard = shards_[internal::thread_slot].load(std::memory_order_relaxed);
    if (shard == nullptr) [[unlikely]]
      return make_shard();
    return *shard;
  }
  [[nodiscard]] std::uint64_t sum(std::size_t i) const noexcept {
    std::uint64_t sum = 0;
    for (const auto& slot : shards_) {
      const Shard* const shard = slot.load(std::memory_order_acquire);
      if (shard != nullptr) sum += shard->counts_[i].load(std::memory_order_relaxed);
    }
    return sum;
  }
  [[nodiscard]] std::size_t memory_size() const noexcept {
    std::size_t size = sizeof *this;
    for (std::uint32_t slot = 0; slot < kThreadSlotCount; ++slot) {
      if (shards_[slot].load(std::memory_order_relaxed) != nullptr) size += sizeof(Shard);
    }
    return size;
  }

 private:
  // Kept when the thread ends: the next one with its slot goes on with it.
  [[nodiscard, gnu::noinline]] Shard& make_shard() noexcept {
    const std::uint32_t slot = thread_slot();
    if (Shard* const present = shards_[slot].load(std::memory_order_relaxed)) return *present;
    auto* const made = new (std::nothrow) Shard(Shard::random_distance());
    if (made == nullptr) return shared_;
    shards_[slot].store(made, std::memory_order_release);
    return *made;
  }

  // Behind those of the slots: &shared_; and null, for threads that have not asked for theirs.
  std::array<std::atomic<Shard*>, kThreadSlotCount + 2> shards_{};
  Shard shared_{Shard::kShared};
};

}  // namespace varve::concurrent
