// SPDX-License-Identifier: Apache-2.0
#include "bench/scale.hpp"

#include "tests/support/catch.hpp"

using namespace varve::bench;

namespace {

std::string described(const std::vector<std::string>& words,
                      std::uint64_t data_size_max = 1 << 30) {
  std::string text;
  for (const RunPoint& point : scale_points({}, words, data_size_max)) {
    text += point.point.parameter + "=" + std::to_string(point.point.value) + " ";
  }
  return text;
}

}  // namespace

TEST_CASE("counts go by thousands, sizes by 1,024s", "[bench][scale]") {
  CHECK(parse_count("1500") == 1500);
  CHECK(parse_count("10M") == 10'000'000);
  CHECK(parse_size("64K") == 65'536);
  CHECK(parse_size("2G") == std::uint64_t{2} << 30);
  for (const char* wrong : {"", "K", "-1", "1.5M", "1KB", "99999999999999999999", "99999999999G"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_size(wrong), std::invalid_argument);
  }
}

TEST_CASE("each value of each parameter is a point with its settings", "[bench][scale]") {
  CHECK(described({}) == "=0 ");
  CHECK(described({"entries=1M,10M"}) == "entries=1000000 entries=10000000 ");
  CHECK(described({"value_size=8..64", "entries=2K"}) ==
        "value_size=8 value_size=16 value_size=32 value_size=64 entries=2000 ");
  const auto points = scale_points({}, {"entries=5K", "value_size=1M", "segment_size=1M"}, 1 << 30);
  REQUIRE(points.size() == 3);
  CHECK(points[0].settings.entry_count == 5000);
  CHECK(points[0].settings.value_size == 100);
  CHECK_FALSE(points[0].own_engines_only);
  CHECK(points[1].settings.value_size == 1 << 20);
  CHECK(points[1].settings.entry_count == 1023);  // A GiB of values.
  CHECK(points[1].settings.read_count == 1023);
  CHECK(points[2].settings.segment_size == 1 << 20);
  CHECK(points[2].settings.entry_count == 1'000'000);
  CHECK(points[2].own_engines_only);
}

TEST_CASE("threads are sessions of one point", "[bench][scale]") {
  const auto points = scale_points({}, {"threads=1..8"}, 1);
  REQUIRE(points.size() == 1);
  CHECK(points[0].settings.thread_counts == std::vector<std::uint32_t>{1, 2, 4, 8});
  CHECK(points[0].point == ScalePoint{});
}

TEST_CASE("what cannot be varied so is refused", "[bench][scale]") {
  for (const char* wrong :
       {"entries", "entries=", "entries=10", "entries=1M..2K", "entries=1..2..3", "keys=5",
        "value_size=7", "threads=0", "threads=65", "=5", ""}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(described({wrong}), std::invalid_argument);
  }
}
