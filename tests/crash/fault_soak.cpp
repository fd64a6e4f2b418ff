// SPDX-License-Identifier: Apache-2.0
// varve_fault_soak [--seconds N] [--seed S]: fault sweeps over scenarios and options drawn at
// random, for as long as one likes. Of each scenario a sample of its failing calls.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <string>
#include <string_view>

#include "tests/crash/drawn_scenario.hpp"
#include "tests/crash/fault_sweep.hpp"
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

int soak(double seconds, std::uint64_t seed) {
  const auto start = std::chrono::steady_clock::now();
  const auto spent = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  FaultReport all;
  std::uint64_t count = 0;
  while ((count == 0 || spent() < seconds) && all.problem.empty()) {
    const std::uint64_t of_scenario = seed + count;
    all.add(sweep_faults(Script(draw_fault_scenario(of_scenario), of_scenario),
                         {.seed = of_scenario, .stride = 1 + of_scenario % 40}));
    ++count;
  }
  std::printf("%llu scenarios from seed %llu: %s\n", static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(seed), to_string(all).c_str());
  tell_reached(all.points, "failing calls");
  if (all.problem.empty()) return EXIT_SUCCESS;
  std::printf("PROBLEM: %s\n", all.problem.c_str());
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace varve::test

int main(int argc, char** argv) try {
  double seconds = 60;
  std::uint64_t seed = std::random_device{}();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view argument = argv[i];
    if (argument == "--seconds") seconds = std::stod(argv[i + 1]);
    if (argument == "--seed") seed = std::stoull(argv[i + 1]);
  }
  return varve::test::soak(seconds, seed);
} catch (const std::exception& error) {
  std::fprintf(stderr, "varve_fault_soak: %s\n", error.what());
  return EXIT_FAILURE;
}
