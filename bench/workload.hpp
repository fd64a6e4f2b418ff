// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/data.hpp"
#include "bench/engine.hpp"
#include "bench/key_versions.hpp"
#include "bench/latency.hpp"

namespace varve::bench {

struct Settings {
  std::uint64_t entry_count = 1'000'000;
  std::uint64_t read_count = 1'000'000;
  std::uint64_t synced_count = 500;
  std::size_t value_size = 100;
  KeyShape key_shape = KeyShape::Hash16;
  Access access = Access::Concurrent;
  std::uint64_t seed = 1;
  std::vector<std::string> workloads;  // Names; run in the order of workload_list().
  std::vector<std::uint32_t> thread_counts = {1, 2, 4, 8, 16};
  std::vector<std::uint32_t> synced_thread_counts = {1, 4};
};

// How long each of `count` operations took. A measurement that knows the longest time alone leaves
// the quantiles at 0.
struct Latencies {
  std::uint64_t count = 0;
  double seconds = 0;  // In which they were done: count / seconds is their rate.
  std::uint64_t p50_ns = 0, p99_ns = 0, p999_ns = 0, p9999_ns = 0, longest_ns = 0;
};

// What one run of one workload cost. Sizes in bytes.
struct Measurement {
  std::uint64_t operation_count = 0;
  double wall_seconds = 0;            // Background work included.
  double foreground_seconds = 0;      // Until the last call returned.
  double cpu_seconds = 0;             // All threads.
  std::uint64_t user_size = 0;        // Keys and values written; 0: the workload only reads.
  std::uint64_t written_size = 0;     // To the device, by this process.
  std::uint64_t disk_size = 0;        // Of the store's files, afterwards.
  std::uint64_t anonymous_size = 0;   // Private memory afterwards, beyond the harness's own.
  std::uint64_t resident_size = 0;    // All resident memory, mapped files included.
  std::uint32_t thread_count = 0;     // 0: a workload that knows no threads.
  Latencies reads = {}, writes = {};  // Of none, if not measured.
};

class Session;

// How many threads a workload runs with.
enum class Threads : std::uint8_t {
  Unaware,  // One, through the engine itself: what all workloads were before there were threads.
  Listed,   // Each count of Settings::thread_counts, in a session of its own.
  Synced,   // Likewise, Settings::synced_thread_counts.
  Two,      // A writer and a reader.
};

struct Workload {
  std::string name;
  std::string description;
  bool by_default = true;
  std::function<Measurement(Session&)> run;
  Threads threads = Threads::Unaware;
};
// In the order in which one session runs them: fresh loads, reads of what the last one left,
// then what changes it.
[[nodiscard]] const std::vector<Workload>& workload_list();

// The workloads of one session, in which all have the same number of threads.
struct Plan {
  std::uint32_t thread_count = 0;  // As in Measurement.
  std::vector<std::string> workloads;
};
[[nodiscard]] std::vector<Plan> make_plans(const Settings& settings);

// What one thread has of its own.
struct alignas(64) Worker {
  std::unique_ptr<Client> client;
  KeyMaker keys;
  ValueMaker values;
  LatencyHistogram reads = {}, writes = {};
  std::uint64_t wrong_count = 0;
};

// One engine in one scratch directory, from an empty store to the last workload.
// Errors: std::runtime_error for every wrong answer.
class Session {
 public:
  using Report = std::function<void(const std::string& workload, const Measurement&)>;
  // `directory` is created, and belongs to the session.
  Session(const EngineKind& kind, const Settings& settings, Plan plan,
          std::filesystem::path directory);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Nothing runs where the plan has several threads and the engine takes one.
  void run(const Report& report);

  // Loads; each begins with an empty store.
  Measurement load_ascending();
  Measurement load_random();
  Measurement load_random_batches();
  // Reads of the randomly loaded store.
  Measurement read_hits();
  Measurement read_misses();
  Measurement read_skewed();
  Measurement multi_get();
  Measurement seek();
  Measurement scan();
  Measurement scan_compacted();
  Measurement open_clean();
  // Changes of it.
  Measurement overwrite();
  Measurement erase();
  Measurement synced_puts();
  // With the threads of the plan; see threads.cpp.
  Measurement concurrent_reads();
  Measurement concurrent_writes();
  Measurement concurrent_mix();
  Measurement read_while_writing();
  Measurement synced_puts_by_threads();

 private:
  void start_empty();
  void require_loaded();
  void require_warm();
  // Runs `operations`, then waits for the engine's background work.
  Measurement measure(std::uint64_t operation_count, std::uint64_t user_size,
                      const std::function<void()>& operations);
  void expect(std::uint64_t wrong_count, const char* what) const;
  void expect_hit(std::uint64_t number);
  [[nodiscard]] std::uint64_t count_entries();
  void verify_changes();
  // Number `rank` of an order that visits every entry once and is not that of the load.
  [[nodiscard]] std::uint64_t changed_at(std::uint64_t rank) const;
  [[nodiscard]] std::vector<Worker> make_workers(std::uint32_t writer_count);
  void read_one(Worker& worker, std::uint64_t number);
  void write_one(Worker& worker, std::uint64_t number, bool synced);
  void run_slice(Worker& worker, std::uint64_t begin, std::uint64_t end, bool mixed);
  Measurement measure_threads(std::uint64_t read_count, std::uint64_t write_count,
                              std::vector<Worker>& workers,
                              const std::function<void()>& operations);
  void verify_versions();
  [[nodiscard]] std::uint64_t entry_size() const { return keys_.size() + values_.size(); }

  const Settings& settings_;
  const Plan plan_;
  std::filesystem::path directory_;
  KeyMaker keys_;
  ValueMaker values_;
  std::vector<std::uint32_t> order_;       // All numbers, shuffled.
  const std::uint64_t change_step_;        // Through order_, when all entries are changed.
  std::unique_ptr<KeyVersions> versions_;  // With threads.
  std::uint64_t anonymous_base_ = 0;
  std::string engine_name_;
  std::unique_ptr<Engine> engine_;
  bool open_ = false, loaded_ = false, warm_ = false;
  std::uint8_t version_ = 0;        // Of every value.
  std::uint64_t erased_count_ = 0;  // The first ones of order_.
};

}  // namespace varve::bench
