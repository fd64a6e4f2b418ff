// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/route_map.hpp"
#include "segment/entry.hpp"

namespace varve::internal {

// Looks up all keys as of `at` and copies the values of those that are there to the same places in
// `values`; returns how many they are.
// Requires: values.size() == keys.size(). Beside writers: the caller is pinned, and `at` is
// registered as a snapshot, as the views are found one group of keys after the other.
std::size_t find_keys(const RouteMap& routes, std::span<const std::string_view> keys,
                      segment::Sequence at, std::vector<std::optional<std::string>>& values);

}  // namespace varve::internal
