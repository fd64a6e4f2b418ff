// SPDX-License-Identifier: Apache-2.0
#include "varve/concurrent/hash_map.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/concurrent/canary.hpp"
#include "tests/support/catch.hpp"

namespace varve::concurrent {
namespace {

using test::Canary;
using Map = HashMap<std::uint64_t, std::string>;

// Every key has the same hash: one run of equal orders.
struct OneHash {
  std::size_t operator()(std::uint64_t) const { return 42; }
};
struct ViewHash {
  std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
};

// Does what another thread would do while a call compares its key: between finding a node and
// looking whether it is still in the map.
struct HookedEqual {
  static inline std::function<void()> hook;
  bool operator()(int a, int b) const {
    if (hook) std::exchange(hook, nullptr)();
    return a == b;
  }
};
using HookedMap = HashMap<int, int, std::hash<int>, HookedEqual>;

template <class M>
std::map<std::uint64_t, std::string> entries_of(const M& map) {
  std::map<std::uint64_t, std::string> entries;
  map.for_each([&](std::uint64_t key, const std::string& value) {
    CAPTURE(key);
    CHECK(entries.emplace(key, value).second);  // Nothing twice.
  });
  return entries;
}

}  // namespace

TEST_CASE("an empty map has nothing", "[concurrent][hash_map]") {
  Map map;
  CHECK(map.size() == 0);
  CHECK(map.empty());
  CHECK_FALSE(map.get(1));
  CHECK_FALSE(map.contains(0));
  CHECK_FALSE(map.erase(1));
  CHECK_FALSE(map.erase_equal(1, "x"));
  map.clear();
  CHECK(entries_of(map).empty());
}

TEST_CASE("insert adds what is absent and leaves what is there", "[concurrent][hash_map]") {
  Map map;
  CHECK(map.insert(1, "one"));
  CHECK_FALSE(map.insert(1, "uno"));
  CHECK(map.get(1) == "one");
  CHECK(map.size() == 1);
  CHECK_FALSE(map.get(2));
  CHECK(map.pending() == 0);
}

TEST_CASE("insert_or_assign replaces and says which it did", "[concurrent][hash_map]") {
  Map map;
  CHECK(map.insert_or_assign(1, "one"));
  CHECK_FALSE(map.insert_or_assign(1, "uno"));
  CHECK_FALSE(map.insert_or_assign(1, "eins"));
  CHECK(map.get(1) == "eins");
  CHECK(map.size() == 1);
  CHECK(entries_of(map) == std::map<std::uint64_t, std::string>{{1, "eins"}});
  CHECK(map.pending() == 2);
  CHECK(map.collect() == 2);
}

TEST_CASE("erase removes, and the key can come back", "[concurrent][hash_map]") {
  Map map;
  map.insert(1, "one");
  map.insert(2, "two");
  CHECK(map.erase(1));
  CHECK_FALSE(map.erase(1));
  CHECK_FALSE(map.get(1));
  CHECK(map.get(2) == "two");
  CHECK(map.size() == 1);
  CHECK(map.insert(1, "again"));
  CHECK(map.get(1) == "again");
  CHECK(map.size() == 2);
}

TEST_CASE("a conditional erase asks about the value", "[concurrent][hash_map]") {
  Map map;
  map.insert(1, "one");
  CHECK_FALSE(map.erase_equal(1, "two"));
  CHECK_FALSE(map.erase_if(1, [](const std::string& value) { return value.empty(); }));
  CHECK(map.get(1) == "one");
  CHECK(map.erase_equal(1, "one"));
  CHECK_FALSE(map.contains(1));
  // A key that is absent is not asked about.
  bool asked = false;
  CHECK_FALSE(map.erase_if(1, [&](const std::string&) { return asked = true; }));
  CHECK_FALSE(asked);
}

TEST_CASE("a conditional erase takes only the value it was asked about", "[concurrent][hash_map]") {
  Map map;
  map.insert(1, "old");
  int asked_count = 0;
  const bool erased = map.erase_if(1, [&](const std::string& value) {
    // What another writer would do between the question and the removal.
    if (++asked_count == 1) map.insert_or_assign(1, "new");
    return value == "old";
  });
  CHECK_FALSE(erased);
  CHECK(asked_count == 2);
  CHECK(map.get(1) == "new");
  CHECK(map.size() == 1);
}

TEST_CASE("a key that is erased while it is sought is absent", "[concurrent][hash_map]") {
  HookedMap map;
  map.insert(1, 10);
  HookedEqual::hook = [&] { CHECK(map.erase(1)); };
  CHECK_FALSE(map.get(1));
  map.insert(1, 11);
  HookedEqual::hook = [&] { CHECK(map.erase(1)); };
  CHECK_FALSE(map.insert(1, 12));  // It was there when the call found it.
  CHECK_FALSE(map.contains(1));
  map.insert(1, 12);
  HookedEqual::hook = [&] { CHECK(map.erase(1)); };
  CHECK_FALSE(map.erase(1));
  map.insert(1, 13);
  HookedEqual::hook = [&] { CHECK(map.erase(1)); };
  CHECK(map.insert_or_assign(1, 14));
  CHECK(map.get(1) == 14);
  CHECK(map.size() == 1);
}

TEST_CASE("a key that is replaced while it is sought has its new value", "[concurrent][hash_map]") {
  HookedMap map;
  map.insert(1, 10);
  HookedEqual::hook = [&] { CHECK_FALSE(map.insert_or_assign(1, 11)); };
  CHECK(map.get(1) == 11);
  HookedEqual::hook = [&] { CHECK_FALSE(map.insert_or_assign(1, 12)); };
  CHECK_FALSE(map.insert_or_assign(1, 13));
  CHECK(map.get(1) == 13);
  HookedEqual::hook = [&] { CHECK_FALSE(map.insert_or_assign(1, 14)); };
  CHECK_FALSE(map.insert(1, 15));
  CHECK(map.get(1) == 14);
  HookedEqual::hook = [&] { CHECK_FALSE(map.insert_or_assign(1, 15)); };
  CHECK_FALSE(map.erase_equal(1, 14));
  CHECK(map.size() == 1);
}

TEST_CASE("keys of one hash are told apart", "[concurrent][hash_map]") {
  HashMap<std::uint64_t, std::string, OneHash> map(2);
  for (std::uint64_t key = 0; key < 100; ++key) CHECK(map.insert(key, std::to_string(key)));
  for (std::uint64_t key = 0; key < 100; key += 2) CHECK(map.erase(key));
  for (std::uint64_t key = 1; key < 100; key += 4) CHECK_FALSE(map.insert_or_assign(key, "new"));
  CHECK(map.size() == 50);
  for (std::uint64_t key = 0; key < 100; ++key) {
    CAPTURE(key);
    if (key % 2 == 0) {
      CHECK_FALSE(map.get(key));
    } else {
      CHECK(map.get(key) == (key % 4 == 1 ? "new" : std::to_string(key)));
    }
  }
  CHECK(entries_of(map).size() == 50);
}

TEST_CASE("growth keeps every entry and shortens the lists", "[concurrent][hash_map]") {
  // Keys that differ in their high bits only: a hash that is the key would put them into one list.
  const std::uint64_t stride = GENERATE(std::uint64_t{1}, std::uint64_t{1} << 40);
  Map map(1);
  const std::size_t first_count = map.bucket_count();
  CHECK(first_count == 2);
  constexpr std::uint64_t kCount = 20'000;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    REQUIRE(map.insert(i * stride, std::to_string(i)));
    if ((i & (i - 1)) == 0) {
      for (std::uint64_t j = 0; j <= i; ++j) REQUIRE(map.get(j * stride) == std::to_string(j));
    }
  }
  CHECK(map.size() == kCount);
  CHECK(map.bucket_count() >= kCount / 2);
  CHECK(map.bucket_count() <= kCount * 4);
  CHECK(entries_of(map).size() == kCount);
  for (std::uint64_t i = 0; i < kCount; ++i) REQUIRE(map.contains(i * stride));
  CHECK_FALSE(map.contains(kCount * stride));
}

