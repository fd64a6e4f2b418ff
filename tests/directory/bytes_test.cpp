// SPDX-License-Identifier: Apache-2.0
#include "directory/bytes.hpp"

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.hpp"

namespace varve::directory {
namespace {

std::string varint(std::uint64_t value) {
  std::string bytes;
  append_varint(bytes, value);
  return bytes;
}

TEST_CASE("fixed-width integers are stored low byte first", "[directory][bytes]") {
  std::string bytes;
  append_le(bytes, std::uint32_t{0x04030201});
  append_le(bytes, std::uint16_t{0x0605});
  append_le(bytes, std::uint8_t{7});
  append_le(bytes, std::uint64_t{0x0f0e0d0c0b0a0908});
  CHECK(bytes == std::string_view("\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 15));
  CHECK(load_le<std::uint32_t>(bytes.data()) == 0x04030201);
  CHECK(load_le<std::uint64_t>(bytes.data() + 7) == 0x0f0e0d0c0b0a0908);
  CHECK(load_be<std::uint32_t>(bytes.data()) == 0x01020304);
}

TEST_CASE("a varint of every width comes back, and takes the bytes it says it takes",
          "[directory][bytes]") {
  std::vector<std::uint64_t> values = {0, std::numeric_limits<std::uint64_t>::max()};
  for (unsigned bit = 0; bit < 64; ++bit) {
    values.push_back(std::uint64_t{1} << bit);
    values.push_back((std::uint64_t{1} << bit) - 1);
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) values.push_back(random() >> (random() % 64));
  for (const std::uint64_t value : values) {
    CAPTURE(value);
    const std::string bytes = varint(value);
    CHECK(bytes.size() == varint_size(value));
    CHECK(bytes.size() <= kVarintSizeMax);
    std::uint64_t found = ~value;
    const char* const end = bytes.data() + bytes.size();
    REQUIRE(parse_varint(bytes.data(), end, found) == end);
    CHECK(found == value);
    // Cut short anywhere, it is refused.
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CHECK(parse_varint(bytes.data(), bytes.data() + size, found) == nullptr);
    }
  }
}

TEST_CASE("a varint has one encoding: longer ones, and more than 64 bits, are refused",
          "[directory][bytes]") {
  const auto parses = [](std::string_view bytes) {
    std::uint64_t value = 0;
    return parse_varint(bytes.data(), bytes.data() + bytes.size(), value) != nullptr;
  };
  CHECK(parses(std::string_view("\0", 1)));
  CHECK_FALSE(parses(std::string_view("\x80\0", 2)));
  CHECK_FALSE(parses(std::string_view("\xff\0", 2)));
  CHECK_FALSE(parses(std::string_view("\x80\x80\0", 3)));
  CHECK(parses("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
  CHECK_FALSE(parses("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
  CHECK_FALSE(parses("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"));
  CHECK_FALSE(parses("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
}

TEST_CASE("a reader gives the fields in order and then nothing", "[directory][bytes]") {
  std::string bytes;
  append_le(bytes, std::uint32_t{77});
  append_varint(bytes, 300);
  append_varint(bytes, 3);
  bytes += "abcrest";
  ByteReader reader(bytes);
  CHECK(reader.le<std::uint32_t>() == 77);
  CHECK(reader.varint() == 300);
  CHECK(reader.sized() == "abc");
  CHECK(reader.offset() == 10);
  CHECK(reader.take(4) == "rest");
  CHECK(reader.remaining() == 0);
  CHECK(reader.ok());
  CHECK(reader.le<std::uint8_t>() == 0);
  CHECK_FALSE(reader.ok());
}

TEST_CASE("after the first field that does not fit, a reader gives zero and empty",
          "[directory][bytes]") {
  const std::string bytes =
      "\x05"
      "abc";
  SECTION("a size beyond the end") {
    ByteReader reader(bytes);
    CHECK(reader.sized().empty());
    CHECK_FALSE(reader.ok());
    CHECK(reader.take(1).empty());
    CHECK(reader.le<std::uint8_t>() == 0);
    CHECK(reader.varint() == 0);
    CHECK_FALSE(reader.ok());
  }
  SECTION("a size that would wrap around") {
    for (const std::uint64_t size :
         {std::uint64_t{5}, std::uint64_t{1} << 31, (std::uint64_t{1} << 32) + 1,
          std::uint64_t{1} << 63, ~std::uint64_t{0} - 4, ~std::uint64_t{0}}) {
      ByteReader reader(bytes);
      CHECK(reader.take(size).empty());
      CHECK_FALSE(reader.ok());
    }
  }
  SECTION("an integer cut short") {
    ByteReader reader(std::string_view(bytes).substr(0, 3));
    CHECK(reader.le<std::uint32_t>() == 0);
    CHECK_FALSE(reader.ok());
  }
  SECTION("a varint cut short") {
    ByteReader reader(std::string_view("\x80\x80", 2));
    CHECK(reader.varint() == 0);
    CHECK_FALSE(reader.ok());
  }
  SECTION("an empty input") {
    ByteReader reader({});
    CHECK(reader.take(0).empty());
    CHECK(reader.ok());
    CHECK(reader.take(1).empty());
    CHECK_FALSE(reader.ok());
  }
}

TEST_CASE("checked_add refuses to wrap", "[directory][bytes]") {
  std::uint64_t sum = 0;
  CHECK(checked_add(2, 3, sum));
  CHECK(sum == 5);
  CHECK(checked_add(~std::uint64_t{0} - 1, 1, sum));
  CHECK_FALSE(checked_add(~std::uint64_t{0}, 1, sum));
}

}  // namespace
}  // namespace varve::directory
