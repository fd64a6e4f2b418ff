// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"
#include "varve/concurrent/access_tracker.hpp"
#include "varve/concurrent/operation_statistics.hpp"

namespace varve::concurrent {

TEST_CASE("no count of any thread is lost", "[concurrent][statistics][stress]") {
  // More threads than shards.
  constexpr std::uint64_t kThreadCount = 20, kCount = 5'000;
  OperationStatistics statistics;
  std::atomic<bool> stop{false};
  std::uint64_t backward_count = 0;
  std::thread observer([&] {
    OperationSnapshot before;
    while (!stop) {
      const OperationSnapshot now = statistics.snapshot();
      if (now.success_count < before.success_count || now.max < before.max ||
          now.latency_count < before.latency_count || now.p50 > now.p99_99) {
        ++backward_count;
      }
      before = now;
    }
  });
  std::vector<std::thread> threads;
  for (std::uint64_t number = 0; number < kThreadCount; ++number) {
    threads.emplace_back([&, number] {
      for (std::uint64_t i = 0; i < kCount; ++i) {
        statistics.record_success();
        if (i % 5 == 0) statistics.record_failure();
        statistics.record_latency(std::chrono::nanoseconds(number * kCount + i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  stop = true;
  observer.join();
  const OperationSnapshot snapshot = statistics.snapshot();
  CHECK(snapshot.success_count == kThreadCount * kCount);
  CHECK(snapshot.failure_count == kThreadCount * kCount / 5);
  CHECK(snapshot.latency_count == kThreadCount * kCount);
  CHECK(snapshot.max.count() == kThreadCount * kCount - 1);
  CHECK(backward_count == 0);
}

TEST_CASE("what all threads use is hot, what they use once is not",
          "[concurrent][access_tracker][stress]") {
  AccessTracker tracker;
  constexpr std::uint64_t kHotCount = 50;
  const auto hash_of = [](std::uint64_t key) { return key * 0x9e3779b97f4a7c15; };
  std::vector<std::thread> threads;
  for (std::uint64_t number = 1; number <= 4; ++number) {
    threads.emplace_back([&, number] {
      for (std::uint64_t i = 0; i < 50'000; ++i) {
        tracker.record(hash_of(i % kHotCount));
        tracker.record(hash_of(number << 32 | i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::uint64_t hot_count = 0, others_count = 0;
  tracker.for_each_hot([&](std::uint64_t) { ++others_count; });
  for (std::uint64_t key = 0; key < kHotCount; ++key) {
    if (tracker.classify(hash_of(key)) == Temperature::Hot) ++hot_count;
  }
  CHECK(hot_count >= kHotCount * 9 / 10);
  CHECK(others_count <= kHotCount * 12 / 10);
  // Lost recordings delay decay; they do not stop it.
  CHECK(tracker.age() >= 400'000 / tracker.decay_interval() / 2);
}

}  // namespace varve::concurrent