TEST_CASE("clear removes everything and the map goes on", "[concurrent][hash_map]") {
  Map map(2);
  for (std::uint64_t key = 0; key < 1000; ++key) map.insert(key, "x");
  map.clear();
  CHECK(map.size() == 0);
  CHECK(entries_of(map).empty());
  map.collect();
  CHECK(map.pending() == 0);  // All of them were unlinked.
  for (std::uint64_t key = 0; key < 1000; ++key) REQUIRE(map.insert(key, "y"));
  CHECK(map.size() == 1000);
  CHECK(map.get(999) == "y");
}

TEST_CASE("a walk may erase, replace and add", "[concurrent][hash_map]") {
  Map map(4);
  for (std::uint64_t key = 0; key < 200; ++key) map.insert(key, "x");
  std::unordered_map<std::uint64_t, int> visits;
  map.for_each([&](std::uint64_t key, const std::string& value) {
    if (key < 200) ++visits[key];
    CHECK(value.size() >= 1);
    if (key % 3 == 0) CHECK(map.erase(key));
    if (key % 3 == 1) CHECK_FALSE(map.insert_or_assign(key, "replaced"));
    if (key % 3 == 2 && key < 200) map.insert(1000 + key, "added");
  });
  CHECK(visits.size() == 200);
  for (const auto& [key, count] : visits) {
    CAPTURE(key);
    CHECK(count == 1);
  }
  for (std::uint64_t key = 0; key < 200; ++key) {
    CAPTURE(key);
    const std::optional<std::string> value = map.get(key);
    CHECK(value.has_value() == (key % 3 != 0));
    if (value) CHECK(*value == (key % 3 == 1 ? "replaced" : "x"));
  }
}

TEST_CASE("a walk that erases everything ahead of itself ends", "[concurrent][hash_map]") {
  Map map(4);
  for (std::uint64_t key = 0; key < 100; ++key) map.insert(key, "x");
  int visit_count = 0;
  map.for_each([&](std::uint64_t, const std::string&) {
    ++visit_count;
    map.clear();
  });
  CHECK(visit_count == 1);
  CHECK(map.empty());
}

