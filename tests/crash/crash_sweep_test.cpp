// SPDX-License-Identifier: Apache-2.0
// The whole engine under power loss and the death of its process, at every step that it takes on
// the medium and between any two calls; see crash_sweep.hpp for the method, scenarios.cpp for what
// is run, write_plan.hpp for what is legal.
#include "tests/crash/crash_sweep.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/crash/scenarios.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/longer_run.hpp"

namespace varve::test {
namespace {

// VARVE_SWEEP_FACTOR=10: ten times as many states of each moment. VARVE_SWEEP_SEED=7: others.
std::size_t factor() {
  return std::max<std::size_t>(1, setting("VARVE_SWEEP_FACTOR", 1));
}
std::uint64_t seed() {
  return setting("VARVE_SWEEP_SEED", 1);
}

void tell(std::size_t scenario_count, const SweepReport& report) {
  WARN(scenario_count << " scenarios: " << to_string(report));
  tell_reached(report);
}

void sweep(const std::vector<Scenario>& scenarios) {
  SweepReport all;
  for (const Scenario& scenario : scenarios) {
    const Script script(scenario);
    SweepOptions options;
    options.seed = seed();
    options.states_per_moment *= factor();
    const SweepReport report = sweep_crashes(script, options);
    CHECK(report.problem == "");
    CAPTURE(scenario.name);
    for (const Expectation& expectation : scenario.expectations) {
      CAPTURE(to_string(expectation.figure), expectation.least, expectation.most);
      const auto at = report.figures.find(expectation.figure);
      const std::uint64_t value = at == report.figures.end() ? 0 : at->second;
      CHECK(value >= expectation.least);
      CHECK(value <= expectation.most);
    }
    CHECK(report.steps >= 10);
    WARN(scenario.name << ": " << to_string(report));
    all.add(report);
  }
  tell(scenarios.size(), all);
}

// Crashes inside the recovery from a crash, and inside the recovery from that.
SweepReport sweep_again(const std::vector<Scenario>& scenarios) {
  SweepReport all;
  for (const Scenario& scenario : scenarios) {
    SweepOptions options;
    options.seed = seed() + 1;
    options.states_per_moment = 2;
    options.stride = 3;
    options.states_per_nested_moment = 4;
    options.crash_again_every = std::max<std::size_t>(1, 60 / factor());
    options.crash_thrice_every = std::max<std::size_t>(1, 100 / factor());
    const SweepReport report = sweep_crashes(Script(scenario), options);
    CHECK(report.problem == "");
    WARN(scenario.name << ": " << to_string(report));
    all.add(report);
  }
  tell(scenarios.size(), all);
  return all;
}

}  // namespace

TEST_CASE("a crash amid writes leaves a prefix of them", "[crash][power]") {
  sweep(write_scenarios());
}
TEST_CASE("a crash amid flushes and merges leaves a prefix of the writes", "[crash][power]") {
  sweep(merge_scenarios());
}
TEST_CASE("a crash amid splits and merges of neighbours leaves a prefix of the writes",
          "[crash][power]") {
  sweep(split_scenarios());
}
TEST_CASE("a crash amid changes of the log leaves a prefix of the writes", "[crash][power]") {
  sweep(log_scenarios());
}
TEST_CASE("a crash while readers hold old versions leaves a prefix of the writes",
          "[crash][power]") {
  sweep(reader_scenarios());
}
TEST_CASE("a crash amid opening and closing leaves a prefix of the writes", "[crash][power]") {
  sweep(life_cycle_scenarios());
}
TEST_CASE("a crash amid recovery leaves a prefix of the writes", "[crash][power]") {
  sweep(recovery_scenarios());
}
TEST_CASE("a crash in any access mode leaves a prefix of the writes", "[crash][power]") {
  sweep(access_scenarios());
}

TEST_CASE("a crash in the recovery from a crash changes nothing that it would have found",
          "[crash][power]") {
  const SweepReport report = sweep_again(all_scenarios());
  CHECK(report.nested > 10000);
  CHECK(report.nested_3 > 2000);
}

}  // namespace varve::test
