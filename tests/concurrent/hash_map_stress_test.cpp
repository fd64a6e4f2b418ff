// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cstdint>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "tests/concurrent/canary.hpp"
#include "tests/support/catch.hpp"
#include "varve/concurrent/hash_map.hpp"

namespace varve::concurrent {
namespace {

using test::Canary;

constexpr std::uint64_t kScale = VARVE_THREAD_SANITIZER ? 1 : 4;

template <class Work>
void run_threads(std::uint64_t count, const Work& work) {
  std::vector<std::thread> threads;
  for (std::uint64_t number = 0; number < count; ++number) {
    threads.emplace_back([&work, number] { work(number); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("all threads' inserts are there, whatever grows meanwhile",
          "[concurrent][hash_map][stress]") {
  constexpr std::uint64_t kThreadCount = 4;
  const std::uint64_t per_thread = 20'000 * kScale;
  HashMap<std::uint64_t, std::uint64_t> map(2);
  std::atomic<std::uint64_t> added_count{0}, bad_count{0};
  run_threads(kThreadCount, [&](std::uint64_t number) {
    std::uint64_t added = 0, bad = 0;
    for (std::uint64_t i = 0; i < per_thread; ++i) {
      // Half of the keys are everybody's: one of the threads adds each.
      const std::uint64_t key = i % 2 == 0 ? i : i * kThreadCount + number + (1ULL << 40);
      if (map.insert(key, key)) ++added;
      if (map.get(key) != key) ++bad;
      if (map.get(i / 2 * 2) != i / 2 * 2) ++bad;  // Was added by somebody before.
    }
    added_count += added;
    bad_count += bad;
  });
  CHECK(bad_count == 0);
  CHECK(added_count == per_thread / 2 + kThreadCount * (per_thread / 2));
  CHECK(map.size() == added_count);
  std::uint64_t walked_count = 0;
  map.for_each([&](std::uint64_t, std::uint64_t) { ++walked_count; });
  CHECK(walked_count == added_count);
}

TEST_CASE("a successful insert and a successful erase alternate",
          "[concurrent][hash_map][stress]") {
  // Few keys, so that everybody meets; the counts per key tell whether any two calls succeeded
  // that cannot both have.
  constexpr std::uint64_t kKeyCount = 8;
  HashMap<std::uint64_t, Canary> map(2);
  std::vector<std::atomic<std::int64_t>> balance(kKeyCount);
  std::atomic<std::uint64_t> wrong_count{0};
  run_threads(4, [&](std::uint64_t number) {
    std::mt19937_64 random(number);
    for (std::uint64_t i = 0; i < 30'000 * kScale; ++i) {
      const std::uint64_t key = random() % kKeyCount;
      switch (random() % 5) {
        case 0:
          if (map.insert(key, Canary(key))) ++balance[key];
          break;
        case 1:
          if (map.insert_or_assign(key, Canary(key + kKeyCount * i))) ++balance[key];
          break;
        case 2:
          if (map.erase(key)) --balance[key];
          break;
        case 3:
          if (map.erase_if(key, [&](const Canary& value) { return value.number() % 2 == 0; })) {
            --balance[key];
          }
          break;
        default:
          map.visit(key, [&](const Canary& value) {
            if (value.number() % kKeyCount != key) ++wrong_count;
          });
      }
    }
  });
  CHECK(wrong_count == 0);
  CHECK(Canary::bad_count == 0);
  std::int64_t total = 0;
  for (std::uint64_t key = 0; key < kKeyCount; ++key) {
    CAPTURE(key);
    CHECK(balance[key] == (map.contains(key) ? 1 : 0));
    total += balance[key];
  }
  CHECK(map.size() == static_cast<std::size_t>(total));
}

TEST_CASE("a key that is only replaced is never missing and never goes back",
          "[concurrent][hash_map][stress]") {
  constexpr std::uint64_t kKeyCount = 4;
  const std::uint64_t round_count = 15'000 * kScale;
  HashMap<std::uint64_t, Canary> map(2);
  for (std::uint64_t key = 0; key < kKeyCount; ++key) map.insert(key, Canary(0));
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> missing_count{0}, back_count{0}, twice_count{0};
  std::thread writer([&] {
    for (std::uint64_t round = 1; round <= round_count; ++round) {
      for (std::uint64_t key = 0; key < kKeyCount; ++key) map.insert_or_assign(key, Canary(round));
      // Neighbours come and go.
      map.insert(kKeyCount + round % 64, Canary(0));
      map.erase(kKeyCount + (round + 32) % 64);
    }
    stop = true;
  });
  run_threads(2, [&](std::uint64_t number) {
    std::vector<std::uint64_t> last(kKeyCount, 0);
    const auto look = [&](std::uint64_t key, std::uint64_t seen) {
      if (seen < last[key]) ++back_count;
      last[key] = seen;
    };
    while (!stop) {
      for (std::uint64_t key = 0; key < kKeyCount; ++key) {
        const std::optional<Canary> value = map.get(key);
        if (!value) ++missing_count;
        if (value) look(key, value->number());
      }
      if (number == 0) continue;
      std::vector<int> visits(kKeyCount, 0);
      map.for_each([&](std::uint64_t key, const Canary& value) {
        if (key >= kKeyCount) return;
        ++visits[key];
        look(key, value.number());
      });
      for (const int count : visits) {
        if (count > 1) ++twice_count;
      }
    }
  });
  writer.join();
  CHECK(missing_count == 0);
  CHECK(back_count == 0);
  CHECK(twice_count == 0);
  CHECK(Canary::bad_count == 0);
}

TEST_CASE("clear among writers ends and counts right", "[concurrent][hash_map][stress]") {
  HashMap<std::uint64_t, Canary> map(2);
  run_threads(3, [&](std::uint64_t number) {
    for (std::uint64_t i = 0; i < 10'000 * kScale; ++i) {
      if (number == 0 && i % 64 == 0) map.clear();
      if (number == 0) continue;
      map.insert_or_assign(i % 500, Canary(i));
      map.erase((i + 250) % 500);
    }
  });
  std::size_t walked_count = 0;
  map.for_each([&](std::uint64_t, const Canary&) { ++walked_count; });
  CHECK(map.size() == walked_count);
  map.clear();
  CHECK(map.empty());
  map.collect();
  CHECK(map.pending() == 0);
  CHECK(Canary::bad_count == 0);
  CHECK(Canary::live_count == 0);
}

}  // namespace varve::concurrent
