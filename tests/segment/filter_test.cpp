// SPDX-License-Identifier: Apache-2.0
#include "segment/filter.hpp"

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "tests/segment/simd_levels.hpp"
#include "tests/support/catch.hpp"

namespace varve::segment {
namespace {

using test::levels_here;

// Hashes of the decimal numbers from `first` on.
std::vector<std::uint64_t> hashes_of_numbers(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> hashes(count);
  for (std::size_t i = 0; i < count; ++i) {
    hashes[i] = directory::hash64(std::to_string(first + i));
  }
  return hashes;
}

double false_positive_rate(std::size_t key_count, double bits_per_key) {
  constexpr std::size_t kProbes = 400'000;
  const std::string bytes = build_filter(hashes_of_numbers(0, key_count), bits_per_key);
  const Filter filter(bytes);
  std::size_t found = 0;
  for (const std::uint64_t hash : hashes_of_numbers(1'000'000'000, kProbes)) {
    found += filter.may_contain(hash) ? 1 : 0;
  }
  return static_cast<double>(found) / kProbes;
}

TEST_CASE("a filter without keys or bits is empty and excludes nothing", "[segment][filter]") {
  const std::vector<std::uint64_t> hashes = hashes_of_numbers(0, 10);
  CHECK(build_filter({}, 12).empty());
  CHECK(build_filter(hashes, 0).empty());
  CHECK(build_filter(hashes, -1).empty());
  CHECK(build_filter(hashes, std::numeric_limits<double>::quiet_NaN()).empty());
  const Filter filter;
  CHECK(filter.empty());
  CHECK(filter.may_contain(hashes[0]));
  filter.prefetch(hashes[0]);
  CHECK(Filter("").may_contain(0));
}

TEST_CASE("a filter has whole blocks of 64 bytes, as many as its bits need", "[segment][filter]") {
  CHECK(filter_size(1, 12) == 64);
  CHECK(filter_size(42, 12) == 64);
  CHECK(filter_size(43, 12) == 128);
  CHECK(filter_size(1'000'000, 12) == 23438 * 64);
  CHECK(filter_size(1'000'000, 0.5) == 977 * 64);
  CHECK(filter_size(std::uint64_t{1} << 60, 12) == 0xFFFFFFFF * std::uint64_t{64});
  CHECK(build_filter(hashes_of_numbers(0, 43), 12).size() == 128);
}

TEST_CASE("a filter never denies a key that it was built of", "[segment][filter]") {
  for (const double bits_per_key : {0.1, 1.0, 8.0, 12.0, 30.0}) {
    for (const std::size_t key_count : {1, 2, 63, 1000, 50'000}) {
      const auto hashes = hashes_of_numbers(7, key_count);
      const std::string bytes = build_filter(hashes, bits_per_key);
      const Filter filter(bytes);
      for (const SimdLevel level : levels_here()) {
        const auto denied = std::count_if(hashes.begin(), hashes.end(), [&](std::uint64_t hash) {
          return !filter.may_contain(level, hash);
        });
        CAPTURE(bits_per_key, key_count, static_cast<int>(level));
        REQUIRE(denied == 0);
      }
    }
  }
}

TEST_CASE("the extreme hashes fall into the filter's blocks", "[segment][filter]") {
  const std::vector<std::uint64_t> hashes = {
      0, 1, 0xFFFFFFFF, 0xFFFFFFFF00000000, 0xFFFFFFFFFFFFFFFF, 0x8000000000000000};
  for (const double bits_per_key : {1.0, 100.0, 5000.0}) {
    const std::string bytes = build_filter(hashes, bits_per_key);
    const Filter filter(bytes);
    for (const std::uint64_t hash : hashes) {
      filter.prefetch(hash);
      CHECK(filter.may_contain(hash));
    }
  }
}

TEST_CASE("few absent keys pass a filter", "[segment][filter]") {
  CHECK(false_positive_rate(200'000, 12) < 0.0055);
  CHECK(false_positive_rate(200'000, 12) > 0.0005);  // Else the test would not measure anything.
  CHECK(false_positive_rate(200'000, 10) < 0.013);
  CHECK(false_positive_rate(200'000, 8) < 0.034);
  CHECK(false_positive_rate(43, 12) < 0.007);
}

TEST_CASE("every instruction set builds the same bytes and gives the same answers",
          "[segment][filter]") {
  const auto hashes = hashes_of_numbers(3, 20'000);
  const auto others = hashes_of_numbers(500'000, 20'000);
  const std::string expected = build_filter(hashes, 9);
  // At an odd address, and of exactly the filter's size for address sanitizers.
  std::vector<char> buffer(1 + expected.size());
  for (const SimdLevel level : levels_here()) {
    CAPTURE(static_cast<int>(level));
    std::fill(buffer.begin(), buffer.end(), '\0');
    const std::span<char> bytes(buffer.data() + 1, expected.size());
    add_to_filter(level, bytes, hashes);
    REQUIRE((std::string_view(bytes.data(), bytes.size()) == expected));  // Not to print bytes.
    const Filter filter(std::string_view(bytes.data(), bytes.size()));
    const Filter reference(expected);
    const bool agree = std::all_of(others.begin(), others.end(), [&](std::uint64_t hash) {
      return filter.may_contain(level, hash) == reference.may_contain(SimdLevel::Scalar, hash) &&
             filter.may_contain(hash) == reference.may_contain(SimdLevel::Scalar, hash);
    });
    REQUIRE(agree);
  }
}

TEST_CASE("the encoding of a filter does not change", "[segment][filter]") {
  // Computed apart from the code under test, by the formula in filter.hpp.
  const std::vector<std::uint64_t> expected = {
      0x2000000000, 0x4000000000, 0x2000000000000000, 0x400000000000,
      0x200,        0x100000000,  0x2000000,          0x1000000000000,
      0x100,        0x100,        0x100000000,        0x10000000000,
      0x4000000,    0x100000,     0x4000000000000000, 0x80000000000000};
  const std::vector<std::uint64_t> hashes = {0x0123456789ABCDEF, 0xFEDCBA9876543210};
  std::string bytes;
  for (const std::uint64_t lane : expected) directory::append_le(bytes, lane);
  CHECK((build_filter(hashes, 512) == bytes));
}

TEST_CASE("adding keys in parts gives the filter of all of them", "[segment][filter]") {
  const auto hashes = hashes_of_numbers(0, 5000);
  std::string bytes(filter_size(hashes.size(), 12), '\0');
  const std::span all(hashes);
  add_to_filter(bytes, all.first(1234));
  add_to_filter(bytes, all.first(10));
  add_to_filter(bytes, all.subspan(1234));
  CHECK((bytes == build_filter(hashes, 12)));
}

}  // namespace
}  // namespace varve::segment
