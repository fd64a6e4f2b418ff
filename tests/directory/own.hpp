// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "directory/ownership.hpp"

namespace varve::directory {

// Owns the directory at `path`, which may be made for that.
[[nodiscard]] inline std::unique_ptr<Ownership> own(
    const std::filesystem::path& path, LockMode mode = LockMode::Exclusive,
    std::chrono::milliseconds wait = std::chrono::milliseconds{0}) {
  return acquire_posix_ownership(path, mode, wait, true, false);
}

}  // namespace varve::directory