TEST_CASE("a walk's visitor can stop it", "[concurrent][hash_map]") {
  Map map;
  for (std::uint64_t key = 0; key < 10; ++key) map.insert(key, "x");
  int visit_count = 0;
  map.for_each([&](std::uint64_t, const std::string&) { return ++visit_count < 3; });
  CHECK(visit_count == 3);
}

TEST_CASE("a value that a guard protects outlives its erasure", "[concurrent][hash_map]") {
  const auto live_before = Canary::live_count.load();
  const auto bad_before = Canary::bad_count.load();
  {
    HashMap<std::uint64_t, Canary> map;
    map.insert(1, Canary(11));
    map.insert(2, Canary(22));
    map.visit(1, [&](const Canary& seen) {
      CHECK(map.erase(1));
      CHECK_FALSE(map.contains(1));
      for (int i = 0; i < 3; ++i) CHECK(map.collect() == 0);
      CHECK(seen.number() == 11);
      CHECK_FALSE(map.insert_or_assign(2, Canary(23)));
      CHECK(map.collect() == 0);
      CHECK(seen.number() == 11);
    });
    CHECK(map.pending() == 2);
    CHECK(map.collect() == 2);
    CHECK(map.get(2)->number() == 23);
    CHECK(Canary::live_count - live_before == 1);
    map.erase(2);
    map.insert(3, Canary(33));
  }
  CHECK(Canary::live_count == live_before);
  CHECK(Canary::bad_count == bad_before);
}

TEST_CASE("a key is sought by its lookup type", "[concurrent][hash_map]") {
  HashMap<std::string, int, ViewHash, std::equal_to<>, std::string_view> map;
  CHECK(map.insert("one", 1));
  CHECK(map.insert(std::string(100, 'x'), 2));
  CHECK(map.get(std::string_view("one")) == 1);
  CHECK(map.get(std::string(100, 'x')) == 2);
  CHECK_FALSE(map.get("on"));
  CHECK_FALSE(map.insert_or_assign("one", 3));
  CHECK(map.get("one") == 3);
  CHECK(map.erase("one"));
}

TEST_CASE("values that cannot be copied can be kept and visited", "[concurrent][hash_map]") {
  HashMap<int, std::unique_ptr<int>> map;
  CHECK(map.insert(1, std::make_unique<int>(5)));
  int seen = 0;
  CHECK(map.visit(1, [&](const std::unique_ptr<int>& value) { seen = *value; }));
  CHECK(seen == 5);
  CHECK_FALSE(map.visit(2, [&](const std::unique_ptr<int>&) { seen = 0; }));
  CHECK(seen == 5);
}

TEST_CASE("a throwing hash, predicate or visitor leaves the map as it was",
          "[concurrent][hash_map]") {
  struct Throws {
    std::size_t operator()(int key) const {
      if (key == 13) throw std::runtime_error("13");
      return static_cast<std::size_t>(key);
    }
  };
  HashMap<int, int, Throws> map;
  map.insert(1, 1);
  CHECK_THROWS_AS(map.insert(13, 1), std::runtime_error);
  CHECK_THROWS_AS(map.get(13), std::runtime_error);
  CHECK_THROWS_AS(map.erase_if(1, [](int) -> bool { throw std::runtime_error("predicate"); }),
                  std::runtime_error);
  CHECK_THROWS_AS(map.visit(1, [](int) { throw std::runtime_error("visitor"); }),
                  std::runtime_error);
  CHECK_FALSE(EpochDomain::pinned());
  CHECK(map.size() == 1);
  CHECK(map.get(1) == 1);
}

TEST_CASE("a map does what the standard one does", "[concurrent][hash_map]") {
  const auto seed = GENERATE(1U, 2U, 3U);
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Map map(2);
  std::map<std::uint64_t, std::string> model;
  const std::uint64_t key_count = seed == 1 ? 8 : 500;
  for (int step = 0; step < 30'000; ++step) {
    const std::uint64_t key = random() % key_count;
    const std::string value = std::to_string(random() % 4);
    switch (random() % 6) {
      case 0:
        REQUIRE(map.insert(key, value) == model.emplace(key, value).second);
        break;
      case 1:
        REQUIRE(map.insert_or_assign(key, value) == model.insert_or_assign(key, value).second);
        break;
      case 2:
        REQUIRE(map.erase(key) == (model.erase(key) == 1));
        break;
      case 3: {
        const auto found = model.find(key);
        const bool equal = found != model.end() && found->second == value;
        if (equal) model.erase(found);
        REQUIRE(map.erase_equal(key, value) == equal);
        break;
      }
      default: {
        const auto found = model.find(key);
        const auto expected = found == model.end() ? std::nullopt : std::optional(found->second);
        REQUIRE(map.get(key) == expected);
      }
    }
    REQUIRE(map.size() == model.size());
    if (random() % 5'000 == 0) {
      map.clear();
      model.clear();
    }
  }
  CHECK(entries_of(map) == model);
}

}  // namespace varve::concurrent
