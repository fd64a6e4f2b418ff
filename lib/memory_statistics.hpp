// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/core.hpp"
#include "varve/statistics.hpp"

namespace varve::internal {

// Completes figures.memory by what the core knows, once its views have been added up there: all but
// the scans, the hot path and what counts the calls.
void add_memory(const Core& core, const Manifest& manifest, Statistics& figures);

}  // namespace varve::internal
