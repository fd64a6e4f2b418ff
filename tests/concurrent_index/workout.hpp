// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "varve/options.hpp"

namespace varve::test {

struct WorkoutOptions {
  std::filesystem::path directory;  // Must not hold an index.
  Access access = Access::Synchronized;
  Reads reads = Reads::Mapped;
  std::uint64_t seed = 1;
  std::uint32_t thread_count = 4;
  std::uint64_t calls_per_thread = 1000;
  bool close_midway = false;  // Another thread closes the index while calls are under way.
};

struct WorkoutReport {
  std::string problem;  // Empty: none.
  std::uint64_t call_count = 0, refused_count = 0, invalidated_count = 0;
  std::uint32_t closed_count = 0;                     // Threads that found the index closed.
  std::uint64_t operation_count = 0, view_count = 0;  // What the checkers had before them.
  std::uint64_t flush_count = 0, compaction_count = 0, split_count = 0, merge_count = 0;
};

// Threads do random calls of every kind on one index with the smallest sizes; then it is closed,
// checked deep and opened again, and everything is read. Every answer must fit into a linearizable
// history, those after the reopening included, and every view of many keys must be one moment.
// The choices of each thread are the same whenever the seed is; how they interleave is not.
[[nodiscard]] WorkoutReport run_workout(const WorkoutOptions& options);

}  // namespace varve::test
