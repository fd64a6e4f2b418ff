// SPDX-License-Identifier: Apache-2.0
// varve_crash_soak [--seconds N] [--seed S]: crash sweeps over scenarios, options and outcomes
// drawn at random, for as long as one likes.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <string>
#include <string_view>

#include "tests/crash/crash_sweep.hpp"
#include "tests/crash/drawn_scenario.hpp"

namespace varve::test {
namespace {

using Random = std::mt19937_64;

std::uint64_t below(Random& random, std::uint64_t limit) {
  return random() % limit;
}

int soak(double seconds, std::uint64_t seed) {
  const auto start = std::chrono::steady_clock::now();
  const auto spent = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  SweepReport all;
  std::uint64_t count = 0;
  while (spent() < seconds && all.problem.empty()) {
    Random random(seed + count);
    SweepOptions options;
    options.seed = random();
    options.states_per_moment = 4 + below(random, 60);
    options.crash_again_every = 100 + below(random, 400);
    options.crash_thrice_every = 200;
    all.add(sweep_crashes(Script(draw_scenario(seed + count), options.seed), options));
    ++count;
  }
  std::printf("%llu scenarios from seed %llu: %s\n", static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(seed), to_string(all).c_str());
  tell_reached(all);
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
  std::fprintf(stderr, "varve_crash_soak: %s\n", error.what());
  return EXIT_FAILURE;
}
