// SPDX-License-Identifier: Apache-2.0
//
// micro_lock: nanoseconds per lock and unlock, of the standard's mutex and of the engine's, not
// observed and observed; then what observation costs an operation of the size of a put, which
// locks a segment and the log. Each figure is the fastest of several rounds in CPU time, and the
// rounds of what is compared are interleaved, so that a busy machine disturbs little.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "directory/lock_monitor.hpp"
#include "directory/mutex.hpp"

namespace {

using namespace varve::directory;

// The engine's two locks of a write, with or without somebody who watches.
struct Locks {
  explicit Locks(LockMonitor* monitor)
      : segments("segment", 50, monitor),
        logs("log", 60, monitor),
        segment(segments, 1),
        log(logs) {}

  LockClass segments, logs;
  Mutex segment, log;
};

struct Watched {
  std::unique_ptr<LockMonitor> monitor = [] {
    varve::LockHealthOptions options;
    options.enabled = true;
    return make_lock_monitor(options);
  }();
  Locks off{nullptr}, on{monitor.get()};
};

constexpr int kRounds = 31;

// CPU time of the calling thread.
double now() {
  ::timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

template <typename Operation>
double round_of(std::size_t count, Operation& operation) {
  const double start = now();
  for (std::size_t i = 0; i < count; ++i) operation();
  return (now() - start) / static_cast<double>(count);
}

template <typename Mutex>
void measure(const char* what, Mutex& mutex) {
  double best = 1e300;
  auto operation = [&] {
    mutex.lock();
    mutex.unlock();
  };
  for (int round = 0; round < kRounds; ++round) {
    best = std::min(best, round_of(200'000, operation));
  }
  std::printf("%-44s %8.2f ns\n", what, best);
}

// As much as `steps` dependent multiplications take; 100 are about 130 ns.
std::uint64_t work(std::uint64_t value, int steps) {
  for (int i = 0; i < steps; ++i) value = value * 0x9E3779B97F4A7C15 + 1;
  return value;
}

void measure_operation(int steps) {
  Watched watched;
  std::uint64_t sum = 1;
  const auto operation = [&](Locks& locks) {
    return [&locks, &sum, steps] {
      const MutexLock segment(locks.segment);
      {
        const MutexLock log(locks.log);
        sum = work(sum, steps / 4);
      }
      sum = work(sum, steps - steps / 4);
    };
  };
  auto off = operation(watched.off), on = operation(watched.on);
  const std::size_t count = 10'000'000 / static_cast<std::size_t>(steps);
  double best_off = 1e300, best_on = 1e300;
  for (int round = 0; round < kRounds; ++round) {
    best_off = std::min(best_off, round_of(count, off));
    best_on = std::min(best_on, round_of(count, on));
  }
  std::printf("two locks around %4d steps: off %14.1f ns, on %8.1f ns, %+5.2f %%   (%016llx)\n",
              steps, best_off, best_on, (best_on / best_off - 1) * 100,
              static_cast<unsigned long long>(sum));
}

// Operations per second of wall time, `thread_count` threads on one lock; half of the time outside.
double contended(Mutex& mutex, int thread_count, int steps) {
  constexpr std::size_t kOperations = 40'000;
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(thread_count) * 8, 1);
  std::uint64_t guarded = 1;
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < thread_count; ++thread) {
    threads.emplace_back([&, thread] {
      std::uint64_t& own = sums[static_cast<std::size_t>(thread) * 8];
      for (std::size_t i = 0; i < kOperations; ++i) {
        own = work(own, steps);
        const MutexLock lock(mutex);
        guarded = work(guarded, steps);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  return static_cast<double>(kOperations) * thread_count / time.count();
}

void measure_contended(int thread_count, int steps) {
  Watched watched;
  double best_off = 0, best_on = 0;
  for (int round = 0; round < kRounds; ++round) {
    best_off = std::max(best_off, contended(watched.off.segment, thread_count, steps));
    best_on = std::max(best_on, contended(watched.on.segment, thread_count, steps));
  }
  std::printf(
      "%d threads, %4d steps inside, as many outside: off %7.3f Mops/s, on %7.3f, %+5.2f %%\n",
      thread_count, steps, best_off / 1e6, best_on / 1e6, (best_on / best_off - 1) * 100);
  if (thread_count == 2) std::fputs(to_string(watched.monitor->report()).c_str(), stdout);
}

}  // namespace

int main() {
  std::mutex standard;
  Watched watched;
  measure("std::mutex", standard);
  measure("Mutex, not observed", watched.off.segment);
  measure("Mutex, observed", watched.on.segment);
  for (const int steps : {100, 400, 1'600}) measure_operation(steps);
  for (const int thread_count : {1, 2, 4}) measure_contended(thread_count, 400);
  return 0;
}
