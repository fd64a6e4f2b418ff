// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <random>
#include <string>
#include <vector>

#include "stress/failure.hpp"
#include "stress/run.hpp"
#include "stress/torture.hpp"
#include "stress/worker.hpp"

namespace varve::stress {
namespace {

constexpr int kExitMismatch = 1, kExitUsage = 64, kExitObstacle = 74;

// A program's own arguments follow "--" and are not looked at.
struct SplitArguments {
  std::vector<std::string> ours, program;
};
SplitArguments split(int argc, char** argv) {
  const std::vector<std::string> all(argv + 1, argv + argc);
  const auto mark = std::find(all.begin(), all.end(), "--");
  SplitArguments arguments{{all.begin(), mark}, {}};
  if (mark != all.end()) arguments.program.assign(mark + 1, all.end());
  return arguments;
}

struct CommandLine {
  StressOptions stress;
  TortureOptions torture;
  WorkerArguments worker;
  std::string json, plant, cycle_seed;
  bool log_only = false;
  CLI::App app{
      "Writes to an index from several threads, kills the process, checks, reopens and "
      "compares; again and again, with options drawn anew."};
  CLI::App* torture_command = nullptr;
  CLI::App* worker_command = nullptr;

  CommandLine() {
    app.name("varve-stress");
    app.footer(
        "Exit status: 0 sound, 1 a mismatch (the store is kept), 64 usage, 74 the machine "
        "would not go on.");
    add_common(app, stress);
    add_scale(app);
    app.add_option("--plant", plant)->group("");
    torture_command = app.add_subcommand(
        "torture",
        "Does the same to your program: varve-stress torture [options] -- PROGRAM "
        "ARGS... (docs/TESTING.md)");
    add_common(*torture_command, torture);
    torture_command
        ->add_option("--run-ms", torture.run_ms_max,
                     "longest time between the start and the kill, in ms")
        ->check(CLI::Range(1, 3'600'000))
        ->capture_default_str();
    worker_command = app.add_subcommand("worker")->group("");
    worker_command->add_option("--store", worker.store)->required();
    worker_command->add_option("--expected", worker.expected)->required();
    worker_command->add_flag("--log-only", log_only);
    add_scale(*worker_command);
    app.require_subcommand(0, 1);
  }

  void add_common(CLI::App& to, RunOptions& options) {
    to.add_option("--seconds", options.seconds, "how long")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    to.add_option("--cycles", options.cycles, "so many cycles instead")->check(CLI::PositiveNumber);
    to.add_option("--seed", options.seed, "of everything that is drawn (default: any)");
    to.add_option("--dir", options.directory,
                  "an empty directory to work in, which is kept (default: a fresh one below "
                  "TMPDIR, kept on a mismatch only)");
    to.add_option("--json", json, "write the figures to this file");
    to.add_flag("--verbose", options.verbose, "tell each cycle");
  }

  void add_scale(CLI::App& to) {
    to.add_option("--cycle-seed", cycle_seed,
                  "draw every cycle's options from this seed, as "
                  "printed");
    to.add_option("--keys", stress.scale.key_count, "how many keys")
        ->check(CLI::Range(std::uint32_t{64}, kKeyCountMax))
        ->capture_default_str();
    to.add_option("--threads", stress.scale.writer_count_max, "most writers at a time")
        ->check(CLI::Range(1U, kThreadCountMax - 4))
        ->capture_default_str();
  }

  // Errors: CLI::ParseError.
  void parse(const SplitArguments& arguments) {
    const std::uint64_t drawn = std::random_device()();
    stress.seed = torture.seed = drawn;
    std::vector<std::string> reversed(arguments.ours.rbegin(), arguments.ours.rend());
    app.parse(reversed);
    torture.command = arguments.program;
    if (*torture_command && torture.command.empty()) {
      throw CLI::ValidationError("torture", "-- PROGRAM ARGS... expected");
    }
    if (!*torture_command && !torture.command.empty()) {
      throw CLI::ValidationError("--", "only torture runs a program");
    }
    const std::optional<Plant> planted = parse_plant(plant);
    if (!planted) throw CLI::ValidationError("--plant", plant + " is none");
    stress.plant = *planted;
    if (!cycle_seed.empty()) {
      std::size_t used = 0;
      try {
        stress.cycle_seed = std::stoull(cycle_seed, &used, 0);
      } catch (const std::exception&) {
        used = 0;
      }
      if (used != cycle_seed.size()) {
        throw CLI::ValidationError("--cycle-seed", cycle_seed + " is no number");
      }
    }
  }
};

int report(const Figures& figures, const CommandLine& line) {
  fmt::print("{}\n", figures_text(figures));
  if (!line.json.empty()) write_json(figures, line.json);
  return figures.problem.empty() ? 0 : kExitMismatch;
}

int run(CommandLine& line) {
  if (*line.worker_command) {
    const std::uint64_t seed = line.stress.cycle_seed.value_or(0);
    line.worker.plan =
        line.log_only ? log_only_plan(seed, line.stress.scale) : draw_plan(seed, line.stress.scale);
    return run_worker(line.worker);
  }
  const bool torture = static_cast<bool>(*line.torture_command);
  fmt::print("seed {}\n", torture ? line.torture.seed : line.stress.seed);
  std::fflush(stdout);
  return report(torture ? run_torture(line.torture) : run_stress(line.stress), line);
}

int main(int argc, char** argv) {
  CommandLine line;
  try {
    line.parse(split(argc, argv));
  } catch (const CLI::ParseError& error) {
    return line.app.exit(error) == 0 ? 0 : kExitUsage;
  }
  try {
    return run(line);
  } catch (const std::exception& error) {
    fmt::print(stderr, "varve-stress: {}\n", error.what());
    return kExitObstacle;
  }
}

}  // namespace
}  // namespace varve::stress

int main(int argc, char** argv) {
  return varve::stress::main(argc, argv);
}
