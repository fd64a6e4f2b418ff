// SPDX-License-Identifier: Apache-2.0
#include "bench/run_command.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <utility>

#include "bench/engine.hpp"
#include "bench/html_report.hpp"
#include "bench/machine.hpp"
#include "bench/record_json.hpp"
#include "bench/runner.hpp"
#include "bench/scale.hpp"
#include "bench/text_report.hpp"
#include "varve/version.hpp"

namespace varve::bench {
namespace {

constexpr std::uint32_t kThreadCountMax = 64;           // LMDB's default allows 126 readers.
constexpr std::uint64_t kReadCountMax = 1'000'000'000;  // YCSB numbers its keys in 32 bits.

template <typename Value>
using Words = std::vector<std::pair<const char*, Value>>;
const Words<KeyShape> kKeyShapes = {{"hash16", KeyShape::Hash16},
                                    {"dec16", KeyShape::Dec16},
                                    {"url31", KeyShape::Url31},
                                    {"hash32", KeyShape::Hash32}};
const Words<Access> kAccesses = {{"bare", Access::Bare},
                                 {"synchronized", Access::Synchronized},
                                 {"concurrent", Access::Concurrent}};
const Words<Reads> kReads = {{"mapped", Reads::Mapped}, {"buffered", Reads::Buffered}};

template <typename Value>
std::vector<std::string> names_of(const Words<Value>& words) {
  std::vector<std::string> names;
  for (const auto& word : words) names.emplace_back(word.first);
  return names;
}
// Requires: `name` is one of the words, as the command line has checked.
template <typename Value>
Value value_of(const Words<Value>& words, const std::string& name) {
  return std::find_if(words.begin(), words.end(), [&](const auto& w) { return w.first == name; })
      ->second;
}

std::vector<std::string> engine_names() {
  std::vector<std::string> names;
  for (const EngineKind& kind : available_engines()) names.push_back(kind.name);
  return names;
}

void list() {
  std::cout << "Engines (* not by default):\n";
  for (const EngineKind& kind : available_engines()) {
    std::cout << (kind.by_default ? "  " : "* ") << kind.name << ": " << kind.configuration << "\n";
  }
  std::cout << "Workloads (in brackets: the name in db_bench, which is taken, too):\n";
  for (const Workload& workload : workload_list()) {
    std::cout << (workload.by_default ? "  " : "* ") << workload.name << ": "
              << workload.description << (workload.alias.empty() ? "" : " [" + workload.alias + "]")
              << "\n";
  }
  std::cout << "Groups of workloads: default";
  for (const WorkloadGroup& group : workload_groups()) std::cout << ", " << group.name;
  std::cout << "\n";
}

std::vector<EngineKind> chosen_engines(const std::vector<std::string>& names) {
  std::vector<EngineKind> engines;
  for (EngineKind& kind : available_engines()) {
    const bool wanted = names.empty()
                            ? kind.by_default
                            : std::find(names.begin(), names.end(), kind.name) != names.end();
    if (wanted || kind.name == kBaseEngine) engines.push_back(std::move(kind));
  }
  return engines;
}

// Opened first, so that a wrong path does not show after an hour.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path) : path_(path) {
    if (path.empty()) return;
    file_.open(path);
    check();
  }
  void write(const Record& record, void (*print)(std::ostream&, const Record&)) {
    if (path_.empty()) return;
    print(file_, record);
    file_.close();
    check();
  }

 private:
  void check() {
    if (!file_) throw std::runtime_error("cannot write " + path_);
  }
  std::string path_;
  std::ofstream file_;
};

}  // namespace

RunCommand::RunCommand(CLI::App& app) {
  app.option_defaults()->always_capture_default();
  app.add_option("--engines", engines_, "Engines, comma-separated; the harness is added")
      ->delimiter(',')
      ->check(CLI::IsMember(engine_names()));
  app.add_option("--workloads", workloads_, "Workloads or groups of them (see --list)")
      ->delimiter(',');
  define_data(app);
  define_limits(app);
  define_output(app);
}

void RunCommand::define_data(CLI::App& app) {
  app.add_option("--n", settings_.entry_count, "Entries")
      ->check(CLI::Range(std::uint64_t{1000}, KeyMaker::kCountMax));
  app.add_option("--reads", settings_.read_count, "Operations of one workload that reads")
      ->check(CLI::Range(std::uint64_t{100}, kReadCountMax));
  app.add_option("--synced", settings_.synced_count, "Synced puts of one thread")
      ->check(CLI::Range(1, 10'000'000));
  app.add_option("--value", settings_.value_size, "Bytes of a value")
      ->check(CLI::Range(ValueMaker::kSizeMin, std::size_t{1} << 20));
  app.add_option("--key-shape", key_shape_, "Order and length of the keys")
      ->check(CLI::IsMember(names_of(kKeyShapes)));
  app.add_option("--threads", settings_.thread_counts,
                 "Threads of the workloads concurrent_*, comma-separated; one session for each")
      ->delimiter(',')
      ->check(CLI::Range(1U, kThreadCountMax));
  app.add_option("--synced-threads", settings_.synced_thread_counts,
                 "Threads of synced_put_threads, likewise")
      ->delimiter(',')
      ->check(CLI::Range(1U, kThreadCountMax));
  app.add_option("--seed", settings_.seed, "Of all random choices");
  app.add_option("--scale", scale_,
                 "Run once for each value: entries=1M,10M, value_size=8,1K, segment_size=1M..64M, "
                 "threads=1..16; may be given several times");
  app.add_option("--scale-data", scale_data_,
                 "With --scale value_size: bytes that are loaded, and read, at most");
}

