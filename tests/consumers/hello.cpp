// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "varve/error.hpp"
#include "varve/version.hpp"

int main() {
  try {
    throw varve::Error(varve::ErrorCode::NotFound, "nothing");
  } catch (const varve::Error& error) {
    std::cout << varve::version() << ": " << error.what() << '\n';
  }
  return varve::version() == VARVE_VERSION_STRING ? 0 : 1;
}
