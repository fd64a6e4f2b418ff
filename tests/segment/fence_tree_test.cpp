// SPDX-License-Identifier: Apache-2.0
#include "segment/fence_tree.hpp"

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

namespace varve::segment {
namespace {

using Keys = std::vector<std::string>;
using Random = std::mt19937_64;

std::vector<SimdLevel> levels_here() {
  std::vector<SimdLevel> levels;
  for (int level = 0; level <= static_cast<int>(simd_level()); ++level) {
    levels.push_back(static_cast<SimdLevel>(level));
  }
  return levels;
}

// char_traits<char> compares as unsigned bytes, so std::string sorts as the index does.
Keys sorted_unique(Keys keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

FenceTree tree_of(const Keys& fences) {
  const std::vector<std::string_view> views(fences.begin(), fences.end());
  return FenceTree(views);
}

std::size_t expected_index(const Keys& fences, std::string_view key) {
  const auto above = std::upper_bound(fences.begin(), fences.end(), key);
  return above == fences.begin() ? 0 : static_cast<std::size_t>(above - fences.begin()) - 1;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes.substr(0, 64)) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(byte));
    text += digits;
  }
  return text;
}

void check_find(const FenceTree& tree, const Keys& fences, std::string_view key) {
  const std::size_t expected = expected_index(fences, key);
  for (const SimdLevel level : levels_here()) {
    const std::size_t found = tree.find(level, key);
    if (found == expected) continue;
    CAPTURE(fences.size(), hex(key), static_cast<int>(level), hex(fences[expected]));
    REQUIRE(found == expected);
  }
  if (tree.find(key) != expected) REQUIRE(tree.find(key) == expected);
  const std::size_t in_halves = tree.find_in(tree.locate(key), key);
  if (in_halves != expected) REQUIRE(in_halves == expected);
}

// Keys close to `key`, on both sides: where comparisons go wrong.
Keys neighbours(const std::string& key, Random& random) {
  Keys found = {key, key + '\0', key + '\xFF', key + 'm', key + std::string(9, '\0')};
  for (std::size_t size = key.size(); size-- > 0 && found.size() < 16;) {
    found.push_back(key.substr(0, size));
  }
  for (int i = 0; i < 8 && !key.empty(); ++i) {
    std::string changed = key;
    auto& byte = changed[random() % key.size()];
    byte = static_cast<char>(byte + (random() % 2 == 0 ? 1 : -1));
    found.push_back(changed);
    found.push_back(changed.substr(0, random() % (key.size() + 1)));
  }
  return found;
}

// Compares the tree with a binary search: for keys near fences, and keys that `strange` makes.
template <typename Strange>
void check_tree(const Keys& fences, Random& random, Strange strange) {
  const FenceTree tree = tree_of(fences);
  REQUIRE(tree.size() == fences.size());
  const bool all = fences.size() <= 1500;
  for (std::size_t i = 0; i < (all ? fences.size() : 1500); ++i) {
    const std::size_t index = all ? i : random() % fences.size();
    REQUIRE(tree.fence(index) == fences[index]);
    for (const std::string& key : neighbours(fences[index], random)) check_find(tree, fences, key);
  }
  for (int i = 0; i < 1000; ++i) check_find(tree, fences, strange());
  const Keys extremes = {"", std::string(1, '\0'), std::string(20, '\0'), "\xFF",
                         std::string(40, '\xFF')};
  for (const std::string& key : extremes) check_find(tree, fences, key);
}

std::string random_bytes(Random& random, std::size_t size, unsigned alphabet) {
  // The smallest, the largest and the sign-changing bytes come first.
  static constexpr unsigned char kBytes[] = {0x00, 0xFF, 0x7F, 0x80, 'a', 'b', 'c', 'd'};
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    const std::uint64_t number = random() % alphabet;
    byte = static_cast<char>(alphabet <= sizeof kBytes ? kBytes[number] : number);
  }
  return bytes;
}

enum class Shape { Uniform, Decimal, Urls, FewLetters, Ladder, TwoPrefixes, LongTails, Mixed };