void RunCommand::define_limits(CLI::App& app) {
  app.add_option("--access", access_, "Access mode of the engine varve")
      ->check(CLI::IsMember(names_of(kAccesses)));
  app.add_option("--varve-reads", reads_, "How Varve reads its files")
      ->check(CLI::IsMember(names_of(kReads)));
  app.add_option("--segment-size", segment_size_, "At which Varve splits; default: its own");
  app.add_option("--memory-limit", memory_limit_,
                 "For the caches and buffers of each engine, for data larger than that: 256M");
  app.add_option("--cgroup", settings_.cgroup,
                 "A cgroup below which --memory-limit is enforced on the page cache, too")
      ->check(CLI::ExistingDirectory);
}

void RunCommand::define_output(CLI::App& app) {
  app.add_option("--repeats", repeat_count_, "Times each engine runs, interleaved")
      ->check(CLI::Range(1, 1000));
  app.add_option("--settle", settle_seconds_,
                 "Seconds before each engine's run, in which memory that others freed grows cold")
      ->check(CLI::Range(0, 3600));
  app.add_option("--warm-memory", warm_memory_,
                 "Memory that is touched and freed before each engine's run: 8G");
  app.add_option("--dir", directory_, "Where scratch directories are made")
      ->check(CLI::ExistingDirectory);
  app.add_option("--json", json_file_, "Also write every measurement to this file");
  app.add_option("--report", report_file_, "Also write an HTML report to this file");
  app.add_flag("--quick", quick_, "200,000 entries and reads, one repeat");
  app.add_flag("--list", list_, "List engines and workloads, and exit");
}

// What the words on the command line mean.
void RunCommand::complete() {
  settings_.key_shape = value_of(kKeyShapes, key_shape_);
  settings_.access = value_of(kAccesses, access_);
  settings_.reads = value_of(kReads, reads_);
  if (!segment_size_.empty()) settings_.segment_size = parse_size(segment_size_);
  if (!memory_limit_.empty()) settings_.memory_limit = parse_size(memory_limit_);
  if (!settings_.cgroup.empty() && settings_.memory_limit == 0) {
    throw std::invalid_argument("--cgroup wants a --memory-limit");
  }
  if (quick_) {
    settings_.entry_count = settings_.read_count = 200'000;
    repeat_count_ = 1;
  }
  settings_.workloads = resolve_workloads(workloads_);
}

int RunCommand::run(const std::string& command_line) {
  if (list_) {
    list();
    return 0;
  }
  complete();
  OutputFile json(json_file_), report(report_file_);
  const std::vector<EngineKind> engines = chosen_engines(engines_);
  const auto points = scale_points(settings_, scale_, parse_size(scale_data_));
  Record record{.varve_version = VARVE_VERSION_STRING,
                .commit = source_commit(),
                .build = describe_build(),
                .compiler = describe_compiler(),
                .started = utc_now(),
                .command = command_line,
                .load = describe_load() + " before",
                .machine = describe_machine(directory_),
                .settings = {.entry_count = settings_.entry_count,
                             .read_count = settings_.read_count,
                             .synced_count = settings_.synced_count,
                             .value_size = settings_.value_size,
                             .key_shape = key_shape_,
                             .access = access_,
                             .reads = reads_,
                             .segment_size = settings_.segment_size,
                             .memory_limit = settings_.memory_limit,
                             .cgroup = settings_.cgroup,
                             .seed = settings_.seed,
                             .repeat_count = repeat_count_}};
  for (const EngineKind& kind : engines) {
    record.engines.push_back({kind.name, kind.version, kind.configuration, kind.caution});
  }
  const Pause pause{.settle = std::chrono::seconds(settle_seconds_),
                    .warm_memory_size = warm_memory_.empty() ? 0 : parse_size(warm_memory_)};
  RunOutcome outcome = run_all(engines, points, repeat_count_, pause, directory_);
  record.load += ", " + describe_load() + " after";
  record.results = std::move(outcome.results);
  record.failures = std::move(outcome.failures);
  print_text_report(std::cout, record);
  json.write(record, write_json);
  report.write(record, write_html_report);
  return record.failures.empty() ? 0 : 1;
}

}  // namespace varve::bench
