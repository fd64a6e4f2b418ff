// SPDX-License-Identifier: Apache-2.0
// varve_crash_soak [--seconds N] [--seed S]: crash sweeps over scenarios, options and outcomes
// drawn at random, for as long as one likes.
#include <cstdint>
#include <iostream>
#include <random>
#include <span>

#include "tests/crash/crash_sweep.hpp"
#include "tests/crash/drawn_scenario.hpp"
#include "tests/crash/soak.hpp"

namespace varve::test {
namespace {

using Random = std::mt19937_64;

std::uint64_t below(Random& random, std::uint64_t limit) {
  return random() % limit;
}

SweepReport sweep_scenario(std::uint64_t seed) {
  Random random(seed);
  SweepOptions options;
  options.seed = random();
  options.states_per_moment = 4 + below(random, 60);
  options.crash_again_every = 100 + below(random, 400);
  options.crash_thrice_every = 200;
  return sweep_crashes(Script(draw_scenario(seed), options.seed), options);
}

int soak(std::span<const char* const> arguments) {
  SweepReport all;
  const auto scenario = [&](std::uint64_t seed) {
    all.add(sweep_scenario(seed));
    return all.problem;
  };
  const Soak soak{"varve_crash_soak", scenario, [&] { return to_string(all); },
                  [&] { tell_reached(all); }};
  return run_soak(soak, arguments, std::cout, std::cerr);
}

}  // namespace
}  // namespace varve::test

int main(int argc, char** argv) {
  return varve::test::soak(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
}