std::string shaped_key(Shape shape, Random& random) {
  switch (shape) {
    case Shape::Uniform:
      return random_bytes(random, 16, 256);
    case Shape::Decimal: {
      const std::string digits = std::to_string(random() % 100'000);
      return std::string(16 - digits.size(), '0') + digits;
    }
    case Shape::Urls: {
      static const Keys hosts = {"https://a.example/", "https://a.example/very/deep/path/",
                                 "https://b.example/x?id=", "ftp://"};
      return hosts[random() % hosts.size()] + std::to_string(random() % 50'000);
    }
    case Shape::FewLetters:
      return random_bytes(random, random() % 14, 4);
    case Shape::Ladder:  // Each key is a prefix of the next.
      return std::string(random() % 700, random() % 2 == 0 ? '\0' : '\xFF');
    case Shape::TwoPrefixes:
      return std::string(30, random() % 2 == 0 ? 'p' : 'q') + random_bytes(random, 3, 256);
    case Shape::LongTails:  // Differ only behind the bytes that a head has.
      return std::string(1 + random() % 3, 'k') + std::string(12, 'z') +
             random_bytes(random, random() % 6, 8);
    case Shape::Mixed:
      break;
  }
  return shaped_key(static_cast<Shape>(random() % 7), random);
}

Keys shaped_keys(Shape shape, std::size_t count, Random& random) {
  Keys keys;
  for (std::size_t i = 0; i < count; ++i) keys.push_back(shaped_key(shape, random));
  return sorted_unique(std::move(keys));
}

TEST_CASE("the tree finds the fence that a binary search finds, for every shape of keys",
          "[segment][fence_tree]") {
  const int shape = GENERATE(range(0, 8));
  const std::uint64_t seed = 4711 + static_cast<std::uint64_t>(shape);
  CAPTURE(shape, seed);
  Random random(seed);
  for (const std::size_t count : {1, 2, 3, 31, 32, 33, 34, 64, 65, 1000, 1024, 1025, 1057, 5000}) {
    for (const bool empty_first : {false, true}) {
      Keys fences = shaped_keys(static_cast<Shape>(shape), count, random);
      if (empty_first && !fences[0].empty()) fences.insert(fences.begin(), "");
      check_tree(fences, random, [&] { return shaped_key(Shape::Mixed, random); });
    }
  }
}

TEST_CASE("the tree is right over 300,000 fences", "[segment][fence_tree]") {
  const int shape = GENERATE(range(0, 2));
  CAPTURE(shape);
  Random random(17);
  Keys fences;
  for (std::size_t i = 0; i < 300'000; ++i) {
    char text[40];
    std::snprintf(text, sizeof text, shape == 0 ? "%016zx" : "https://example.org/item/%08zu",
                  shape == 0 ? static_cast<std::size_t>(random()) : i * 7);
    fences.emplace_back(text);
  }
  fences = sorted_unique(std::move(fences));
  check_tree(fences, random, [&] { return shaped_key(Shape::Mixed, random); });
  const FenceTree tree = tree_of(fences);
  const std::size_t heap_size = fences.size() * fences[0].size();
  CHECK(tree.memory_size() < heap_size + fences.size() * 13);
}

TEST_CASE("a single fence takes every key", "[segment][fence_tree]") {
  const std::string fence = GENERATE("", "m", "a much longer fence");
  const FenceTree tree = tree_of({fence});
  CHECK(tree.find("") == 0);
  CHECK(tree.find("a") == 0);
  CHECK(tree.find("zzz") == 0);
  CHECK(tree.fence(0) == fence);
}

TEST_CASE("keys of 64 KiB that differ in their last byte are told apart", "[segment][fence_tree]") {
  Random random(5);
  const std::string stem(64 * 1024 - 1, 'x');
  Keys fences;
  for (int last = 0; last < 256; last += 3) fences.push_back(stem + static_cast<char>(last));
  fences = sorted_unique(std::move(fences));
  const FenceTree tree = tree_of(fences);
  for (int last = 0; last < 256; ++last) check_find(tree, fences, stem + static_cast<char>(last));
  for (const std::string& key : {stem, stem + "xx", stem.substr(1), std::string("x"),
                                 stem.substr(0, 1000) + 'y', stem.substr(0, 1000) + 'w'}) {
    check_find(tree, fences, key);
  }
}

TEST_CASE("keys without the fences' prefix go to the first or the last fence",
          "[segment][fence_tree]") {
  Keys fences;
  for (int i = 0; i < 5000; ++i) {
    char text[40];
    std::snprintf(text, sizeof text, "shared-prefix-%06d", i);
    fences.emplace_back(text);
  }
  const FenceTree tree = tree_of(fences);
  for (const char* const key : {"", "a", "shared", "shared-prefix-", "shared-prefiw-999999"}) {
    check_find(tree, fences, key);
    CHECK(tree.find(key) == 0);
  }
  for (const char* const key : {"t", "shared-prefiy", "shared-prefix-999999", "\xFF"}) {
    check_find(tree, fences, key);
    CHECK(tree.find(key) == fences.size() - 1);
  }
}

TEST_CASE("fences out of order give an index within the tree", "[segment][fence_tree]") {
  Random random(8);
  for (int round = 0; round < 50; ++round) {
    Keys fences(1 + random() % 3000);
    for (std::string& fence : fences) fence = shaped_key(Shape::Mixed, random);
    const FenceTree tree = tree_of(fences);
    for (int i = 0; i < 200; ++i) {
      const std::string key = shaped_key(Shape::Mixed, random);
      for (const SimdLevel level : levels_here()) REQUIRE(tree.find(level, key) < fences.size());
    }
  }
}

TEST_CASE("a tree can be empty, and be moved", "[segment][fence_tree]") {
  FenceTree empty;
  CHECK(empty.size() == 0);
  CHECK(FenceTree(std::span<const std::string_view>()).size() == 0);
  FenceTree tree = tree_of({"a", "b", "c"});
  FenceTree moved = std::move(tree);
  CHECK(moved.size() == 3);
  CHECK(moved.find("bb") == 1);
  empty = std::move(moved);
  CHECK(empty.find("c") == 2);
  CHECK(empty.fence(2) == "c");
}

}  // namespace
}  // namespace varve::segment
