// SPDX-License-Identifier: Apache-2.0
// varve_metamorphic [--seconds N] [--seed S] [--size N] [--only TEXT] [--replay FILE]
//   Lists of random operations in every configuration, for as long as one likes; the seed of each
//   follows from the first.
//   --size     operations per list
//   --only     in the configurations whose name contains TEXT
//   --replay   the list in FILE instead, as many times as the seconds allow, at least once
// One line per list. Exit status: 0 nothing wrong, 1 a difference was found, reduced and printed,
// 2 could not run.
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
#include <vector>

#include "tests/metamorphic/comparison.hpp"
#include "tests/metamorphic/generator.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/longer_run.hpp"

namespace {

using namespace varve::test::metamorphic;  // NOLINT(google-build-using-namespace): all of it.

struct SoakOptions {
  double seconds = 60;
  std::uint64_t seed = std::random_device{}();
  std::size_t size = 1500;
  std::string only, replay;
};

SoakOptions parsed(int argc, char** argv) {
  SoakOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (++i == argc) throw std::invalid_argument(std::string(argument) + " needs a value");
    const std::string value = argv[i];
    if (argument == "--seconds") {
      options.seconds = std::stod(value);
    } else if (argument == "--seed") {
      options.seed = std::stoull(value);
    } else if (argument == "--size") {
      options.size = std::stoull(value);
    } else if (argument == "--only") {
      options.only = value;
    } else if (argument == "--replay") {
      options.replay = value;
    } else {
      throw std::invalid_argument("unknown option: " + std::string(argument));
    }
  }
  return options;
}

std::vector<Configuration> chosen(const std::string& part) {
  std::vector<Configuration> configurations;
  for (Configuration& configuration : all_configurations()) {
    if (configuration.name.find(part) != std::string::npos) {
      configurations.push_back(std::move(configuration));
    }
  }
  if (configurations.empty()) throw std::invalid_argument("no configuration has " + part);
  return configurations;
}

int soak(const SoakOptions& options) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  Operations replayed;
  if (!options.replay.empty()) {
    replayed = parse_operations(varve::test::read_file(options.replay));
  }
  Comparison comparison(chosen(options.only), Runs::Forked);
  std::uint64_t count = 0;
  for (; count == 0 || std::chrono::steady_clock::now() < end; ++count) {
    const std::uint64_t seed = options.seed + count;
    const bool drawn = options.replay.empty();
    const std::string name = drawn ? "seed-" + std::to_string(seed) : "replay";
    std::printf("%s\n", name.c_str());
    std::fflush(stdout);
    const auto failure = comparison.run(drawn ? generated(seed, options.size) : replayed, name);
    if (!failure) continue;
    std::printf("DIFFERENCE in %s\n%s", name.c_str(), failure->report().c_str());
    return EXIT_FAILURE;
  }
  std::printf("%llu lists, %zu configurations, %llu operations, no difference\n",
              static_cast<unsigned long long>(count), comparison.configurations().size(),
              static_cast<unsigned long long>(comparison.operation_count()));
  varve::test::tell_reached(comparison.operation_count(), "operations in configurations");
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) try {
  return soak(parsed(argc, argv));
} catch (const std::exception& error) {
  std::fprintf(stderr, "varve_metamorphic: %s\n", error.what());
  return 2;
}
