// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

#include "stress/plan.hpp"

namespace varve::stress {

// The process that is killed: opens the store by its plan, and works on it with all its threads
// until it is told to stop, or dies.
struct WorkerArguments {
  std::filesystem::path store, expected;
  CyclePlan plan;
};
// The exit status: 0 when it was told to stop and closed; kWorkerObstacle when the machine would
// not go on; 1 otherwise, having told the problem in the expected state.
inline constexpr int kWorkerObstacle = 74;
[[nodiscard]] int run_worker(const WorkerArguments& arguments);

}  // namespace varve::stress
