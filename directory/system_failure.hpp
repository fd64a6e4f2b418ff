// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include "varve/error.hpp"

namespace varve::directory {

// The Error for a call that the operating system refused:
//   ENOENT NotFound | EEXIST AlreadyExists | ENOSPC, EDQUOT NoSpace | EROFS ReadOnly |
//   ENOMEM OutOfMemory | everything else Io
// `operation` completes "cannot ...", e.g. "sync".
[[nodiscard]] Error system_failure(int error_number, std::string_view operation,
                                   const std::filesystem::path& path);
// The AlreadyExists for a new file whose name something has.
[[nodiscard]] Error taken_name(const std::filesystem::path& path);

}  // namespace varve::directory
