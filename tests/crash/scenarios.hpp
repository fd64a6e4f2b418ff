// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tests/crash/scenario.hpp"

namespace varve::test {

// The table of scenarios of the whole engine, by what they are about. They are tiny histories: a
// state must be recovered, checked and compared in about a millisecond. Where segments split,
// values are large instead, so that a few dozen writes suffice.
[[nodiscard]] std::vector<Scenario> write_scenarios();
[[nodiscard]] std::vector<Scenario> merge_scenarios();
[[nodiscard]] std::vector<Scenario> split_scenarios();
[[nodiscard]] std::vector<Scenario> log_scenarios();
[[nodiscard]] std::vector<Scenario> reader_scenarios();
[[nodiscard]] std::vector<Scenario> life_cycle_scenarios();
[[nodiscard]] std::vector<Scenario> recovery_scenarios();
[[nodiscard]] std::vector<Scenario> access_scenarios();
[[nodiscard]] std::vector<Scenario> all_scenarios();
// Short ones, which run once per call that fails.
[[nodiscard]] std::vector<Scenario> fault_scenarios();
[[nodiscard]] std::vector<Scenario> open_fault_scenarios();

}  // namespace varve::test
