// SPDX-License-Identifier: Apache-2.0
#include "bench/lap_timer.hpp"

#include <fstream>
#include <string>

namespace varve::bench {

#if defined(__x86_64__)
namespace {

using Clock = std::chrono::steady_clock;

// The counter and the clock at the same moment.
struct Moment {
  Clock::time_point time;
  std::uint64_t ticks = 0;
};

// Tried again when something ran in between, which would falsify the comparison.
Moment take_moment() {
  constexpr int kAttemptsMax = 1000;
  for (int attempt = 1;; ++attempt) {
    const Moment moment{Clock::now(), __rdtsc()};
    if (Clock::now() - moment.time < std::chrono::microseconds(1)) return moment;
    if (attempt == kAttemptsMax) return moment;
  }
}

}  // namespace
#endif

TickSource::TickSource() {
#if defined(__x86_64__)
  std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  std::string name;
  if (!(file >> name) || name != "tsc") return;
  const Moment begin = take_moment();
  while (Clock::now() - begin.time < std::chrono::milliseconds(20)) {
  }
  const Moment end = take_moment();
  const std::chrono::duration<double, std::nano> passed = end.time - begin.time;
  counts_ = true;
  ns_per_tick_ = passed.count() / static_cast<double>(end.ticks - begin.ticks);
#endif
}

const TickSource& tick_source() {
  static const TickSource source;
  return source;
}

}  // namespace varve::bench
