// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/route_map.hpp"
#include "segment/entry.hpp"

namespace varve::internal {

// Looks up all keys as of `at`, copies the values of those that are there to the same places in
// `values`, into the memory of what is there, and empties the others; returns how many are there.
// Requires: values.size() == keys.size(). Beside writers: the caller is pinned, and `at` is
// registered as a snapshot, as the views are found one group of keys after the other.
std::size_t find_keys(const RouteMap& routes, std::span<const std::string_view> keys,
                      segment::Sequence at, std::span<std::optional<std::string>> values);

}  // namespace varve::internal
