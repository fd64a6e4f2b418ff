// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "varve/statistics.hpp"

namespace varve::tools {

// Each owner's bytes and their sum.
[[nodiscard]] nlohmann::ordered_json memory_json(const MemoryStatistics& figures);
// Sizes in bytes, times as the names say. `with_segments`: also one object for each.
[[nodiscard]] nlohmann::ordered_json statistics_json(const Statistics& figures, bool with_segments);

}  // namespace varve::tools
