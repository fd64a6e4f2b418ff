// SPDX-License-Identifier: Apache-2.0
#include "stress/entries.hpp"

#include <set>

#include "tests/support/catch.hpp"

namespace varve::stress {
namespace {

constexpr ValueForm kForm{.seed = 42};

// A word whose last put has a value of `empty` or other size.
KeyWord word_with_value(KeyNumber key, bool empty) {
  std::uint64_t generation = KeyWord().next_generation(0);
  while ((kForm.size(key, generation) == 0) != empty) ++generation;
  return KeyWord().after_put(generation);
}

LegalRange exactly(KeyWord word) {
  return {word, word, 0};
}

}  // namespace

TEST_CASE("key names ascend with their numbers and tell them", "[stress]") {
  std::set<std::size_t> sizes;
  for (KeyNumber key = 0; key < 5000; ++key) {
    const std::string name = key_name(key);
    REQUIRE(name < key_name(key + 1));
    REQUIRE(key_number(name) == key);
    REQUIRE(name.starts_with(sixteen_prefix(key)));
    REQUIRE(sixteen_prefix(key) == sixteen_prefix(key / 16 * 16));
    sizes.insert(name.size());
  }
  CHECK_FALSE(key_name(16).starts_with(sixteen_prefix(15)));
  CHECK(sizes.size() > 10);
  CHECK(*sizes.rbegin() > 300);
  CHECK_FALSE(key_number(key_name(7) + "x"));
  CHECK_FALSE(key_number("varve-stress/0000000"));
  CHECK_FALSE(key_number("varve-stress/0000000g"));
}

TEST_CASE("values tell their generation, and nothing else passes for one", "[stress]") {
  std::size_t largest = 0;
  int empty_count = 0;
  std::string value;
  for (std::uint64_t generation = 1; generation <= 2000; ++generation) {
    kForm.encode(7, generation, value);
    REQUIRE(value.size() == kForm.size(7, generation));
    largest = std::max(largest, value.size());
    if (value.empty()) {
      ++empty_count;
      continue;
    }
    REQUIRE(kForm.decode(7, value) == generation);
    REQUIRE_FALSE(kForm.decode(8, value));
    REQUIRE_FALSE(ValueForm{.seed = 43}.decode(7, value));
  }
  CHECK(largest > 40 << 10);
  CHECK(empty_count > 20);

  kForm.encode(7, word_with_value(7, false).generation(), value);
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::string damaged = value;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    REQUIRE_FALSE(kForm.decode(7, damaged));
  }
  CHECK_FALSE(kForm.decode(7, value.substr(0, value.size() - 1)));
  CHECK_FALSE(kForm.decode(7, value + "x"));
}

TEST_CASE("what was read is resolved to what is legal, or refused", "[stress]") {
  const KeyWord word = word_with_value(9, false);
  std::string value;
  kForm.encode(9, word.generation(), value);
  CHECK(resolve(kForm, 9, value, exactly(word)) ==
        Found{.present = true, .generation = word.generation()});
  CHECK_FALSE(resolve(kForm, 9, std::nullopt, exactly(word)));
  CHECK_FALSE(resolve(kForm, 9, "", exactly(word)));
  CHECK_FALSE(resolve(kForm, 9, value, exactly(word.after_erase())));
  CHECK(resolve(kForm, 9, std::nullopt, exactly(word.after_erase())) == Found{});
  CHECK_FALSE(resolve(kForm, 9, value, exactly(word.after_put(word.generation() + 1))));
  CHECK(mismatch_text(kForm, 9, std::nullopt, exactly(word)).find("key 9 (varve-stress/") == 0);
}

TEST_CASE("an empty value stands for any legal generation that has one", "[stress]") {
  const KeyWord word = word_with_value(9, true);
  const std::optional<Found> found = resolve(kForm, 9, "", exactly(word));
  REQUIRE(found);
  CHECK(found->generation == word.generation());
  CHECK_FALSE(found->certain);
  CHECK_FALSE(resolve(kForm, 9, "", exactly(word.after_erase())));
  // As the floor, with later ones on top, also of later cycles.
  const KeyWord later = word.after_put(word.next_generation(5));
  CHECK(resolve(kForm, 9, "", {word, later, 5}));
}

}  // namespace varve::stress
