// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/data.hpp"
#include "bench/engine.hpp"

namespace varve::bench {

struct Settings {
  std::uint64_t entry_count = 1'000'000;
  std::uint64_t read_count = 1'000'000;
  std::uint64_t synced_count = 500;
  std::size_t value_size = 100;
  KeyShape key_shape = KeyShape::Hash16;
  bool bare = false;
  std::uint64_t seed = 1;
  std::vector<std::string> workloads;  // Names; run in the order of workload_list().
};

// What one run of one workload cost. Sizes in bytes.
struct Measurement {
  std::uint64_t operation_count = 0;
  double wall_seconds = 0;           // Background work included.
  double foreground_seconds = 0;     // Until the last call returned.
  double cpu_seconds = 0;            // All threads.
  std::uint64_t user_size = 0;       // Keys and values written; 0: the workload only reads.
  std::uint64_t written_size = 0;    // To the device, by this process.
  std::uint64_t disk_size = 0;       // Of the store's files, afterwards.
  std::uint64_t anonymous_size = 0;  // Private memory afterwards, beyond the harness's own.
  std::uint64_t resident_size = 0;   // All resident memory, mapped files included.
};

class Session;

struct Workload {
  std::string name;
  std::string description;
  bool by_default = true;
  std::function<Measurement(Session&)> run;
};
// In the order in which one session runs them: fresh loads, reads of what the last one left,
// then what changes it.
[[nodiscard]] const std::vector<Workload>& workload_list();

// One engine in one scratch directory, from an empty store to the last workload.
// Errors: std::runtime_error for every wrong answer.
class Session {
 public:
  using Report = std::function<void(const std::string& workload, const Measurement&)>;
  // `directory` is created, and belongs to the session.
  Session(const EngineKind& kind, const Settings& settings, std::filesystem::path directory);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

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
  [[nodiscard]] std::uint64_t entry_size() const { return keys_.size() + values_.size(); }

  const Settings& settings_;
  std::filesystem::path directory_;
  KeyMaker keys_;
  ValueMaker values_;
  std::vector<std::uint32_t> order_;  // All numbers, shuffled.
  std::uint64_t anonymous_base_ = 0;
  std::string engine_name_;
  std::unique_ptr<Engine> engine_;
  bool open_ = false, loaded_ = false, warm_ = false;
  std::uint8_t version_ = 0;        // Of every value.
  std::uint64_t erased_count_ = 0;  // The first ones of order_.
};

}  // namespace varve::bench
