// SPDX-License-Identifier: Apache-2.0
#include "directory/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace varve::directory {

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "varve: bug: %s does not hold at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace varve::directory
