// SPDX-License-Identifier: Apache-2.0
#include "varve/concurrent/thread_counters.hpp"

#include <atomic>
#include <barrier>
#include <cstdint>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

namespace varve::concurrent {
namespace {

// The slots of `count` threads that live at the same time.
std::vector<std::uint32_t> slots_of_threads(std::size_t count) {
  std::vector<std::uint32_t> slots(count);
  std::barrier all(static_cast<std::ptrdiff_t>(count));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      slots[i] = thread_slot();
      all.arrive_and_wait();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return slots;
}

struct CountsAtItsEnd {
  ThreadCounters<1>* counters = nullptr;
  std::uint32_t* slot = nullptr;
  ~CountsAtItsEnd() {
    if (counters == nullptr) return;
    counters->mine().add(0, 1000);
    *slot = thread_slot();
  }
};

}  // namespace

TEST_CASE("living threads have different slots, and ended ones give theirs back",
          "[concurrent][thread_counters]") {
  const std::uint32_t mine = thread_slot();
  CHECK(thread_slot() == mine);
  for (int round = 0; round < 3; ++round) {
    const std::vector<std::uint32_t> slots = slots_of_threads(100);
    std::set<std::uint32_t> different(slots.begin(), slots.end());
    different.insert(mine);
    CHECK(different.size() == 101);
    CHECK(*different.rbegin() < kThreadSlotCount);
  }
}

TEST_CASE("threads beyond the slots share one, and nothing is lost",
          "[concurrent][thread_counters]") {
  constexpr std::size_t kThreadCount = kThreadSlotCount + 10, kAddCount = 1000;
  ThreadCounters<2> counters;
  std::atomic<std::size_t> shared_count = 0;
  std::barrier all(std::ptrdiff_t{kThreadCount});
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreadCount; ++i) {
    threads.emplace_back([&] {
      if (thread_slot() == kThreadSlotCount) ++shared_count;
      all.arrive_and_wait();
      auto& shard = counters.mine();
      for (std::size_t n = 0; n < kAddCount; ++n) shard.add(n % 2, 3);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(shared_count >= 10);
  CHECK(counters.sum(0) + counters.sum(1) == 3 * kThreadCount * kAddCount);
}

TEST_CASE("a thread that takes over a slot goes on with its counts",
          "[concurrent][thread_counters]") {
  ThreadCounters<1> counters;
  for (int i = 0; i < 1000; ++i) std::thread([&] { counters.mine().add(0); }).join();
  CHECK(counters.sum(0) == 1000);
  CHECK(counters.memory_size() < sizeof counters + 20 * sizeof(ThreadCounters<1>::Shard));
}

TEST_CASE("what counts while a thread ends is counted", "[concurrent][thread_counters]") {
  ThreadCounters<1> counters;
  std::uint32_t slot = kThreadSlotCount, slot_at_end = 0;
  std::thread([&] {
    // Made before the thread's slot is taken, so destroyed after it is given back.
    static thread_local CountsAtItsEnd at_end;
    at_end.counters = &counters;
    at_end.slot = &slot_at_end;
    slot = thread_slot();
    counters.mine().add(0);
  }).join();
  CHECK(counters.sum(0) == 1001);
  // Its own may be another thread's by then: that shard has no room for two.
  CHECK(slot < kThreadSlotCount);
  CHECK(slot_at_end == kThreadSlotCount);
}

TEST_CASE("a shard samples one call in 64, whatever alternates, and heavier calls more often",
          "[concurrent][thread_counters]") {
  ThreadCounters<1> counters;
  auto& shard = counters.mine();
  constexpr int kCount = 640'000;
  int sampled[2] = {0, 0};
  for (int i = 0; i < kCount; ++i) {
    if (shard.should_sample()) ++sampled[i % 2];
  }
  for (const int count : sampled) {
    CHECK(count > kCount / 128 * 9 / 10);
    CHECK(count < kCount / 128 * 11 / 10);
  }
  int heavy = 0;
  for (int i = 0; i < kCount; ++i) heavy += shard.should_sample(4) ? 1 : 0;
  CHECK(heavy > kCount / 16 * 8 / 10);
  CHECK(heavy < kCount / 16 * 11 / 10);
}

}  // namespace varve::concurrent
