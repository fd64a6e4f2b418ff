// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace varve::test {

struct KillLoopOptions {
  std::filesystem::path directory;  // Exists; the index is made in it.
  std::uint64_t seed = 1;
  std::uint64_t cycles = 200;
  double seconds = 0;  // When not 0: as many cycles as fit, `cycles` is ignored.
  std::uint64_t operations_per_cycle_max = 1500;
  bool verbose = false;
};
struct KillLoopReport {
  std::uint64_t cycles = 0, kills = 0, operations = 0, replayed = 0;
  std::string problem;  // Empty: nothing acknowledged was ever lost, nothing wrong ever read.
};

// Runs a writer in a child process, kills it with SIGKILL at an arbitrary moment, reopens the index
// here and compares it with the history; again and again on the same index, with options drawn anew
// in each cycle. What the child acknowledged it notes in shared memory, which outlives it.
//
//   issued   operations that were begun         acked   of these, returned
//   legal after a kill: the state after `acked` operations, or after `issued` (one more at most)
//
// Buffered cycles may fall back to any state since the child's last flush.
[[nodiscard]] KillLoopReport run_kill_loop(const KillLoopOptions& options);

}  // namespace varve::test
