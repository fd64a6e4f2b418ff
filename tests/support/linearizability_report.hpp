// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>

#include "tests/support/call_history.hpp"

namespace varve::test {

// A read for which no order of the calls has an explanation, and what it could have given.
struct UnexplainedRead {
  Operation read;
  std::set<ValueNumber> possible;
};

// What is wrong with it, as a sentence for a person, and the calls of its key around it.
// `operations`: all calls of the read's key.
[[nodiscard]] std::string explain(const UnexplainedRead& unexplained,
                                  const CallHistory& operations);

}  // namespace varve::test
