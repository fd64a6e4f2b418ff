// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace varve::internal {

// The limits of limits.hpp. Errors: InvalidArgument, with what was given and what is allowed.
void check_key(std::string_view key);
void check_value(std::string_view value);
void check_bounds(std::string_view from, std::string_view to);  // Of a range erase.

}  // namespace varve::internal
