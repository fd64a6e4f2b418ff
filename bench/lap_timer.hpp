// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace varve::bench {

// The processor's time stamp counter, where the kernel trusts it: a look at it costs a third of one
// at steady_clock, which would be a tenth of a short read.
class TickSource {
 public:
  TickSource();  // Takes some ms to compare the counter with the clock.
  [[nodiscard]] std::int64_t now() const noexcept {
#if defined(__x86_64__)
    if (counts_) return static_cast<std::int64_t>(__rdtsc());
#endif
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  [[nodiscard]] std::uint64_t ns(std::int64_t ticks) const noexcept {
    // Two cores' counters may differ by a little: no time runs backwards.
    return ticks <= 0 ? 0 : static_cast<std::uint64_t>(static_cast<double>(ticks) * ns_per_tick_);
  }

 private:
  bool counts_ = false;  // now() reads the counter.
  double ns_per_tick_ = 1;
};
[[nodiscard]] const TickSource& tick_source();

// The time from one lap to the next. One look at the clock per operation instead of two: a lap
// contains the making of the key and the checking of the answer, as the figures of `null` do.
// Thread-safety: none.
class LapTimer {
 public:
  LapTimer() : source_(tick_source()), last_(source_.now()) {}
  std::uint64_t lap() noexcept {
    const std::int64_t now = source_.now(), passed = now - last_;
    last_ = now;
    return source_.ns(passed);
  }

 private:
  const TickSource source_;
  std::int64_t last_;
};

}  // namespace varve::bench
