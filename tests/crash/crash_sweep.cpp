// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/crash_sweep.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "lib/checker.hpp"
#include "tests/crash/recovery_probe.hpp"
#include "tests/crash/sweep_process.hpp"
#include "tests/support/longer_run.hpp"
#include "tests/support/other_thread.hpp"

namespace varve::test {
namespace {

using directory::RebootPolicy;
using Crash = LegalStates::Crash;

std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

std::string to_string(const RebootPolicy& policy) {
  return "data " + std::to_string(static_cast<int>(policy.data)) + ", names " +
         std::to_string(static_cast<int>(policy.names)) + ", fill " +
         std::to_string(static_cast<int>(policy.fill)) + ", sectors of " +
         std::to_string(policy.sector_size) + ", seed " + std::to_string(policy.seed);
}

bool due(std::uint64_t count, std::size_t every) noexcept {
  return every != 0 && count % every == 0;
}

class Sweep {
 public:
  Sweep(const Script& script, const SweepOptions& options)
      : script_(script),
        options_(options),
        run_options_(options_of(script.scenario())),
        policies_(directory::reboot_policies(24)) {}

  SweepReport run() {
    const Options& engine = run_options_;
    const bool threads = engine.access == Access::Concurrent && engine.tuning.inline_maintenance;
    try {
      ScriptRun run(script_);
      const Medium& medium = run.medium();
      medium->watch_steps([&](std::uint64_t step) { moment(run, step, true); });
      // Between calls, the engine's own threads may be in a step: that is a moment already.
      run.run([&] {
        if (!threads) moment(run, medium->step_count(), false);
      });
      medium->watch_steps({});
      if (failed()) tell_steps(medium->steps());
      report_.steps = medium->step_count();
      report_.figures = run.figures();
      expect_end(run);
    } catch (const std::exception& error) {
      fail("the run itself", error.what());
    }
    return std::move(report_);
  }

 private:
  struct State {
    Medium medium;
    Crash crash;
    std::string how;
    bool amid_step = false;  // An engine is waiting for us in the middle of a call.
  };
  // What a state must hold beyond being legal, when it came out of a recovery.
  struct Nesting {
    int depth = 1;
    std::optional<Contents> exactly;
  };

  // The first problem counts; after it, the run goes on unwatched. Nothing is thrown, because the
  // engine is between us and the test.
  void fail(const std::string& how, const std::string& what) {
    if (!report_.problem.empty()) return;
    report_.problem = script_.scenario().name + ", moment " + std::to_string(report_.moments) +
                      ", " + how + ": " + what;
    failed_step_ = step_;
  }
  // What had happened before the crash.
  void tell_steps(const std::vector<std::string>& steps) {
    report_.problem += "; the steps before it:";
    for (std::size_t i = failed_step_ - std::min<std::size_t>(failed_step_, 20); i < failed_step_;
         ++i) {
      report_.problem += "\n  " + std::to_string(i) + ' ' + steps[i];
    }
  }
  [[nodiscard]] bool failed() const noexcept { return !report_.problem.empty(); }

  void expect_end(const ScriptRun& run) {
    const Progress end = run.progress();
    if (end.flushed != script_.states().writes().size()) fail("at the end", "writes are missing");
    judge({run.medium()->after_kill(), Crash::ProcessDeath, "after close()"}, end, {});
  }

  void moment(const ScriptRun& run, std::uint64_t step, bool amid_step) {
    if (failed() || report_.moments++ % options_.stride != 0) return;
    step_ = static_cast<std::size_t>(step);
    const std::uint64_t number = mix(report_.moments ^ mix(options_.seed));
    Progress progress = run.progress();
    std::vector<State> states = states_of(*run.medium(), options_.states_per_moment, number);
    // Other threads may be writing: what they have begun by now may be in the states.
    progress.issued = run.progress().issued;
    for (State& state : states) {
      state.how = "step " + std::to_string(step) + ", " + state.how;
      state.amid_step = amid_step;
    }
    threads_[0].run([&] {
      for (const State& state : states) judge(state, progress, {});
    });
    report_.states += states.size();
  }

  // What power loss may leave, in `count` outcomes, and what the death of the process does.
  std::vector<State> states_of(const directory::SimulatedFileSystem& medium, std::size_t count,
                               std::uint64_t number) {
    std::vector<State> states;
    states.push_back({medium.after_kill(), Crash::ProcessDeath, "the process dies"});
    for (std::size_t i = 0; i < count; ++i) {
      // Those without chance come round, the others are always new.
      RebootPolicy policy = policies_[next_policy_++ % policies_.size()];
      if (policy.seed != 0) policy.seed = mix(number + i);
      states.push_back(
          {medium.after_reboot(policy), Crash::PowerLoss, "the power fails: " + to_string(policy)});
    }
    return states;
  }

  void judge(const State& state, const Progress& progress, const Nesting& nesting) {
    if (failed()) return;
    const Recovered& recovered = recover(state, progress, nesting);
    if (!recovered.problem.empty()) return fail(state.how, recovered.problem);
    const bool same = !nesting.exactly || *nesting.exactly == recovered.contents;
    if (same && script_.states().allows(recovered.contents, progress, state.crash)) return;
    const Model found = RecoveryProbe(options_for(state), state.medium).model();
    fail(state.how, same ? script_.states().explain(found, progress, state.crash)
                         : "the second recovery found something else than the first: " +
                               script_.states().explain(found, progress, state.crash));
  }

