// SPDX-License-Identifier: Apache-2.0
// The whole engine under power loss and process death at every step that it takes on the medium.
//
// Method: run a scenario once on a simulated file system and count its steps; then run it once per
// step with the power cut there, put the medium into a state that power loss may legally leave,
// recover, and compare with the history: the index must hold a prefix of it that is no shorter than
// what was made durable, and must go on working.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/crash/history.hpp"
#include "tests/support/catch.hpp"

namespace varve::test {
namespace {

using directory::PowerCut;
using directory::RebootPolicy;
using directory::SimulatedFileSystem;

struct Scenario {
  const char* name;
  Durability durability = Durability::Process;
  std::uint64_t operations = 0;
  std::uint64_t flush_every = 0, compact_every = 0, sync_every = 0, reopen_every = 0;
};

// How far a run came before the power failed.
struct Reached {
  std::uint64_t issued = 0, acked = 0, durable = 0;
};

Options scenario_options() {
  Options options = tiny_options();
  options.tuning.log_file_size = 64 << 10;
  return options;
}

SegmentIndex open_on(const std::shared_ptr<SimulatedFileSystem>& medium) {
  return internal::SegmentIndexAccess::open(directory::make_posix_directory(medium),
                                            scenario_options());
}

// Runs the scenario from operation `first` on until its end or the power cut.
Reached run(const Scenario& scenario, const History& history,
            const std::shared_ptr<SimulatedFileSystem>& medium) {
  Reached reached;
  const WriteOptions write{.durability = scenario.durability};
  const auto due = [](std::uint64_t every, std::uint64_t number) {
    return every != 0 && (number + 1) % every == 0;
  };
  try {
    SegmentIndex index = open_on(medium);
    for (std::uint64_t number = 0; number < scenario.operations; ++number) {
      reached.issued = number + 1;
      history.apply(number, index, write);
      reached.acked = number + 1;
      if (scenario.durability == Durability::Synced) reached.durable = number + 1;
      if (due(scenario.flush_every, number)) {
        index.flush();
        reached.durable = number + 1;
      }
      if (due(scenario.sync_every, number)) {
        index.sync();
        reached.durable = number + 1;
      }
      if (due(scenario.compact_every, number)) index.compact();
      if (due(scenario.reopen_every, number)) {
        index.close();
        reached.durable = number + 1;
        index = open_on(medium);
      }
    }
    index.close();
    reached.durable = scenario.operations;
  } catch (const PowerCut&) {  // What was to happen.
  }
  return reached;
}

// Recovers and says what is wrong; empty: nothing.
std::string verify(const std::shared_ptr<SimulatedFileSystem>& medium, const History& history,
                   std::uint64_t least, std::uint64_t most) {
  try {
    SegmentIndex index = open_on(medium);
    const Model found = contents(index);
    Model model;
    std::uint64_t applied = 0;
    std::string closest;
    while (true) {
      if (applied >= least) {
        const std::string what = difference(model, found);
        if (what.empty()) break;
        if (closest.empty()) closest = what;
      }
      if (applied == most) return "no legal state: " + closest;
      history.apply(applied++, model);
    }
    // It must also go on: write, flush, and be there again.
    for (std::uint64_t i = 0; i < 20; ++i) {
      history.apply(1'000'000 + i, index);
      history.apply(1'000'000 + i, model);
    }
    index.compact();
    index.close();
    index = open_on(medium);
    return difference(model, contents(index));
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
}

void sweep(const Scenario& scenario, std::uint64_t stride) {
  const History history(scenario.operations);
  const auto uncut = std::make_shared<SimulatedFileSystem>();
  const Reached whole = run(scenario, history, uncut);
  REQUIRE(whole.acked == scenario.operations);
  const std::uint64_t steps = uncut->step_count();
  REQUIRE(steps > 50);
  const std::vector<RebootPolicy> policies = directory::reboot_policies(8);
  std::uint64_t states = 0;
  for (std::uint64_t step = 0; step < steps; step += stride) {
    const auto medium = std::make_shared<SimulatedFileSystem>();
    medium->cut_power_at(step);
    const Reached reached = run(scenario, history, medium);
    // A different outcome at each step, all of them over the sweep; and the mere death of the
    // process, after which nothing acknowledged may be missing.
    for (std::uint64_t i = 0; i < 2; ++i) {
      const RebootPolicy& policy = policies[(step / stride * 2 + i) % policies.size()];
      CAPTURE(scenario.name, step, reached.issued, reached.acked, reached.durable,
              static_cast<int>(policy.data), static_cast<int>(policy.names),
              static_cast<int>(policy.fill), policy.seed);
      REQUIRE(verify(medium->after_reboot(policy), history, reached.durable, reached.issued) == "");
      ++states;
    }
    CAPTURE(scenario.name, step, reached.issued, reached.acked, reached.durable);
    const std::uint64_t least =
        scenario.durability == Durability::Buffered ? reached.durable : reached.acked;
    REQUIRE(verify(medium->after_kill(), history, least, reached.issued) == "");
    ++states;
  }
  WARN(scenario.name << ": " << steps << " steps, " << states << " states after a crash");
}

}  // namespace

TEST_CASE("a crash at any step leaves a prefix of the history no shorter than what was durable",
          "[crash][power]") {
  const Scenario scenario = GENERATE(
      Scenario{.name = "load with the log, flushes and compactions as they fall due",
               .operations = 3000},
      Scenario{.name = "synced writes", .durability = Durability::Synced, .operations = 60},
      Scenario{.name = "buffered writes", .durability = Durability::Buffered, .operations = 800},
      Scenario{.name = "flush and compact by hand",
               .operations = 400,
               .flush_every = 60,
               .compact_every = 170},
      Scenario{.name = "sync now and then", .operations = 700, .sync_every = 90},
      Scenario{.name = "close and reopen", .operations = 300, .reopen_every = 70});
  sweep(scenario, 1);
}

}  // namespace varve::test
