// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "directory/directory.hpp"
#include "lib/check_files.hpp"
#include "varve/check.hpp"

namespace varve::internal {

// varve::check() on any Directory: what is there is read and compared, nothing is changed.
// Errors: NotFound, Locked, Io (the directory itself cannot be read).
[[nodiscard]] CheckReport check_directory(directory::Directory& directory,
                                          const CheckOptions& options,
                                          Holder holder = Holder::Check);
// varve::check_log() likewise.
LogReport check_directory_log(directory::Directory& directory,
                              const std::function<void(const LogRecordInfo&)>& visit,
                              const CheckOptions& options);

}  // namespace varve::internal
