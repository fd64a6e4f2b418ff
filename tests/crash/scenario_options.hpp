// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "varve/options.hpp"

namespace varve::test {

// Delta runs pile up instead of going into the main run.
inline void piling_up(Options& options) {
  options.tuning.compaction_ratio = 4;
  options.tuning.tier_fanout = 16;
  options.tuning.delta_runs_max = 64;
}
inline void two_of_a_tier(Options& options) {
  options.tuning.compaction_ratio = 4;
  options.tuning.tier_fanout = 2;
  options.tuning.delta_runs_max = 64;
}
inline void much_memory(Options& options) {
  options.memory_budget = 1 << 20;
}
inline void much_memory_piling_up(Options& options) {
  piling_up(options);
  much_memory(options);
}
inline void by_hand(Options& options) {
  piling_up(options);
  options.tuning.inline_maintenance = false;
}

}  // namespace varve::test
