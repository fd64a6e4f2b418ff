// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "varve/scan.hpp"

namespace varve::internal {

// A scan's effective key range and direction, once prefix, window and resume token are worked in.
struct ScanRange {
  std::string from, to;  // [from, to); `to` empty: no end.
  bool reverse = false;
  bool empty = false;
};
[[nodiscard]] ScanRange scan_range(const ScanOptions& options, const std::string& uuid);
[[nodiscard]] std::string encode_resume_token(const ScanRange& rest, const std::string& uuid);
// The smallest key that is above all keys with that prefix; empty: there is none.
[[nodiscard]] std::string prefix_end(std::string_view prefix);

// Narrows an exclusive end; empty means none.
template <typename Text>
void lower_end(Text& end, std::string_view candidate) {
  if (!candidate.empty() && (end.empty() || candidate < end)) end = candidate;
}

}  // namespace varve::internal
