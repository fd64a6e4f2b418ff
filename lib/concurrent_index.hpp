// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "lib/core.hpp"
#include "lib/index.hpp"

namespace varve::internal {

// The index of Access::Concurrent: reads without locks, one writer per segment, maintenance in the
// background. Requires: a core with Concurrency.
[[nodiscard]] std::shared_ptr<Index> make_concurrent_index(std::unique_ptr<Core> core);

}  // namespace varve::internal
