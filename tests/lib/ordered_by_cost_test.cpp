// SPDX-License-Identifier: Apache-2.0
#include "lib/ordered_by_cost.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/catch.hpp"

namespace varve::internal {
namespace {

TEST_CASE("what costs most comes first, and what costs the same stays as it stood", "[lib][jobs]") {
  const std::vector<int> items = {10, 31, 20, 30, 11, 32};
  const auto cost_of = [](int item) { return static_cast<std::uint64_t>(item / 10); };
  CHECK(ordered_by_cost(items, cost_of) == std::vector<int>{31, 30, 32, 20, 10, 11});
  CHECK(ordered_by_cost(std::vector<int>(), cost_of).empty());
}

// A sort that asked again would be told another order by each answer, and leave its range.
TEST_CASE("costs that change meanwhile are asked for once each", "[lib][jobs]") {
  std::vector<int> items(40);
  for (int i = 0; i < 40; ++i) items[static_cast<std::size_t>(i)] = i;
  std::uint64_t asked = 0;
  const std::vector<int> ordered = ordered_by_cost(items, [&](int) { return ++asked; });
  CHECK(asked == items.size());
  CHECK(ordered == std::vector<int>(items.rbegin(), items.rend()));
}

}  // namespace
}  // namespace varve::internal
