// SPDX-License-Identifier: Apache-2.0
// The whole engine under failing calls of the operating system: every call, with every kind of
// error, alone and for good; see fault_sweep.hpp for the method and the two lists of exceptions.
#include "tests/crash/fault_sweep.hpp"

#include <vector>

#include "tests/crash/scenarios.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/longer_run.hpp"

namespace varve::test {
namespace {

// VARVE_SWEEP_SEED=7: other keys and values, and other ends of each run.
void sweep(const std::vector<Scenario>& scenarios) {
  const std::uint64_t seed = setting("VARVE_SWEEP_SEED", 1);
  FaultReport all;
  for (const Scenario& scenario : scenarios) {
    const Script script(scenario, seed);
    const FaultReport report = sweep_faults(script, {.seed = seed});
    CHECK(report.problem == "");
    CHECK(report.surfaced > 0);
    WARN(scenario.name << ": " << to_string(report));
    all.add(report);
  }
  WARN(scenarios.size() << " scenarios: " << to_string(all));
  tell_reached(all.points, "failing calls");
}

}  // namespace

TEST_CASE("every failing call in writes and merges shows and loses nothing", "[crash][fault]") {
  sweep(fault_scenarios());
}
TEST_CASE("every failing call beside readers, at opening and in recovery shows and loses nothing",
          "[crash][fault]") {
  sweep(open_fault_scenarios());
}

}  // namespace varve::test
