// SPDX-License-Identifier: Apache-2.0
#include "lib/hot_keys.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "directory/checksum.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/eager_hot_path.hpp"

namespace varve::internal {
namespace {

using segment::FoundEntry;
using segment::Sequence;
using Look = HotKeys::Look;

constexpr std::size_t kMemorySize = std::size_t{1} << 20;
constexpr std::uint64_t kWindowSamples = HotKeys::kWindowSize >> HotKeys::kSampleBits;

std::uint64_t hash_of(const std::string& key) {
  return directory::hash64(key);
}
std::string key_of(std::uint64_t i) {
  return "key " + std::to_string(i);
}
FoundEntry found(const std::string& value) {
  return {.found = true, .kind = segment::Kind::Value, .sequence = 1, .value = value};
}

// What an index does in a get of its sample; the segment has not been written to since `at`.
bool sampled_get(HotKeys& keys, const std::string& key, const std::string& value, Sequence at = 1) {
  const auto pinned = concurrent::EpochDomain::pin();
  const std::uint64_t hash = hash_of(key);
  const bool warm = keys.regard(hash);
  if (!keys.on()) return false;
  std::string out;
  if (keys.find(key, hash, at, out) == Look::Hit) {
    REQUIRE(out == value);
    return true;
  }
  if (warm) keys.let_in(key, hash, found(value), at, at);
  return false;
}
Look look(HotKeys& keys, const std::string& key, Sequence last_write, std::string& value) {
  const auto pinned = concurrent::EpochDomain::pin();
  return keys.find(key, hash_of(key), last_write, value);
}
void let_in(HotKeys& keys, const std::string& key, const FoundEntry& answer, Sequence at,
            Sequence last_write) {
  const auto pinned = concurrent::EpochDomain::pin();
  keys.let_in(key, hash_of(key), answer, at, last_write);
}

}  // namespace

TEST_CASE("without memory there is no hot path", "[lib][hot_keys]") {
  const HotKeys keys(0);
  CHECK_FALSE(keys.possible());
  CHECK_FALSE(keys.on());
  CHECK(keys.statistics().memory_size == 0);
}

TEST_CASE("the hot path goes on for few keys and off for many", "[lib][hot_keys]") {
  HotKeys keys(kMemorySize);
  CHECK_FALSE(keys.on());
  const auto read_among = [&](std::uint64_t key_count, std::uint64_t windows, std::uint64_t first) {
    std::uint64_t hits = 0;
    for (std::uint64_t i = 0; i < windows * kWindowSamples; ++i) {
      const std::string key = key_of(first + i * 7919 % key_count);
      if (sampled_get(keys, key, "value of " + key)) ++hits;
    }
    return hits;
  };
  SECTION("many different keys leave it off") {
    CHECK(read_among(10'000'000, 10, 0) == 0);
    CHECK(keys.statistics().switched_on_count == 0);
  }
  SECTION("few keys switch it on, and it gives its memory back when others come") {
    read_among(100, 2, 0);
    CHECK(keys.on());
    CHECK(read_among(100, 4, 0) > 3 * kWindowSamples);
    const HotKeyStatistics at_work = keys.statistics();
    CHECK(at_work.switched_on_count == 1);
    CHECK(at_work.entry_count == 100);
    CHECK(at_work.hit_rate() > 0.9);
    read_among(10'000'000, 8, 1000);
    CHECK_FALSE(keys.on());
    read_among(10'000'000, 2, 200'000'000);
    const HotKeyStatistics off = keys.statistics();
    CHECK(off.switched_off_count == 1);
    CHECK(off.entry_count == 0);
    CHECK(off.memory_size < at_work.memory_size);
    read_among(100, 8, 0);
    CHECK(keys.on());
  }
}

TEST_CASE("an entry answers until its segment is written to", "[lib][hot_keys]") {
  const test::EagerHotPath eager;
  HotKeys keys(kMemorySize);
  REQUIRE(keys.on());
  std::string value = "untouched";
  CHECK(look(keys, "k", 0, value) == Look::Miss);
  let_in(keys, "k", found("old"), 10, 10);
  CHECK(look(keys, "k", 11, value) == Look::Miss);  // Stale, and never of use.
  CHECK(value == "untouched");
  CHECK(look(keys, "k", 10, value) == Look::Hit);
  CHECK(value == "old");
  CHECK(look(keys, "k", 0, value) == Look::Hit);
  CHECK(look(keys, "k", 11, value) == Look::Refresh);
  let_in(keys, "k", found("new"), 11, 11);
  CHECK(look(keys, "k", 11, value) == Look::Hit);
  CHECK(value == "new");
  CHECK(keys.statistics().entry_count == 1);
  CHECK(keys.statistics().stale_count == 2);
}

TEST_CASE("what is stale, absent or large is not let in", "[lib][hot_keys]") {
  const test::EagerHotPath eager;
  HotKeys keys(kMemorySize);
  std::string value;
  let_in(keys, "k", found("v"), 10, 11);
  let_in(keys, "absent", FoundEntry{}, 10, 10);
  let_in(keys, "large", found(std::string(5000, 'v')), 10, 10);
  CHECK(keys.statistics().entry_count == 0);
  let_in(keys, "", found(""), 10, 10);
  CHECK(look(keys, "", 10, value) == Look::Hit);
  CHECK(value.empty());
}

TEST_CASE("the hot path keeps to its memory, whatever the sizes of values", "[lib][hot_keys]") {
  const test::EagerHotPath eager;
  const std::size_t memory_size = GENERATE(std::size_t{1}, std::size_t{10'000}, kMemorySize);
  HotKeys keys(memory_size);
  std::uint64_t hits = 0, entries_max = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const std::string key = key_of(i % 3 == 0 ? i % 51 : i);
    const std::string value(hash_of(key) % 4000, 'v');
    if (sampled_get(keys, key, value)) ++hits;
    const HotKeyStatistics figures = keys.statistics();
    REQUIRE(figures.memory_size <= std::max<std::size_t>(memory_size, 256));
    entries_max = std::max(entries_max, figures.entry_count);
  }
  if (memory_size == kMemorySize) {
    CHECK(entries_max > 100);
    CHECK(hits > 20'000);
  }
}

TEST_CASE("threads that look, let in and replace find whole and valid entries",
          "[lib][hot_keys][concurrent]") {
  const test::EagerHotPath eager;
  HotKeys keys(GENERATE(std::size_t{20'000}, kMemorySize));
  // The segment's last write, and the version that each value names.
  std::atomic<Sequence> last_write = 1;
  std::atomic<std::uint64_t> hits = 0, wrong = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::string value;
      for (std::uint64_t i = 0; i < 50'000; ++i) {
        if (thread == 0 && i % 100 == 0) last_write.fetch_add(1);
        const auto pinned = concurrent::EpochDomain::pin();
        const std::string key = key_of((i * 31 + thread) % 97);
        const std::uint64_t hash = hash_of(key);
        const Sequence written = last_write.load();
        static_cast<void>(keys.regard(hash));
        if (keys.find(key, hash, written, value) == Look::Hit) {
          hits.fetch_add(1);
          const std::size_t at = value.rfind('@');
          const bool right = at != std::string::npos && value.substr(0, at) == key &&
                             std::stoull(value.substr(at + 1)) >= written;
          if (!right) wrong.fetch_add(1);
        } else {
          keys.let_in(key, hash, found(key + "@" + std::to_string(written)), written, written);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(hits > 0);
}

}  // namespace varve::internal
