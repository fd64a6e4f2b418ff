// SPDX-License-Identifier: Apache-2.0
// varve_concurrency_soak [--seconds N] [--rounds N] [--seed S] [--threads T] [--calls N]
//                        [--access A] [DIR]
//   The stress of many threads for as long as one likes: round after round on a new index, each
//   checked for itself; every fourth one is closed while the calls are under way.
//   --seconds  ends then (default: 60), unless the rounds are counted
//   --rounds   ends after so many
//   --calls    calls per thread and round
//   --access   synchronized (the default), concurrent; bare with --threads 1
// One line per round. Exit status: 0 nothing wrong, 1 a problem was found, 2 could not run. The
// index of a round with a problem is left in DIR.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tests/concurrent_index/workout.hpp"
#include "tests/support/longer_run.hpp"
#include "varve/options.hpp"

namespace {

using varve::Access;
using varve::test::WorkoutOptions;
using varve::test::WorkoutReport;

struct SoakOptions {
  double seconds = 60;
  std::uint64_t rounds = 0;  // 0: as many as there is time for.
  WorkoutOptions workout;
};

Access access_named(std::string_view name) {
  for (const Access access : {Access::Bare, Access::Synchronized, Access::Concurrent}) {
    if (to_string(access) == name) return access;
  }
  throw std::invalid_argument("no such access mode: " + std::string(name));
}

SoakOptions parsed(int argc, char** argv) {
  SoakOptions options;
  WorkoutOptions& workout = options.workout;
  workout.seed = std::random_device{}();
  workout.directory = std::filesystem::temp_directory_path() / "varve-concurrency-soak";
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with("--")) {
      workout.directory = argument;
      continue;
    }
    if (++i == argc) throw std::invalid_argument(std::string(argument) + " needs a value");
    const std::string value = argv[i];
    if (argument == "--seconds") {
      options.seconds = std::stod(value);
    } else if (argument == "--rounds") {
      options.rounds = std::stoull(value);
    } else if (argument == "--seed") {
      workout.seed = std::stoull(value);
    } else if (argument == "--threads") {
      workout.thread_count = static_cast<std::uint32_t>(std::stoul(value));
    } else if (argument == "--calls") {
      workout.calls_per_thread = std::stoull(value);
    } else if (argument == "--access") {
      workout.access = access_named(value);
    } else {
      throw std::invalid_argument("unknown option: " + std::string(argument));
    }
  }
  if (workout.thread_count == 0 || workout.calls_per_thread == 0) {
    throw std::invalid_argument("--threads and --calls must be at least 1");
  }
  if (workout.access == Access::Bare && workout.thread_count != 1) {
    throw std::invalid_argument("bare access has one thread: --threads 1");
  }
  return options;
}

unsigned long long wide(std::uint64_t number) {
  return number;
}

// Round `number` of a soak; the seed alone says what is done in it.
WorkoutReport run_round(const SoakOptions& options, std::uint64_t number) {
  WorkoutOptions workout = options.workout;
  workout.seed += number;
  workout.directory /= "index";
  workout.reads = number % 2 == 0 ? varve::Reads::Mapped : varve::Reads::Buffered;
  workout.close_midway = number % 4 == 3 && workout.access != Access::Bare;
  std::filesystem::remove_all(workout.directory);
  WorkoutReport report = run_workout(workout);
  std::printf("seed %llu: %llu calls, %llu operations and %llu views checked, %llu flushes, ",
              wide(workout.seed), wide(report.call_count), wide(report.operation_count),
              wide(report.view_count), wide(report.flush_count));
  std::printf("%llu compactions, %llu splits, %llu merges%s\n", wide(report.compaction_count),
              wide(report.split_count), wide(report.merge_count),
              workout.close_midway ? ", closed midway" : "");
  std::fflush(stdout);
  return report;
}

int soak(const SoakOptions& options) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  std::filesystem::create_directories(options.workout.directory);
  const auto goes_on = [&](std::uint64_t round) {
    if (options.rounds > 0) return round < options.rounds;
    return round == 0 || std::chrono::steady_clock::now() < end;
  };
  std::uint64_t round = 0, calls = 0;
  for (; goes_on(round); ++round) {
    const WorkoutReport report = run_round(options, round);
    calls += report.call_count;
    if (report.problem.empty()) continue;
    std::printf("PROBLEM: %s\n", report.problem.c_str());
    return EXIT_FAILURE;
  }
  std::printf("%llu rounds, %llu calls, nothing wrong\n", wide(round), wide(calls));
  varve::test::tell_reached(round, "histories");
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) try {
  return soak(parsed(argc, argv));
} catch (const std::exception& error) {
  std::fprintf(stderr, "varve_concurrency_soak: %s\n", error.what());
  return 2;
}
