// SPDX-License-Identifier: Apache-2.0
// varve-bench: Varve beside other embedded stores, same data, same durability, answers checked.
// docs/BENCHMARKS.md says what is measured and how to read it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/engine.hpp"
#include "bench/report.hpp"
#include "bench/runner.hpp"
#include "bench/workload.hpp"

namespace varve::bench {

std::vector<EngineKind> available_engines() {
  std::vector<EngineKind> engines = {null_engine(), varve_engine()};
  for (EngineKind& kind : varve_mode_engines()) engines.push_back(std::move(kind));
#ifdef VARVE_BENCH_LMDB
  engines.push_back(lmdb_engine());
#endif
#ifdef VARVE_BENCH_LEVELDB
  engines.push_back(leveldb_engine());
#endif
#ifdef VARVE_BENCH_ROCKSDB
  engines.push_back(rocksdb_engine());
#endif
#ifdef VARVE_BENCH_WIREDTIGER
  engines.push_back(wiredtiger_engine());
#endif
  return engines;
}

namespace {

constexpr std::uint32_t kThreadCountMax = 64;  // LMDB's default allows 126 readers.

struct Arguments {
  Settings settings;
  std::vector<std::string> engines;  // Empty: all.
  std::uint32_t repeat_count = 3;
  std::filesystem::path directory = std::filesystem::temp_directory_path();
  std::string key_shape = "hash16", access = "concurrent", json_file;
  bool quick = false, list = false;
};

std::vector<std::string> engine_names() {
  std::vector<std::string> names;
  for (const EngineKind& kind : available_engines()) names.push_back(kind.name);
  return names;
}

constexpr const char* kThreadGroup = "threads";  // All workloads that know threads.

std::vector<std::string> workload_names(bool (*wanted)(const Workload&)) {
  std::vector<std::string> names;
  for (const Workload& workload : workload_list()) {
    if (wanted(workload)) names.push_back(workload.name);
  }
  return names;
}
std::vector<std::string> known_workloads() {
  auto names = workload_names([](const Workload&) { return true; });
  names.push_back(kThreadGroup);
  return names;
}
std::vector<std::string> default_workloads() {
  return workload_names([](const Workload& workload) { return workload.by_default; });
}
std::vector<std::string> thread_workloads() {
  return workload_names(
      [](const Workload& workload) { return workload.threads != Threads::Unaware; });
}

void define_sizes(CLI::App& app, Settings& settings) {
  app.add_option("--n", settings.entry_count, "Entries")
      ->check(CLI::Range(std::uint64_t{1000}, KeyMaker::kCountMax));
  app.add_option("--reads", settings.read_count, "Operations of one workload that reads")
      ->check(CLI::Range(std::uint64_t{100}, ~std::uint64_t{0} >> 1));
  app.add_option("--synced", settings.synced_count, "Synced puts of one thread")
      ->check(CLI::Range(1, 10'000'000));
  app.add_option("--value", settings.value_size, "Bytes of a value")
      ->check(CLI::Range(ValueMaker::kSizeMin, std::size_t{1} << 20));
  app.add_option("--threads", settings.thread_counts,
                 "Threads of the workloads concurrent_*, comma-separated; one session for each")
      ->delimiter(',')
      ->check(CLI::Range(1U, kThreadCountMax));
  app.add_option("--synced-threads", settings.synced_thread_counts,
                 "Threads of synced_put_threads, likewise")
      ->delimiter(',')
      ->check(CLI::Range(1U, kThreadCountMax));
}

void define(CLI::App& app, Arguments& arguments) {
  Settings& settings = arguments.settings;
  app.option_defaults()->always_capture_default();
  app.add_option("--engines", arguments.engines, "Engines, comma-separated; the harness is added")
      ->delimiter(',')
      ->check(CLI::IsMember(engine_names()));
  app.add_option("--workloads", settings.workloads, "Workloads, comma-separated (see --list)")
      ->delimiter(',')
      ->check(CLI::IsMember(known_workloads()));
  define_sizes(app, settings);
  app.add_option("--key-shape", arguments.key_shape, "Order and length of the keys")
      ->check(CLI::IsMember({"hash16", "dec16", "url31"}));
  app.add_option("--access", arguments.access, "Access mode of the engine varve")
      ->check(CLI::IsMember({"bare", "synchronized", "concurrent"}));
  app.add_option("--seed", settings.seed, "Of all random choices");
  app.add_option("--repeats", arguments.repeat_count, "Times each engine runs, interleaved")
      ->check(CLI::Range(1, 1000));
  app.add_option("--dir", arguments.directory, "Where scratch directories are made")
      ->check(CLI::ExistingDirectory);
  app.add_option("--json", arguments.json_file, "Also write every measurement to this file");
  app.add_flag("--quick", arguments.quick, "200,000 entries and reads, one repeat");
  app.add_flag("--list", arguments.list, "List engines and workloads, and exit");
}

void list() {
  std::cout << "Engines (* not by default):\n";
  for (const EngineKind& kind : available_engines()) {
    std::cout << (kind.by_default ? "  " : "* ") << kind.name << ": " << kind.configuration << "\n";
  }
  std::cout << "Workloads:\n";
  for (const Workload& workload : workload_list()) {
    std::cout << (workload.by_default ? "  " : "* ") << workload.name << ": "
              << workload.description << "\n";
  }
  std::cout << "* " << kThreadGroup << ": all workloads that know threads\n";
}

std::vector<EngineKind> chosen_engines(const std::vector<std::string>& names) {
  std::vector<EngineKind> engines;
  for (EngineKind& kind : available_engines()) {
    const bool wanted = names.empty()
                            ? kind.by_default
                            : std::find(names.begin(), names.end(), kind.name) != names.end();
    if (wanted || kind.name == "null") engines.push_back(std::move(kind));
  }
  return engines;
}

// What the words on the command line mean.
void complete(Arguments& arguments) {
  Settings& settings = arguments.settings;
  settings.key_shape = arguments.key_shape == "dec16"   ? KeyShape::Dec16
                       : arguments.key_shape == "url31" ? KeyShape::Url31
                                                        : KeyShape::Hash16;
  settings.access = arguments.access == "bare"           ? Access::Bare
                    : arguments.access == "synchronized" ? Access::Synchronized
                                                         : Access::Concurrent;
  if (arguments.quick) {
    settings.entry_count = settings.read_count = 200'000;
    arguments.repeat_count = 1;
  }
  if (settings.workloads.empty()) settings.workloads = default_workloads();
  if (std::erase(settings.workloads, kThreadGroup) > 0) {
    const std::vector<std::string> names = thread_workloads();
    settings.workloads.insert(settings.workloads.end(), names.begin(), names.end());
  }
}

int run(Arguments& arguments, const std::string& command) {
  complete(arguments);
  // Opened first, so that a wrong path does not show after an hour.
  std::ofstream json;
  if (!arguments.json_file.empty()) {
    json.open(arguments.json_file);
    if (!json) throw std::runtime_error("cannot write " + arguments.json_file);
  }
  const std::vector<EngineKind> engines = chosen_engines(arguments.engines);
  Environment environment{.machine = describe_machine(arguments.directory),
                          .load = describe_load() + " before",
                          .command = command};
  const Run result =
      run_all(engines, arguments.settings, arguments.repeat_count, arguments.directory);
  environment.load += ", " + describe_load() + " after";
  print_table(std::cout, result, engines, arguments.settings, environment);
  if (json.is_open()) {
    print_json(json, result, engines, arguments.settings, environment);
    json.close();
    if (!json) throw std::runtime_error("cannot write " + arguments.json_file);
  }
  return result.failures.empty() ? 0 : 1;
}

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  using namespace varve::bench;
  CLI::App app{"Measures Varve beside other embedded key-value stores"};
  Arguments arguments;
  define(app, arguments);
  CLI11_PARSE(app, argc, argv);
  if (arguments.list) {
    list();
    return 0;
  }
  std::string command = "varve-bench";
  for (int i = 1; i < argc; ++i) command.append(" ").append(argv[i]);
  try {
    return run(arguments, command);
  } catch (const std::exception& error) {
    std::cerr << "varve-bench: " << error.what() << "\n";
    return 2;
  }
}
