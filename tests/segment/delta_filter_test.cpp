// SPDX-License-Identifier: Apache-2.0
#include "segment/delta_filter.hpp"

#include <cstdint>
#include <new>
#include <string>

#include "directory/checksum.hpp"
#include "tests/support/catch.hpp"

namespace varve::segment::delta_detail {
namespace {

std::uint64_t hash_of(std::uint64_t i) {
  return directory::hash64("key " + std::to_string(i));
}

// Adds the keys [0, count), and looks at all of them now and then.
DeltaFilter::Fill add_keys(DeltaFilter& filter, Arena& arena, std::uint64_t count,
                           std::uint64_t expected_count) {
  DeltaFilter::Fill fill;
  std::uint64_t next_look = 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    filter.reserve(arena, expected_count, fill);
    filter.add(hash_of(i), fill);
    if (i + 1 != next_look) continue;
    next_look = next_look * 2 + 1;
    for (std::uint64_t k = 0; k <= i; ++k) REQUIRE(filter.may_contain(hash_of(k)));
  }
  for (std::uint64_t k = 0; k < count; ++k) REQUIRE(filter.may_contain(hash_of(k)));
  return fill;
}

double false_positive_rate(const DeltaFilter& filter, std::uint64_t first_absent) {
  constexpr std::uint64_t kProbes = 100'000;
  std::uint64_t count = 0;
  for (std::uint64_t i = 0; i < kProbes; ++i) {
    if (filter.may_contain(hash_of(first_absent + i))) ++count;
  }
  return static_cast<double>(count) / static_cast<double>(kProbes);
}

}  // namespace

TEST_CASE("a delta's filter excludes nothing before it has a key", "[segment][delta][filter]") {
  const DeltaFilter filter;
  CHECK(filter.may_contain(hash_of(1)));
  filter.prefetch(hash_of(1));
}

TEST_CASE("a delta's filter never denies a key, and most others, however it grew",
          "[segment][delta][filter]") {
  struct Growth {
    std::uint64_t count, expected_count;
    double rate_max;
  };
  const Growth growth =
      GENERATE(Growth{100, 0, 0.01}, Growth{1000, 0, 0.01}, Growth{1000, 1000, 0.01},
               Growth{32'000, 32'000, 0.06}, Growth{50'000, 25'000, 0.1}, Growth{50'000, 0, 0.35},
               Growth{200, std::uint64_t{1} << 20, 0.001});
  CAPTURE(growth.count, growth.expected_count);
  ChunkPool pool;
  Arena arena(pool);
  DeltaFilter filter;
  add_keys(filter, arena, growth.count, growth.expected_count);
  CHECK(false_positive_rate(filter, 1'000'000) < growth.rate_max);
}

TEST_CASE("a delta's filter that cannot grow stays as it was", "[segment][delta][filter]") {
  ChunkPool pool;
  Arena arena(pool);
  DeltaFilter filter;
  DeltaFilter::Fill fill = add_keys(filter, arena, 128, 0);  // All that the first table takes.
  pool.set_size_limit(pool.size_in_use());
  static_cast<void>(arena.allocate(13 << 10, 1));  // The rest of the chunk, but for a little.
  CHECK_THROWS_AS(filter.reserve(arena, 1'000'000, fill), std::bad_alloc);
  for (std::uint64_t i = 0; i < 128; ++i) REQUIRE(filter.may_contain(hash_of(i)));
  CHECK(false_positive_rate(filter, 1'000'000) < 0.01);
}

}  // namespace varve::segment::delta_detail
