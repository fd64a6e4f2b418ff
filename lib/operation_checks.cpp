// SPDX-License-Identifier: Apache-2.0
#include "lib/operation_checks.hpp"

#include <string>

#include "varve/error.hpp"
#include "varve/limits.hpp"

namespace varve::internal {

void check_key(std::string_view key) {
  if (key.size() >= kKeySizeMin && key.size() <= kKeySizeMax) [[likely]]
    return;
  throw Error(ErrorCode::InvalidArgument, "the key has " + std::to_string(key.size()) +
                                              " bytes, expected " + std::to_string(kKeySizeMin) +
                                              " to " + std::to_string(kKeySizeMax));
}

void check_value(std::string_view value) {
  if (value.size() <= kValueSizeMax) [[likely]]
    return;
  throw Error(ErrorCode::InvalidArgument, "the value has " + std::to_string(value.size()) +
                                              " bytes, expected at most " +
                                              std::to_string(kValueSizeMax));
}

void check_bounds(std::string_view from, std::string_view to) {
  if (from.size() <= kKeySizeMax && to.size() <= kKeySizeMax) return;
  throw Error(ErrorCode::InvalidArgument, "a bound of the range is longer than a key may be");
}

}  // namespace varve::internal
