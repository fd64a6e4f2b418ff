// SPDX-License-Identifier: Apache-2.0
#include "bench/data.hpp"

#include <set>
#include <string>

#include "tests/support/catch.hpp"

using namespace varve::bench;

TEST_CASE("keys of every shape are distinct, of one size, and ascend where they should",
          "[bench][data]") {
  constexpr std::uint64_t kCount = 5000;
  for (const KeyShape shape :
       {KeyShape::Hash16, KeyShape::Dec16, KeyShape::Url31, KeyShape::Hash32}) {
    CAPTURE(static_cast<int>(shape));
    KeyMaker keys(shape, kCount);
    std::set<std::string> all;
    std::string previous;
    for (std::uint64_t i = 0; i < kCount; ++i) {
      all.emplace(keys.present(i));
      all.emplace(keys.absent(i));
      const std::string ascending(keys.ascending(i));
      CHECK(ascending.size() == keys.size());
      CHECK(previous < ascending);
      previous = ascending;
    }
    CHECK(all.size() == 2 * kCount);
    for (const std::string& key : all) REQUIRE(key.size() == keys.size());
  }
  KeyMaker hashed(KeyShape::Hash32, kCount);
  CHECK(hashed.present(7).find_first_not_of("0123456789ABCDEF") == std::string_view::npos);
}

TEST_CASE("a value belongs to its key and version, a text to every key", "[bench][data]") {
  ValueMaker values(50);
  const std::string value(values.make("key", 3));
  CHECK(value.size() == 50);
  CHECK(values.matches("key", 3, value));
  CHECK(values.matches_any_version("key", value));
  CHECK(ValueMaker::version_of(value) == 3);
  CHECK_FALSE(values.matches("key", 4, value));
  CHECK_FALSE(values.matches_any_version("kex", value));
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::string changed = value;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK_FALSE(values.matches("key", 3, changed));
  }
  ValueMaker text(std::string("a text for all of them"));
  CHECK(text.make("key", 1) == "a text for all of them");
  CHECK(text.matches_any_version("other", "a text for all of them"));
  CHECK_FALSE(text.matches("key", 1, "a text for all of the"));
}

TEST_CASE("a scan's check sees what is wrong with it", "[bench][data]") {
  ValueMaker values(20);
  const auto wrong_count = [&](ScanOrder order, std::string_view first, std::uint64_t limit,
                               std::initializer_list<const char*> keys) {
    EntryCheck check(values, order);
    check.restart(first);
    for (const char* key : keys) check(key, values.make(key, 0));
    check.finish(limit, "c");
    return check.wrong_count();
  };
  constexpr auto kUp = ScanOrder::Ascending, kDown = ScanOrder::Descending;
  CHECK(wrong_count(kUp, "a", 2, {"a", "b"}) == 0);
  CHECK(wrong_count(kUp, "b", 5, {"b", "c"}) == 0);      // The end of the store.
  CHECK(wrong_count(kUp, "a", 5, {"a", "b"}) == 1);      // Not the end.
  CHECK(wrong_count(kUp, "a", 2, {"b", "c"}) == 1);      // Another beginning.
  CHECK(wrong_count(kUp, "a", 1, {"a", "b"}) == 1);      // Too many.
  CHECK(wrong_count(kUp, "a", 1, {}) == 1);              // None.
  CHECK(wrong_count(kUp, {}, 3, {"a", "c", "b"}) == 1);  // Out of order.
  CHECK(wrong_count(kUp, {}, 3, {"a", "a", "b"}) == 1);  // Twice.
  CHECK(wrong_count(kDown, "c", 3, {"c", "b", "a"}) == 0);
  CHECK(wrong_count(kDown, "c", 3, {"c", "a", "b"}) == 1);
  EntryCheck check(values);
  check("a", values.make("b", 0));
  CHECK(check.wrong_count() == 1);
}
