// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <random>
#include <string>

#include "tests/concurrent_index/workout.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/longer_run.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/options.hpp"

namespace varve::test {
namespace {

// The modes that promise any thread. A mode joins by its line here.
Access access() {
  return GENERATE(Access::Synchronized, Access::Concurrent);
}

// VARVE_STRESS_SEED=N repeats the choices of a run, VARVE_STRESS_FACTOR=N makes it N times as long.
WorkoutReport work(WorkoutOptions options) {
  const TemporaryDirectory temporary;
  options.directory = temporary.path() / "index";
  options.calls_per_thread *= setting("VARVE_STRESS_FACTOR", 1);
  CAPTURE(options.seed, options.thread_count, to_string(options.access));
  WorkoutReport report = run_workout(options);
  REQUIRE(report.problem == "");
  tell_reached(1, "histories");
  return report;
}

}  // namespace

TEST_CASE("many threads with every call leave a linearizable history", "[concurrent][stress]") {
  WorkoutOptions options;
  options.access = access();
  options.thread_count = GENERATE(2U, 4U, 8U);
  options.reads = options.thread_count == 4 ? Reads::Buffered : Reads::Mapped;
  options.seed = setting("VARVE_STRESS_SEED", std::random_device()());
  options.calls_per_thread = 4000 / options.thread_count;
  const WorkoutReport report = work(options);
  // The workout is one only if everything was going on meanwhile.
  CHECK(report.flush_count > 5);
  CHECK(report.compaction_count > 5);
  CHECK(report.split_count > 2);
  CHECK(report.view_count > 200);
}

TEST_CASE("a call beside close() finishes or finds the index closed", "[concurrent][stress]") {
  WorkoutOptions options;
  options.access = access();
  options.close_midway = true;
  options.calls_per_thread = 300;
  const std::uint64_t seed = setting("VARVE_STRESS_SEED", std::random_device()());
  std::uint32_t closed_count = 0;
  for (std::uint64_t round = 0; round < 8; ++round) {
    options.seed = seed + round;
    closed_count += work(options).closed_count;
  }
  CHECK(closed_count > 0);
}

}  // namespace varve::test
