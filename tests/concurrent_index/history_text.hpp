// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/call_history.hpp"

namespace varve::test {

// A history drawn by hand, one line per thread, time from left to right, a character a moment:
//
//   "[put 1 ]   [get 2]"     calls from '[' to ']' by thread 0
//   "     [put 2 ... "       a call without ']' never returned
//
// Words: put N, erase, get N, has, hasnt; N = 0 means nothing. All on one key. A call that is too
// short for its words is written wider: only the order of the brackets counts.
[[nodiscard]] inline CallHistory drawn(const std::vector<std::string>& lines, KeyNumber key = 0) {
  CallHistory history;
  for (std::size_t thread = 0; thread < lines.size(); ++thread) {
    const std::string& line = lines[thread];
    for (std::size_t at = line.find('['); at != std::string::npos; at = line.find('[', at + 1)) {
      Operation operation{.thread = static_cast<std::uint32_t>(thread), .key = key};
      const std::size_t end = line.find(']', at);
      operation.invoked = at + 1;
      operation.returned = end == std::string::npos ? kNever : end + 1;
      std::istringstream words(line.substr(at + 1, end == std::string::npos ? end : end - at - 1));
      std::string kind;
      words >> kind;
      using enum Operation::Kind;
      operation.kind = kind == "put"     ? Put
                       : kind == "erase" ? Erase
                       : kind == "get"   ? Get
                                         : Contains;
      if (operation.kind == Contains) {
        operation.value = kind == "has" ? kPresent : kAbsent;
      } else if (operation.kind != Erase) {
        words >> operation.value;
      }
      history.push_back(operation);
    }
  }
  return history;
}

}  // namespace varve::test
