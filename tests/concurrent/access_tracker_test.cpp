// SPDX-License-Identifier: Apache-2.0
#include "varve/concurrent/access_tracker.hpp"

#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "tests/support/catch.hpp"

namespace varve::concurrent {
namespace {

std::uint64_t hash_of(std::uint64_t key) {
  std::mt19937_64 random(key);
  return random();
}

}  // namespace

TEST_CASE("an unknown key is cold", "[concurrent][access_tracker]") {
  const AccessTracker tracker;
  CHECK(tracker.frequency(7) == 0);
  CHECK_FALSE(tracker.recency(7));
  CHECK(tracker.classify(7) == Temperature::Cold);
  CHECK(tracker.classify(0) == Temperature::Cold);
  tracker.for_each_hot([](std::uint64_t) { FAIL("nothing is hot"); });
}

TEST_CASE("a key warms up as it is recorded", "[concurrent][access_tracker]") {
  // Zero and all ones are hashes like others.
  const std::uint64_t hash = GENERATE(std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{12345});
  AccessTracker tracker;
  for (std::uint32_t count = 1; count <= 20; ++count) {
    tracker.record(hash);
    CAPTURE(hash, count);
    CHECK(tracker.frequency(hash) == count);
    CHECK(tracker.recency(hash).has_value() == (count >= 4));
    const Temperature expected =
        count < 4 ? Temperature::Cold : (count < 8 ? Temperature::Warm : Temperature::Hot);
    CHECK(tracker.classify(hash) == expected);
  }
  std::vector<std::uint64_t> hot;
  tracker.for_each_hot([&](std::uint64_t found) { hot.push_back(found); });
  CHECK(hot == std::vector{hash});
}

TEST_CASE("a count ends at 255 and spoils no other", "[concurrent][access_tracker]") {
  AccessTracker tracker({.memory_size = 128, .decay_interval = 1'000'000});
  for (int i = 0; i < 1000; ++i) tracker.record(1);
  CHECK(tracker.frequency(1) == 255);
  // One block: another key shares some of its counters at most.
  std::uint64_t unharmed_count = 0;
  for (std::uint64_t key = 2; key < 102; ++key) {
    if (tracker.frequency(hash_of(key)) == 0) ++unharmed_count;
  }
  CHECK(unharmed_count >= 95);
}

TEST_CASE("counts halve after each interval, also those of keys that nobody records",
          "[concurrent][access_tracker]") {
  AccessTracker tracker({.decay_interval = 1024});
  CHECK(tracker.decay_interval() == 1024);
  for (int i = 0; i < 40; ++i) tracker.record(1);
  auto pass = [&, key = std::uint64_t{100}](std::uint64_t count) mutable {
    for (std::uint64_t i = 0; i < count; ++i) tracker.record(hash_of(key++));
  };
  pass(1024 - 40 - 1);
  CHECK(tracker.age() == 0);
  CHECK(tracker.frequency(1) == 40);
  CHECK(tracker.classify(1) == Temperature::Hot);
  pass(1);
  CHECK(tracker.age() == 1);
  CHECK(tracker.frequency(1) == 20);
  pass(1024);
  CHECK(tracker.frequency(1) == 10);
  // Frequent enough to be hot, but not seen for two intervals.
  CHECK(*tracker.recency(1) >= 1024);
  CHECK(tracker.classify(1) == Temperature::Warm);
  tracker.record(1);
  CHECK(tracker.frequency(1) == 11);
  CHECK(tracker.classify(1) == Temperature::Hot);
  pass(1024);
  CHECK(tracker.frequency(1) == 5);
  pass(20'480);
  CHECK(tracker.frequency(1) == 0);
  CHECK(tracker.classify(1) == Temperature::Cold);
  // Far behind its block's age, it counts from nothing.
  tracker.record(1);
  CHECK(tracker.frequency(1) <= 2);
}

TEST_CASE("recency counts recordings since", "[concurrent][access_tracker]") {
  AccessTracker tracker({.decay_interval = 1'000'000});
  for (int i = 0; i < 64; ++i) tracker.record(1);
  CHECK(*tracker.recency(1) <= 128);
  for (int i = 0; i < 6400; ++i) tracker.record(hash_of(static_cast<std::uint64_t>(i)));
  CHECK(*tracker.recency(1) >= 6400 - 128);
  CHECK(*tracker.recency(1) <= 6400 + 128);
  tracker.record(1);
  CHECK(*tracker.recency(1) == 0);
}

TEST_CASE("a stream of keys that do not come back stays cold", "[concurrent][access_tracker]") {
  AccessTracker tracker;
  std::uint64_t cold_count = 0;
  constexpr std::uint64_t kCount = 200'000;
  for (std::uint64_t key = 0; key < kCount; ++key) {
    const std::uint64_t hash = hash_of(key);
    tracker.record(hash);
    if (tracker.classify(hash) == Temperature::Cold) ++cold_count;
  }
  CHECK(cold_count >= kCount * 95 / 100);
  std::uint64_t hot_count = 0;
  tracker.for_each_hot([&](std::uint64_t) { ++hot_count; });
  CHECK(hot_count == 0);
}

TEST_CASE("hot keys are found in a skewed stream, and given up when they cool",
          "[concurrent][access_tracker]") {
  AccessTracker tracker;
  std::mt19937_64 random(1);
  // Half of the recordings go to 100 keys of a generation, the rest to a million.
  const auto run = [&](std::uint64_t generation) {
    for (int i = 0; i < 100'000; ++i) {
      const std::uint64_t key =
          random() % 2 == 0 ? generation * 100 + random() % 100 : 1'000'000 + random() % 1'000'000;
      tracker.record(hash_of(key));
    }
  };
  const auto hot_of = [&](std::uint64_t generation) {
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i < 100; ++i) {
      if (tracker.classify(hash_of(generation * 100 + i)) == Temperature::Hot) ++count;
    }
    return count;
  };
  run(1);
  CHECK(hot_of(1) >= 95);
  run(2);
  CHECK(hot_of(2) >= 95);
  CHECK(hot_of(1) <= 1);
  std::uint64_t hot_count = 0;
  tracker.for_each_hot([&](std::uint64_t) { ++hot_count; });
  CHECK(hot_count >= 95);
  CHECK(hot_count <= 110);
}

TEST_CASE("memory is bounded by the option", "[concurrent][access_tracker]") {
  for (const std::size_t size : {0UL, 1UL, 128UL, 1000UL, 4096UL, 65536UL, 1'000'000UL}) {
    CAPTURE(size);
    AccessTracker tracker({.memory_size = size});
    CHECK(tracker.memory_size() <= std::max<std::size_t>(size, 128));
    CHECK(tracker.memory_size() * 3 >= size);
    for (std::uint64_t key = 0; key < 1000; ++key) tracker.record(hash_of(key % 10));
    CHECK(tracker.frequency(hash_of(1)) > 0);
  }
}

TEST_CASE("a hot set larger than a table's set keeps the better ones",
          "[concurrent][access_tracker]") {
  // One set of four candidates, one block.
  AccessTracker tracker({.memory_size = 128, .decay_interval = 1'000'000});
  for (std::uint64_t key = 0; key < 8; ++key) {
    for (std::uint64_t i = 0; i < 10 + key * 10; ++i) tracker.record(hash_of(key));
  }
  std::set<std::uint64_t> hot;
  tracker.for_each_hot([&](std::uint64_t hash) { hot.insert(hash); });
  CHECK(hot.size() == 4);
  CHECK(hot.contains(hash_of(7)));
  CHECK_FALSE(hot.contains(hash_of(0)));
}

TEST_CASE("a sample finds the same keys hot", "[concurrent][access_tracker]") {
  AccessTracker tracker({.decay_interval = 1024, .sample_bits = 3});
  constexpr std::uint64_t kCount = 100'000;
  for (std::uint64_t i = 0; i < kCount; ++i) tracker.record(hash_of(i % 2 == 0 ? i % 20 : i));
  for (std::uint64_t key = 0; key < 20; key += 2) {
    CHECK(tracker.classify(hash_of(key)) == Temperature::Hot);
  }
  // An eighth of the recordings, give or take a tenth.
  CHECK(tracker.age() * 1024 >= kCount / 8 * 9 / 10 - 1024);
  CHECK(tracker.age() * 1024 <= kCount / 8 * 11 / 10);
}

TEST_CASE("one thread's recordings have one result", "[concurrent][access_tracker]") {
  AccessTracker one({.memory_size = 4096}), two({.memory_size = 4096});
  std::mt19937_64 random(3);
  for (int i = 0; i < 50'000; ++i) {
    const std::uint64_t hash = hash_of(random() % 300 * (random() % 3));
    one.record(hash);
    two.record(hash);
  }
  CHECK(one.age() == two.age());
  CHECK(one.age() > 10);
  for (std::uint64_t key = 0; key < 600; ++key) {
    REQUIRE(one.frequency(hash_of(key)) == two.frequency(hash_of(key)));
    REQUIRE(one.recency(hash_of(key)) == two.recency(hash_of(key)));
  }
}

}  // namespace varve::concurrent
