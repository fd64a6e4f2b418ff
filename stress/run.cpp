// SPDX-License-Identifier: Apache-2.0
#include "stress/run.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdio>

#include "stress/child.hpp"
#include "stress/failure.hpp"
#include "stress/random.hpp"
#include "stress/verification.hpp"
#include "stress/worker.hpp"
#include "varve/segment_index.hpp"

namespace varve::stress {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kCycleTimeMax = 3s;     // Then the end comes, however few the operations were.
constexpr auto kStandstillMax = 180s;  // A worker that does nothing for so long hangs.
constexpr auto kCloseTimeMax = 180s;

class StressRun {
 public:
  explicit StressRun(const StressOptions& options)
      : options_(options),
        directory_(options.directory),
        store_(directory_.path() / "store"),
        copy_(directory_.path() / "copy"),
        older_(directory_.path() / "older"),
        expected_(directory_.path() / "expected"),
        state_(make_state()) {
    figures_.seed = options.seed;
  }

  Figures run() {
    const Schedule schedule(options_);
    try {
      while (schedule.goes_on(figures_.cycles)) {
        one_cycle();
        ++figures_.cycles;
      }
    } catch (const Mismatch& mismatch) {
      directory_.keep();
      figures_.problem = fmt::format("cycle {}: {}", figures_.cycles, mismatch.what());
      explain();
    }
    figures_.seconds = schedule.seconds();
    return figures_;
  }

 private:
  // A run begins with nothing; what another one has left in the directory is not ours to judge.
  [[nodiscard]] ExpectedState make_state() const {
    for (const auto& path : {store_, copy_, older_, expected_}) {
      if (std::filesystem::exists(path)) {
        throw Obstacle(path.string() + ": is there already; give an empty directory");
      }
    }
    return ExpectedState::create(expected_, options_.scale.key_count, options_.seed);
  }

  [[nodiscard]] bool log_only() const {
    return options_.plant == Plant::ShortLog || options_.plant == Plant::StaleStore;
  }

  void one_cycle() {
    const std::uint64_t seed = options_.cycle_seed.value_or(mixed(options_.seed, figures_.cycles));
    plan_ = log_only() ? log_only_plan(seed, options_.scale) : draw_plan(seed, options_.scale);
    if (options_.verbose) {
      fmt::print(stderr, "cycle {}, seed {:#x}: {}\n", figures_.cycles, seed, plan_text(plan_));
    }
    ++figures_.access[static_cast<std::size_t>(plan_.options.access)];
    state_.begin_cycle(figures_.cycles);
    run_worker_to_its_end();
    count_calls();
    damage();
    const Contents contents = verify_store(store_, plan_, state_, figures_);
    verify_history(contents, plan_.writes, state_);
    settle(contents, state_, figures_);
    if (options_.plant == Plant::StaleStore && figures_.cycles == 0) copy_store(store_, older_);
  }

  [[nodiscard]] ChildOptions worker_command() const {
    ChildOptions child;
    child.arguments = {"/proc/self/exe", "worker",
                       "--store",        store_.string(),
                       "--expected",     expected_.string(),
                       "--cycle-seed",   std::to_string(plan_.seed),
                       "--keys",         std::to_string(options_.scale.key_count),
                       "--threads",      std::to_string(options_.scale.writer_count_max)};
    if (log_only()) child.arguments.emplace_back("--log-only");
    return child;
  }

  void run_worker_to_its_end() {
    Child worker(worker_command());
    wait_for_operations(worker);
    switch (plan_.ending) {
      case Ending::Kill:
      case Ending::KillInOpen:
        pause_for(plan_.delay);
        break;
      case Ending::StopAndKill:
        pause_for(plan_.delay);
        if (worker.stop()) verify_live_copy();
        break;
      case Ending::KillInClose:
        state_.header().stop.store(1);
        pause_for(plan_.delay);
        break;
      case Ending::Close:
        return close(worker);
    }
    worker.kill();
    ++figures_.kills;
    require_good_end(*worker.poll(), plan_.ending == Ending::KillInClose);
  }

  void wait_for_operations(Child& worker) {
    if (plan_.operation_count == 0) return;
    Clock::time_point start = Clock::now();
    Clock::time_point last_progress = start;
    std::uint64_t last_count = 0;
    while (true) {
      const std::uint64_t count = state_.header().operation_count.load();
      const Clock::time_point now = Clock::now();
      if (last_count == 0) start = now;  // Opening may take its time.
      if (count >= plan_.operation_count || (count > 0 && now - start >= kCycleTimeMax)) return;
      if (count != last_count) last_progress = now;
      last_count = count;
      if (const auto status = worker.poll()) return require_good_end(*status, false);
      if (now - last_progress >= kStandstillMax) {
        throw Mismatch(fmt::format("the worker stands still after {} operations", count));
      }
      pause_for(1ms);
    }
  }

  void close(Child& worker) {
    state_.header().stop.store(1);
    const std::optional<int> status = worker.wait(kCloseTimeMax);
    if (!status) throw Mismatch("the worker did not close");
    require_good_end(*status, true);
    ++figures_.closes;
    // A close saves what was Buffered too.
    for (KeyNumber key = 0; key < state_.key_count(); ++key) {
      state_.settle(key, state_.word(key));
    }
  }

  void require_good_end(int status, bool may_close) const {
    const std::string problem = state_.problem();
    if (!problem.empty()) throw Mismatch(problem);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && may_close) return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == kWorkerObstacle) {
      throw Obstacle("the worker met an obstacle, see above");
    }
    throw Mismatch("the worker ended by itself: " + status_text(status));
  }

  // A copy of the files as they are at one moment is as good as a kill at that moment; and the
  // store of the worker that is killed next must then hold the same.
  void verify_live_copy() {
    if (!std::filesystem::exists(store_)) return;
    if (state_.header().phase.load() == WorkerPhase::Opened) {
      Options at_once;
      at_once.lock_wait = 0ms;
      const TryOpen second = SegmentIndex::try_open(store_, at_once);
      if (second.refusal != OpenRefusal::Locked) {
        throw Mismatch("a second process could open the store of a worker that lives");
      }
    }
    copy_store(store_, copy_);
    const Contents contents = verify_store(copy_, plan_, state_, figures_);
    verify_history(contents, plan_.writes, state_);
    settle(contents, state_, figures_);
    remove_store(copy_);
    ++figures_.copies;
  }

  void count_calls() {
    for (std::size_t i = 0; i < kKindCount; ++i) {
      figures_.kinds[i] += state_.header().counts[i].load();
    }
    figures_.operations += state_.header().operation_count.load();
  }

  void damage() {
    if (options_.plant == Plant::None || figures_.cycles == 0) return;
    if (damage_store(options_.plant, store_, older_)) ++figures_.damaged;
  }

  void explain() const {
    fmt::print(stderr,
               "MISMATCH in {}\n"
               "  seed {}, cycle seed {:#x}: {}\n"
               "  kept: store {}, expected states {}\n"
               "  the cycle's options again: varve-stress --cycle-seed {:#x} --keys {} --threads "
               "{} --seed {}\n",
               figures_.problem, options_.seed, plan_.seed, plan_text(plan_), store_.string(),
               expected_.string(), plan_.seed, options_.scale.key_count,
               options_.scale.writer_count_max, options_.seed);
  }

  const StressOptions options_;
  RunDirectory directory_;
  const std::filesystem::path store_, copy_, older_, expected_;
  const ExpectedState state_;
  CyclePlan plan_;
  Figures figures_;
};

}  // namespace

Figures run_stress(const StressOptions& options) {
  return StressRun(options).run();
}

}  // namespace varve::stress
