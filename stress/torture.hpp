// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stress/figures.hpp"
#include "stress/run.hpp"

namespace varve::stress {

struct TortureOptions : RunOptions {
  std::vector<std::string> command;  // The program and its arguments.
  std::uint32_t run_ms_max = 1000;   // Between its start and its kill.
};

// The same to a user's own program. Cycles of: start it in phase "run", kill it somewhere, check
// every index that it has left, start it in phase "verify", which must exit with 0, check again.
// docs/TESTING.md has the interface.
// Errors: Obstacle; a mismatch is Figures::problem.
[[nodiscard]] Figures run_torture(const TortureOptions& options);

}  // namespace varve::stress
