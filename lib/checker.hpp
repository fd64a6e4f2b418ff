// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>

#include "directory/directory.hpp"
#include "varve/check.hpp"

namespace varve::internal {

// varve::check() on any Directory: what is there is read and compared, nothing is changed.
// Errors: NotFound, Locked, Io (the directory itself cannot be read).
[[nodiscard]] CheckReport check_directory(directory::Directory& directory,
                                          const CheckOptions& options);
// varve::check_log() likewise.
LogReport check_directory_log(directory::Directory& directory,
                              const std::function<void(const LogRecordInfo&)>& visit,
                              std::chrono::milliseconds lock_wait);

}  // namespace varve::internal
