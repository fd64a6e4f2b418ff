// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace varve::internal {

// Merges that failed in a way that concerns their segment only, as by a block that cannot be read,
// and other work that can wait.
// The segment is left alone for a while, longer each time, so that others get their turn; then the
// merge is tried again.
// Thread-safety: any thread.
class JobFailures {
 public:
  // In the place of a segment's id: taking the reserve, removing files of no more use, and what the
  // log keeper does in the background.
  static constexpr std::uint64_t kReserve = 0, kRemoval = ~std::uint64_t{0},
                                 kLogKeeper = kRemoval - 1;

  // Without memory to note which segment it is, all of them rest for a while.
  void note(std::uint64_t segment_id, const char* message) noexcept;
  // The segment was merged, or is no more.
  void clear(std::uint64_t segment_id) noexcept;
  // True while it is to be left alone.
  [[nodiscard]] bool resting(std::uint64_t segment_id) const noexcept;
  // There is a segment whose last merge failed.
  [[nodiscard]] bool any() const noexcept {
    return failing_count_.load(std::memory_order_relaxed) != 0;
  }
  [[nodiscard]] std::uint64_t count() const noexcept {  // Since open.
    return count_.load(std::memory_order_relaxed);
  }
  // Of one that is failing; empty: none.
  [[nodiscard]] std::string message() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Failing {
    std::string message;
    Clock::time_point next_try;
    Clock::duration pause{};
  };
  void set_pause(Failing& failing) noexcept;
  void count_failing() noexcept;

  mutable std::mutex mutex_;                  // Innermost.
  std::map<std::uint64_t, Failing> failing_;  // Guarded by mutex_. By segment id.
  Failing unnamed_;                           // Guarded by mutex_. Without a pause: none.
  std::atomic<std::uint64_t> count_ = 0, failing_count_ = 0;
};

}  // namespace varve::internal
