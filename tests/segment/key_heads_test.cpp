// SPDX-License-Identifier: Apache-2.0
#include "segment/key_heads.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/segment/simd_levels.hpp"
#include "tests/support/catch.hpp"

namespace varve::segment {
namespace {

using test::levels_here;

// Exactly as large as the format says, so that address sanitizers see a read past the padding; at
// an odd address, as a block in a buffer may give it.
class StoredHeads {
 public:
  explicit StoredHeads(const std::vector<std::uint32_t>& heads)
      : count_(heads.size()), bytes_(1 + key_heads_size(heads.size())) {
    store_key_heads(bytes_.data() + 1, heads);
  }
  [[nodiscard]] const char* data() const { return bytes_.data() + 1; }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  std::size_t count_;
  std::vector<char> bytes_;
};

HeadRange expected_range(const std::vector<std::uint32_t>& heads, std::uint32_t head) {
  const auto [first, last] = std::equal_range(heads.begin(), heads.end(), head);
  return {static_cast<std::size_t>(first - heads.begin()),
          static_cast<std::size_t>(last - heads.begin())};
}

void check_ranges(const std::vector<std::uint32_t>& heads,
                  const std::vector<std::uint32_t>& wanted) {
  const StoredHeads stored(heads);
  for (const std::uint32_t head : wanted) {
    const HeadRange expected = expected_range(heads, head);
    for (const SimdLevel level : levels_here()) {
      const HeadRange found = equal_range(level, stored.data(), stored.count(), head);
      CAPTURE(heads.size(), head, static_cast<int>(level), found.first, found.last);
      REQUIRE(found == expected);
    }
    REQUIRE(equal_range(stored.data(), stored.count(), head) == expected);
  }
}

// Heads from a range of `spread` values: the smaller, the more of them are equal.
std::vector<std::uint32_t> random_heads(std::mt19937_64& random, std::size_t count,
                                        std::uint32_t spread, std::uint32_t base) {
  std::vector<std::uint32_t> heads(count);
  for (std::uint32_t& head : heads) head = base + static_cast<std::uint32_t>(random() % spread);
  std::sort(heads.begin(), heads.end());
  return heads;
}

TEST_CASE("a key's head orders as the key's first four bytes do", "[segment][key_heads]") {
  CHECK(key_head("") == 0);
  CHECK(key_head("a") == 0x61000000);
  CHECK(key_head("ab") == 0x61620000);
  CHECK(key_head("abc") == 0x61626300);
  CHECK(key_head("abcd") == 0x61626364);
  CHECK(key_head("abcde") == 0x61626364);
  CHECK(key_head("\xFF\xFE\xFD\xFC") == 0xFFFEFDFC);
  CHECK(key_head(std::string_view("\0\0\0\1", 4)) == 1);
  CHECK(key_head("\x80") > key_head("\x7F\xFF\xFF\xFF"));
}

TEST_CASE("stored heads are little-endian and padded with 0xFF to whole groups",
          "[segment][key_heads]") {
  CHECK(key_heads_size(0) == 0);
  CHECK(key_heads_size(1) == 64);
  CHECK(key_heads_size(16) == 64);
  CHECK(key_heads_size(17) == 128);
  std::string bytes(64, '?');
  const std::vector<std::uint32_t> heads = {0x01020304, 0xA0B0C0D0};
  store_key_heads(bytes.data(), heads);
  CHECK(bytes == std::string("\x04\x03\x02\x01\xD0\xC0\xB0\xA0") + std::string(56, '\xFF'));
}

TEST_CASE("the range of equal heads is the one that a binary search finds, at every count",
          "[segment][key_heads]") {
  const std::uint64_t seed = 20240117;
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<std::size_t> counts = {255, 256, 257, 400, 511, 512, 513, 1000, 4095};
  for (std::size_t count = 0; count <= 200; ++count) counts.push_back(count);
  for (const std::size_t count : counts) {
    for (const std::uint32_t spread : {1U, 3U, 40U, 2000U, 0xFFFFFFFFU}) {
      for (const std::uint32_t base : {0U, 0x7FFFFFF0U, 0U - std::min(spread, 0xFFFFFFFFU)}) {
        const auto heads = random_heads(random, count, spread, base);
        std::vector<std::uint32_t> wanted = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};
        for (int i = 0; i < 6 && count != 0; ++i) {
          const std::uint32_t head = heads[random() % count];
          wanted.insert(wanted.end(), {head, head - 1, head + 1});
        }
        check_ranges(heads, wanted);
      }
    }
  }
}

TEST_CASE("the largest head is told from the padding", "[segment][key_heads]") {
  const std::uint32_t largest = 0xFFFFFFFF;
  for (std::size_t count = 1; count <= 300; ++count) {
    check_ranges(std::vector<std::uint32_t>(count, largest), {0, largest - 1, largest});
    std::vector<std::uint32_t> heads(count, 7);
    check_ranges(heads, {6, 7, 8, largest});
    heads.back() = largest;
    check_ranges(heads, {6, 7, 8, largest});
  }
}

TEST_CASE("heads out of order give a range within the block", "[segment][key_heads]") {
  std::mt19937_64 random(99);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::uint32_t> heads(1 + random() % 400);
    for (std::uint32_t& head : heads) head = static_cast<std::uint32_t>(random() % 50);
    const StoredHeads stored(heads);
    for (const SimdLevel level : levels_here()) {
      const auto head = static_cast<std::uint32_t>(random() % 50);
      const HeadRange range = equal_range(level, stored.data(), stored.count(), head);
      REQUIRE(range.first <= range.last);
      REQUIRE(range.last <= heads.size());
    }
  }
}

}  // namespace
}  // namespace varve::segment