  // What a state holds; found out once for all that are equal.
  const Recovered& recover(const State& state, const Progress& progress, const Nesting& nesting) {
    auto key = state.medium->fingerprint();
    // Recovery tells what a process left from what a machine did.
    key[0] ^= mix(std::hash<std::string>()(state.medium->boot_id()));
    const auto [at, added] = known_.try_emplace(key);
    if (!added) return at->second;
    const std::uint64_t number = ++report_.recovered;
    RecoveryProbe probe(options_for(state), state.medium);
    Recovered recovered = probe.recover();
    if (recovered.problem.empty() && due(number, options_.read_only_every)) {
      recovered.problem = probe.open_read_only(recovered.contents);
      ++report_.opened_read_only;
    }
    if (recovered.problem.empty() && due(number, options_.go_on_every)) {
      recovered.problem = probe.go_on();
      ++report_.went_on;
    }
    // References into the map stay valid when more is added to it.
    at->second = std::move(recovered);
    const std::size_t every =
        nesting.depth == 1 ? options_.crash_again_every : options_.crash_thrice_every;
    if (at->second.problem.empty() && nesting.depth < 3 && due(number, every)) {
      crash_in_recovery(state, progress, nesting.depth + 1, at->second.contents);
    }
    return at->second;
  }

  // Any options must do; of a scenario that has two sets, each has its turn.
  [[nodiscard]] Options options_for(const State& state) const {
    Options options = options_of(script_.scenario(), (state.medium->fingerprint()[0] & 1) != 0);
    // The close() of a concurrent index waits for all calls in progress, those of other indexes
    // included: here, for the call that waits for us.
    if (state.amid_step && options.access == Access::Concurrent) options.access = Access::Bare;
    return options;
  }

  // Lets the recovery of `state`, and the close() after it, crash at every step.
  void crash_in_recovery(const State& state, const Progress& progress, int depth,
                         const Contents& contents) {
    const Medium medium = state.medium->after_kill();
    std::uint64_t& count = depth == 2 ? report_.nested : report_.nested_3;
    medium->watch_steps([&](std::uint64_t step) {
      std::vector<State> nested =
          states_of(*medium, options_.states_per_nested_moment,
                    mix(report_.recovered ^ mix(step ^ mix(options_.seed))));
      threads_[static_cast<std::size_t>(depth) - 1].run([&] {
        for (State& next : nested) {
          next.how =
              state.how + "; in its recovery, step " + std::to_string(step) + ", " + next.how;
          next.amid_step = state.amid_step;
          Nesting inner{.depth = depth, .exactly = contents};
          // After a reboot all of a medium is durable: nothing of it may go any more. What only a
          // process left may yet be lost by the machine.
          if (state.crash == Crash::PowerLoss) {
            next.crash = Crash::PowerLoss;
          } else if (next.crash == Crash::PowerLoss) {
            inner.exactly.reset();
          }
          judge(next, progress, inner);
        }
      });
      count += nested.size();
    });
    const std::string problem = RecoveryProbe(options_for(state), medium).open_and_close();
    if (!problem.empty()) fail(state.how, problem);
  }

  const Script& script_;
  const SweepOptions options_;
  const Options run_options_;
  const std::vector<RebootPolicy> policies_;
  struct HashKey {
    std::size_t operator()(const directory::SimulatedFileSystem::Fingerprint& key) const noexcept {
      return static_cast<std::size_t>(key[0]);
    }
  };
  std::unordered_map<directory::SimulatedFileSystem::Fingerprint, Recovered, HashKey> known_;
  std::size_t step_ = 0, failed_step_ = 0;
  std::size_t next_policy_ = 0;
  SweepReport report_;
  std::array<OtherThread, 3> threads_;  // By depth. Last: they end before the rest goes.
};

}  // namespace

void SweepReport::add(const SweepReport& other) {
  steps += other.steps;
  moments += other.moments;
  states += other.states;
  nested += other.nested;
  nested_3 += other.nested_3;
  recovered += other.recovered;
  went_on += other.went_on;
  opened_read_only += other.opened_read_only;
  if (problem.empty()) problem = other.problem;
}

SweepReport sweep_crashes(const Script& script, const SweepOptions& options) {
  prepare_process_for_sweeps();
  return Sweep(script, options).run();
}

std::string to_string(const SweepReport& report) {
  return std::to_string(report.steps) + " steps, " + std::to_string(report.moments) + " moments, " +
         std::to_string(report.states) + " states after one crash, " +
         std::to_string(report.nested) + " after two, " + std::to_string(report.nested_3) +
         " after three; " + std::to_string(report.recovered) + " distinct ones recovered, " +
         std::to_string(report.went_on) + " of them written to, " +
         std::to_string(report.opened_read_only) + " opened read-only";
}

void tell_reached(const SweepReport& report) {
  tell_reached(report.states, "states after one crash");
  tell_reached(report.nested, "states after two crashes");
  tell_reached(report.nested_3, "states after three crashes");
  tell_reached(report.recovered, "distinct states recovered");
}

}  // namespace varve::test
