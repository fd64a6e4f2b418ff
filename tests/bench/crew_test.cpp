// SPDX-License-Identifier: Apache-2.0
#include "bench/crew.hpp"

#include <atomic>
#include <stdexcept>
#include <vector>

#include "tests/support/catch.hpp"

using varve::bench::Crew;
using varve::bench::OperationQueue;

TEST_CASE("a crew takes every operation once", "[bench][crew]") {
  constexpr std::uint64_t kCount = 10'007;
  std::vector<std::atomic<int>> taken(kCount);
  OperationQueue queue(kCount, 10);
  Crew crew(4, [&](std::size_t) {
    for (auto slice = queue.take(); !slice.empty(); slice = queue.take()) {
      for (std::uint64_t i = slice.begin; i < slice.end; ++i) ++taken[i];
    }
  });
  for (const auto& count : taken) REQUIRE(count == 0);  // Nobody begins before run().
  crew.run();
  for (const auto& count : taken) REQUIRE(count == 1);
}

TEST_CASE("what one thread throws ends the others and comes out of run()", "[bench][crew]") {
  Crew crew(3, [&](std::size_t number) {
    if (number == 1) throw std::runtime_error("the second");
    while (!crew.failed()) {
    }
  });
  CHECK_THROWS_WITH(crew.run(), "the second");
}

TEST_CASE("a crew that is never let go ends without having worked", "[bench][crew]") {
  std::atomic<int> worked = 0;
  {
    const Crew crew(3, [&](std::size_t) { ++worked; });
  }
  CHECK(worked == 0);
}
