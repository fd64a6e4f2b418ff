// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "bench/engine.hpp"
#include "bench/record.hpp"
#include "bench/workload.hpp"

namespace varve::bench {

// What is run once per repeat with every engine: settings, and what of them is varied.
struct RunPoint {
  ScalePoint point;
  Settings settings;
  bool own_engines_only = false;  // What is varied is an option of Varve's.
};

// What comes before each session. A machine may hand out memory that was freed a moment ago much
// faster than any other, and then the engine that comes behind one that had more files would be
// ahead: after a while all memory is slow, and after somebody has touched it all is fast.
struct Pause {
  std::chrono::seconds settle{0};
  std::uint64_t warm_memory_size = 0;  // Bytes; see warm_memory().
};

struct RunOutcome {
  std::vector<Result> results;
  std::vector<Failure> failures;
};

// Runs every engine once per plan, point and repeat, in an order that moves on by one each repeat,
// each session in a process of its own: memory, bytes written and processor time are then the
// engine's alone, and a crash ends one session only. Progress goes to stderr. Requires: a
// single-threaded caller.
[[nodiscard]] RunOutcome run_all(const std::vector<EngineKind>& engines,
                                 const std::vector<RunPoint>& points, std::uint32_t repeat_count,
                                 const Pause& pause, const std::filesystem::path& scratch);

}  // namespace varve::bench
