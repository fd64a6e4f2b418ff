// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "stress/figures.hpp"
#include "stress/plan.hpp"
#include "stress/store_files.hpp"

namespace varve::stress {

// What ends a run, and where it works; for both kinds of runs.
struct RunOptions {
  double seconds = 60;
  std::uint64_t cycles = 0;  // When not 0: so many, whatever the time.
  std::uint64_t seed = 0;
  std::filesystem::path directory;  // Empty: a fresh one, removed when all is well.
  bool verbose = false;
};

struct StressOptions : RunOptions {
  Scale scale;
  std::optional<std::uint64_t> cycle_seed;  // Every cycle draws its plan from it.
  Plant plant = Plant::None;
};

// Cycles of: start a worker on the store, end it somehow, check and reopen the store, compare it
// with what the worker had noted. Messages go to the standard error.
// Errors: Obstacle; a mismatch is Figures::problem.
[[nodiscard]] Figures run_stress(const StressOptions& options);

// The directory of a run: given and kept, or fresh and removed unless keep() was called.
class RunDirectory {
 public:
  explicit RunDirectory(const std::filesystem::path& given);
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;
  ~RunDirectory();
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  void keep() noexcept { kept_ = true; }

 private:
  std::filesystem::path path_;
  bool kept_;
};

// Counts cycles, and the time since its making. Interrupts and SIGTERM end a run in order too.
class Schedule {
 public:
  explicit Schedule(const RunOptions& options);
  [[nodiscard]] bool goes_on(std::uint64_t cycles_done) const;
  [[nodiscard]] double seconds() const;

 private:
  const RunOptions& options_;
  const std::chrono::steady_clock::time_point start_;
};

}  // namespace varve::stress
