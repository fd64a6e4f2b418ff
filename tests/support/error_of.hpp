// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "tests/support/catch.hpp"
#include "varve/error.hpp"

namespace varve::test {

// The code of the Error that `call` throws; nullopt: none.
template <typename Call>
[[nodiscard]] std::optional<ErrorCode> error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

// The Error that `call` throws; without one the test fails here.
template <typename Call>
[[nodiscard]] Error thrown_by(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  FAIL("an Error was expected");
  return Error(ErrorCode::Io, "");
}

}  // namespace varve::test
