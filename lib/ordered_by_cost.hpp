// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace varve::internal {

// The items, the one with the highest cost first; those that cost the same stay as they stood. Each
// is asked for its cost once, as other threads may change it meanwhile: a sort whose order changes
// runs out of its range.
template <typename Item, typename CostOf>
[[nodiscard]] std::vector<Item> ordered_by_cost(const std::vector<Item>& items,
                                                const CostOf& cost_of) {
  std::vector<std::pair<std::uint64_t, const Item*>> by_cost;
  by_cost.reserve(items.size());
  for (const Item& item : items) by_cost.emplace_back(cost_of(item), &item);
  std::stable_sort(by_cost.begin(), by_cost.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Item> ordered;
  ordered.reserve(items.size());
  for (const auto& [cost, item] : by_cost) ordered.push_back(*item);
  return ordered;
}

}  // namespace varve::internal
