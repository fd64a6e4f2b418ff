// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "lib/core.hpp"
#include "lib/index.hpp"

namespace varve::internal {

// The engine behind the gate of its access mode (Options::access: Bare or Synchronized).
[[nodiscard]] std::shared_ptr<Index> make_index(std::unique_ptr<Core> core);

}  // namespace varve::internal
