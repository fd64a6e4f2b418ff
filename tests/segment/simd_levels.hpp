// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segment/cpu.hpp"

namespace varve::segment::test {

// All that this machine can run, the scalar one first.
[[nodiscard]] inline std::vector<SimdLevel> levels_here() {
  std::vector<SimdLevel> levels;
  for (int level = 0; level <= static_cast<int>(simd_level()); ++level) {
    levels.push_back(static_cast<SimdLevel>(level));
  }
  return levels;
}

}  // namespace varve::segment::test
