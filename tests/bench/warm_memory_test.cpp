// SPDX-License-Identifier: Apache-2.0
#include "bench/warm_memory.hpp"

#include <sys/resource.h>

#include <cstdint>

#include "tests/support/catch.hpp"

using varve::bench::warm_memory;

TEST_CASE("memory is touched by a process that ends", "[bench][memory]") {
  rusage before{}, after{};
  REQUIRE(::getrusage(RUSAGE_CHILDREN, &before) == 0);
  warm_memory(0);
  REQUIRE(::getrusage(RUSAGE_CHILDREN, &after) == 0);
  CHECK(after.ru_minflt == before.ru_minflt);
  constexpr std::uint64_t kSize = std::uint64_t{64} << 20;
  warm_memory(kSize);
  REQUIRE(::getrusage(RUSAGE_CHILDREN, &after) == 0);
  CHECK(after.ru_maxrss * 1024 >= static_cast<std::int64_t>(kSize));
}

TEST_CASE("memory that cannot be had is an error", "[bench][memory]") {
  CHECK_THROWS_WITH(warm_memory(std::uint64_t{1} << 62),
                    "--warm-memory: 4611686018427387904 bytes of memory could not be had");
}
