// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>

#include "varve/error.hpp"

namespace varve::internal {

// A failure to be latched where memory has run out: an Error that says so, or the std::bad_alloc
// that came of making one.
[[nodiscard]] inline std::exception_ptr failure_of(ErrorCode code, const char* message) noexcept {
  try {
    throw Error(code, message);
  } catch (const std::exception&) {
    return std::current_exception();
  }
}

}  // namespace varve::internal
