// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/drawn_scenario.hpp"

#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

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

}  // namespace

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

}  // namespace varve::test
