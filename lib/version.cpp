// SPDX-License-Identifier: Apache-2.0
#include "varve/version.hpp"

namespace varve {

std::string_view version() noexcept {
  return VARVE_VERSION_STRING;
}

}  // namespace varve
