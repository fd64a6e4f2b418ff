// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "lib/core.hpp"
#include "lib/index.hpp"

namespace varve::internal {

// The index of the core's access mode: for Bare and Synchronized the engine behind a gate.
[[nodiscard]] std::shared_ptr<Index> make_index(std::unique_ptr<Core> core);

}  // namespace varve::internal
