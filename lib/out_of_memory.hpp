// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <new>

#include "lib/failure_latch.hpp"
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

// Puts what the log has into memory. It must not fail half way, so a failure is latched, and what
// the next open recovers is what the log says.
template <typename Insert>
void apply_logged(FailureLatch& latch, const Insert& insert) {
  try {
    insert();
  } catch (const std::bad_alloc&) {
    const std::exception_ptr failure =
        failure_of(ErrorCode::OutOfMemory,
                   "memory ran out in the middle of a write: whether it took effect shows at the "
                   "next open; until then the index is read-only");
    latch.record(failure);
    std::rethrow_exception(failure);
  }
}

}  // namespace varve::internal
