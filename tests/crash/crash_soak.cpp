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
#include <vector>

#include "tests/crash/crash_sweep.hpp"

namespace varve::test {
namespace {

using Random = std::mt19937_64;

std::uint64_t below(Random& random, std::uint64_t limit) {
  return random() % limit;
}

Step draw_step(Random& random, std::uint32_t size) {
  using enum Step::Kind;
  static constexpr Step::Kind kWrites[] = {Load,  Load,  Append, Overwrite,  Overwrite,
                                           Erase, Batch, Batch,  EraseRange, EraseAll};
  // What is held may be dropped without having been held; but not be held twice.
  static constexpr Step::Kind kOthers[] = {Sync,  Flush,    Flush,  Compact,      Maintain,  Read,
                                           Check, ReadOnly, Reopen, DropSnapshot, DropCursor};
  if (below(random, 3) == 0) {
    return {.kind = kOthers[below(random, std::size(kOthers))]};
  }
  Step step{.kind = kWrites[below(random, std::size(kWrites))]};
  const bool rare = step.kind == EraseAll || step.kind == EraseRange;
  step.count = static_cast<std::uint32_t>(1 + below(random, rare ? 1 : 16));
  step.size = size;
  const std::uint64_t durability = below(random, 8);
  step.durability = durability == 0   ? Durability::Buffered
                    : durability == 1 ? Durability::Synced
                                      : Durability::Process;
  return step;
}

Options draw_options(Random& random, Options options) {
  options.access = static_cast<Access>(below(random, 3));
  options.memory_budget = std::size_t{256 << 10} << below(random, 3);
  options.reads = below(random, 3) == 0 ? Reads::Buffered : Reads::Mapped;
  Tuning& tuning = options.tuning;
  tuning.block_size = std::size_t{512} << below(random, 4);
  tuning.segment_size = std::size_t{64 << 10} << below(random, 2);
  tuning.log_file_size = std::size_t{64 << 10} << below(random, 2);
  tuning.filter_bits_per_key = below(random, 4) == 0 ? 0 : 12;
  tuning.compaction_ratio = below(random, 2) == 0 ? 4 : 0.5;
  tuning.tier_fanout = static_cast<std::uint32_t>(2 + below(random, 6));
  tuning.maintenance_threads = 1;
  return options;
}

Scenario draw_scenario(std::uint64_t seed) {
  Random random(seed);
  Scenario scenario;
  scenario.name = "seed " + std::to_string(seed);
  const Options drawn = draw_options(random, options_of({}));
  scenario.options = [drawn](Options& options) { options = drawn; };
  if (below(random, 2) == 0) {
    const Options other = draw_options(random, drawn);
    scenario.other_options = [other](Options& options) { options = other; };
  }
  scenario.mappable = below(random, 6) != 0;
  const std::uint32_t size = below(random, 3) == 0 ? 3000 : 40;
  const auto draw_steps = [&](std::uint64_t count) {
    std::vector<Step> steps;
    for (std::uint64_t i = 0; i < count; ++i) steps.push_back(draw_step(random, size));
    return steps;
  };
  if (below(random, 3) == 0) {
    // Of what a crash leaves, everything must have a record or be flushed.
    Before before{draw_steps(8), below(random, 2) == 0};
    before.steps.push_back({.kind = Step::Kind::Flush});
    scenario.before = std::move(before);
  }
  scenario.steps = draw_steps(6 + below(random, 14));
  return scenario;
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
