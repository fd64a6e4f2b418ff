// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/hooks.hpp"

namespace varve::test {

// Indexes that are opened meanwhile have a hot path that is always on and lets every key in, so
// that a test meets it within a few reads.
class EagerHotPath {
 public:
  explicit EagerHotPath(bool eager = true) noexcept { internal::hooks::eager_hot_path = eager; }
  EagerHotPath(const EagerHotPath&) = delete;
  EagerHotPath& operator=(const EagerHotPath&) = delete;
  ~EagerHotPath() { internal::hooks::eager_hot_path = false; }
};

}  // namespace varve::test
