// SPDX-License-Identifier: Apache-2.0
// varve_kill_soak [--seconds N] [--seed S] [DIR]: the kill loop for as long as one likes.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>

#include "tests/crash/kill_loop.hpp"
#include "tests/support/longer_run.hpp"

int main(int argc, char** argv) try {
  varve::test::KillLoopOptions options;
  options.seconds = 60;
  options.seed = std::random_device{}();
  options.directory = std::filesystem::temp_directory_path() / "varve-kill-soak";
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--seconds" && i + 1 < argc) {
      options.seconds = std::stod(argv[++i]);
    } else if (argument == "--seed" && i + 1 < argc) {
      options.seed = std::stoull(argv[++i]);
    } else {
      options.directory = argument;
    }
  }
  std::filesystem::remove_all(options.directory / "index");
  std::filesystem::create_directories(options.directory);
  std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  const varve::test::KillLoopReport report = varve::test::run_kill_loop(options);
  std::printf("%llu cycles, %llu kills, %llu operations, %llu replayed\n",
              static_cast<unsigned long long>(report.cycles),
              static_cast<unsigned long long>(report.kills),
              static_cast<unsigned long long>(report.operations),
              static_cast<unsigned long long>(report.replayed));
  varve::test::tell_reached(report.kills, "kills");
  if (report.problem.empty()) return EXIT_SUCCESS;
  std::printf("PROBLEM: %s\n", report.problem.c_str());
  return EXIT_FAILURE;
} catch (const std::exception& error) {
  std::fprintf(stderr, "varve_kill_soak: %s\n", error.what());
  return EXIT_FAILURE;
}
