// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "varve/options.hpp"

namespace varve::test {

// Everything as small as it may be, so that a few hundred writes flush, compact, split and merge.
[[nodiscard]] inline Options tiny_options() {
  Options options;
  options.memory_budget = 256 << 10;
  options.tuning.segment_size = 64 << 10;
  options.tuning.block_size = 512;
  options.tuning.log_file_size = 64 << 10;
  return options;
}

}  // namespace varve::test
