// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bench/engine.hpp"
#include "bench/workload.hpp"

namespace varve::bench {

struct Result {
  std::uint32_t repeat = 0;
  std::string engine, workload;
  Measurement measurement;
};

struct Failure {
  std::uint32_t repeat = 0;
  std::string engine, message;
};

struct Run {
  std::vector<Result> results;
  std::vector<Failure> failures;
};

// A workload's name and its number of threads, if it knows threads.
[[nodiscard]] std::string label(const std::string& workload, std::uint32_t thread_count);

// Runs every engine once per plan and repeat, in an order that moves on by one each repeat, each
// session in a process of its own: memory, bytes written and processor time are then the engine's
// alone, and a crash ends one session only. Progress goes to stderr. Requires: a single-threaded
// caller.
[[nodiscard]] Run run_all(const std::vector<EngineKind>& engines, const Settings& settings,
                          std::uint32_t repeat_count, const std::filesystem::path& scratch);

}  // namespace varve::bench
