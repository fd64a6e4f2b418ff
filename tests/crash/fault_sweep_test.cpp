// SPDX-License-Identifier: Apache-2.0
// The whole engine under failing calls of the operating system: every call, with every kind of
// error, alone and for good; see fault_sweep.hpp for the method and the two lists of exceptions.
#include "tests/crash/fault_sweep.hpp"

#include <vector>

#include "tests/crash/scenarios.hpp"
#include "tests/support/catch.hpp"

namespace varve::test {
namespace {

void sweep(const std::vector<Scenario>& scenarios) {
  FaultReport all;
  for (const Scenario& scenario : scenarios) {
    const Script script(scenario);
    const FaultReport report = sweep_faults(script, {});
    CHECK(report.problem == "");
    CHECK(report.surfaced > 0);
    WARN(scenario.name << ": " << to_string(report));
    all.add(report);
  }
  WARN(scenarios.size() << " scenarios: " << to_string(all));
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
