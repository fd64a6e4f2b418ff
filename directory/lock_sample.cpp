// SPDX-License-Identifier: Apache-2.0
#include "directory/lock_sample.hpp"

#include <chrono>

#include "directory/lock_monitor.hpp"
#include "directory/lock_thread.hpp"

namespace varve::directory {
namespace {

using Clock = std::chrono::steady_clock;

struct SampledHold {
  const Mutex* mutex = nullptr;
  Clock::rep begin = 0;
};
constinit thread_local SampledHold t_holds[16];

SampledHold* find_hold(const Mutex* mutex) noexcept {
  for (SampledHold& hold : t_holds) {
    if (hold.mutex == mutex) return &hold;
  }
  return nullptr;
}

// 1 to 2 * period - 1, each as likely.
std::uint32_t next_distance(std::uint32_t period) noexcept {
  std::uint32_t& random = t_lock_thread.random;
  if (random == 0) random = thread_number() * 0x9E3779B9U | 1;
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  return 1 + static_cast<std::uint32_t>(std::uint64_t{random} * (2 * period - 1) >> 32);
}

}  // namespace

bool is_next_sample(std::uint32_t period) noexcept {
  std::uint32_t& until_sample = t_lock_thread.until_sample;
  const bool is_first = until_sample == 0;
  until_sample = next_distance(period);
  if (!is_first) return true;
  // A thread's first acquisition is no likelier a sample than the others.
  if (until_sample > 1) {
    --until_sample;
    return false;
  }
  until_sample = next_distance(period);
  return true;
}

bool begin_sampled_hold(const Mutex& mutex) noexcept {
  SampledHold* hold = find_hold(nullptr);
  if (hold == nullptr) return false;
  *hold = {&mutex, Clock::now().time_since_epoch().count()};
  return true;
}

void end_sampled_hold(const Mutex& mutex, LockClassFigures& figures) noexcept {
  SampledHold* hold = find_hold(&mutex);
  if (hold == nullptr) return;
  figures.holds.record(Clock::now().time_since_epoch() - Clock::duration(hold->begin));
  hold->mutex = nullptr;
}

}  // namespace varve::directory
