// SPDX-License-Identifier: Apache-2.0
// varve_fault_soak [--seconds N] [--seed S]: fault sweeps over scenarios and options drawn at
// random, for as long as one likes. Of each scenario a sample of its failing calls.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <span>

#include "tests/crash/drawn_scenario.hpp"
#include "tests/crash/fault_sweep.hpp"
#include "tests/crash/soak.hpp"
#include "tests/support/longer_run.hpp"

namespace varve::test {
namespace {

constexpr std::size_t kStepsMax = 10;  // Each call of a scenario means up to 28 runs of it.

Scenario draw_fault_scenario(std::uint64_t seed) {
  Scenario scenario = draw_scenario(seed);
  scenario.steps.resize(std::min(scenario.steps.size(), kStepsMax));
  // A run is made again up to a call: that call must come again, so nothing is left to threads.
  const auto by_hand = [](std::function<void(Options&)> draw) {
    return [draw](Options& options) {
      if (draw) draw(options);
      if (options.access == Access::Concurrent) options.tuning.inline_maintenance = false;
    };
  };
  scenario.options = by_hand(scenario.options);
  if (scenario.other_options) scenario.other_options = by_hand(scenario.other_options);
  return scenario;
}

int soak(std::span<const char* const> arguments) {
  FaultReport all;
  const auto scenario = [&](std::uint64_t seed) {
    all.add(sweep_faults(Script(draw_fault_scenario(seed), seed),
                         {.seed = seed, .stride = 1 + seed % 40}));
    return all.problem;
  };
  const Soak soak{"varve_fault_soak", scenario, [&] { return to_string(all); },
                  [&] { tell_reached(all.points, "failing calls"); }};
  return run_soak(soak, arguments, std::cout, std::cerr);
}

}  // namespace
}  // namespace varve::test

int main(int argc, char** argv) {
  return varve::test::soak(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
}
