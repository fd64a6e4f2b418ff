// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "varve/export.hpp"

// The version of these headers. Configuring fails when they differ from CMakeLists.txt.
#define VARVE_VERSION_MAJOR 0
#define VARVE_VERSION_MINOR 1
#define VARVE_VERSION_PATCH 0
#define VARVE_VERSION_STRING "0.1.0"
// One number for comparisons: 0.1.0 is 100, 0.10.2 is 1002, 1.0.0 is 10000.
#define VARVE_VERSION \
  (VARVE_VERSION_MAJOR * 10000 + VARVE_VERSION_MINOR * 100 + VARVE_VERSION_PATCH)

namespace varve {

// The version of the library that is linked, which may be newer than these headers: "0.1.0".
// Thread-safety: any.
[[nodiscard]] VARVE_EXPORT std::string_view version() noexcept;

}  // namespace varve
