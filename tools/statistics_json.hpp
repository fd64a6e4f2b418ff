// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "varve/statistics.hpp"

namespace varve::tools {

// What the segments' figures add up to.
struct SegmentTotals {
  std::uint64_t run_count = 0, delta_run_count = 0;
  std::uint64_t main_runs_size = 0, delta_runs_size = 0;
  std::uint64_t run_entry_count = 0, memory_entry_count = 0;
  std::uint32_t run_count_max = 0;  // Of one segment.
};
[[nodiscard]] SegmentTotals segment_totals(const Statistics& figures);

// Runs that a get may have to look into before filters: the average over the segments, memory not
// counted.
[[nodiscard]] double read_amplification(const Statistics& figures);
// All runs over the main runs: what superseded entries and tombstones may cost. 0: no main run.
[[nodiscard]] double space_amplification(const Statistics& figures);

// `with_segments`: also one object for each.
[[nodiscard]] nlohmann::ordered_json statistics_json(const Statistics& figures, bool with_segments);

}  // namespace varve::tools
