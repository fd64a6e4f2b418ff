// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/data.hpp"
#include "bench/engine.hpp"
#include "bench/key_versions.hpp"
#include "bench/lap_timer.hpp"
#include "bench/measurement.hpp"
#include "bench/workload.hpp"
#include "bench/ycsb.hpp"

namespace varve::bench {

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

  // Loads, in loads.cpp; each begins with an empty store.
  Measurement load_ascending();
  Measurement load_ascending_batches();
  Measurement load_random();
  Measurement load_random_batches();
  // Reads of the randomly loaded store: reads.cpp.
  Measurement read_hits();
  Measurement read_misses();
  Measurement read_skewed();
  Measurement read_hot();
  Measurement multi_get();
  Measurement seek();
  Measurement seek_and_step();
  Measurement scan();
  Measurement scan_reverse();
  std::optional<Measurement> compact();
  Measurement scan_compacted();
  // Opens: opens.cpp.
  Measurement open_clean();
  Measurement open_killed();
  // Changes: changes.cpp.
  Measurement overwrite();
  Measurement erase();
  Measurement synced_puts();
  // With the threads of the plan: threads.cpp and hestia.cpp.
  Measurement concurrent_reads();
  Measurement concurrent_writes();
  Measurement concurrent_mix();
  Measurement read_while_writing();
  Measurement synced_puts_by_threads();
  Measurement hestia_writes();
  Measurement hestia_reads();
  // ycsb_run.cpp.
  Measurement ycsb(char mix);

 private:
  void start_empty();
  void require_loaded();
  void require_warm();
  // Runs `operations`, then waits for the engine's background work.
  Measurement measure(std::uint64_t operation_count, std::uint64_t user_size,
                      const std::function<void()>& operations);
  // Calls operation(i) for i from 0 to count - 1, and times each.
  template <typename Operation>
  Measurement measure_each(const char* kind, std::uint64_t count, std::uint64_t user_size,
                           Operation&& operation) {
    LatencyHistogram times;
    Measurement result = measure(count, user_size, [&] {
      LapTimer timer;
      for (std::uint64_t i = 0; i < count; ++i) {
        operation(i);
        times.add(timer.lap());
      }
    });
    result.latencies[kind] = summary(times, result.wall_seconds);
    return result;
  }
  // Gets of the present keys whose numbers draw() gives.
  template <typename Draw>
  Measurement measure_hits(const char* workload, Draw&& draw) {
    require_warm();
    std::uint64_t wrong_count = 0;
    const Measurement result = measure_each("get", settings_.read_count, 0, [&](std::uint64_t) {
      const std::string_view key = keys_.present(draw());
      std::string_view value;
      wrong_count += !engine_->get(key, value) || !values_.matches(key, version_, value);
    });
    expect(wrong_count, workload);
    return result;
  }
  using KeyOf = std::function<std::string_view(std::uint64_t)>;
  Measurement load_batches(const char* what, const KeyOf& key_of);
  Measurement measure_seeks(const char* workload, std::uint64_t seek_count, std::uint64_t limit);
  void expect(std::uint64_t wrong_count, const char* what) const;
  void expect_hit(std::uint64_t number);
  void expect_count(std::uint64_t found, std::uint64_t wanted, const char* what) const;
  [[nodiscard]] std::uint64_t live_count() const { return number_count_ - erased_count_; }
  [[nodiscard]] std::uint64_t count_entries();
  [[nodiscard]] const std::string& greatest_key();
  void verify_changes();
  void start_loader();
  [[noreturn]] void load_and_wait_for_death(int ready);
  // Number `rank` of an order that visits every entry once and is not that of the load.
  [[nodiscard]] std::uint64_t changed_at(std::uint64_t rank) const;
  [[nodiscard]] std::vector<Worker> make_workers(std::uint32_t writer_count);
  void read_one(Worker& worker, std::uint64_t number);
  void write_one(Worker& worker, std::uint64_t number, bool synced);
  void run_slice(Worker& worker, std::uint64_t begin, std::uint64_t end, bool mixed);
  Measurement measure_threads(std::uint64_t read_count, std::uint64_t write_count,
                              std::vector<Worker>& workers,
                              const std::function<void()>& operations);
  Measurement write_all(const std::function<std::uint64_t(std::uint64_t)>& number_at);
  void verify_versions();
  void start_ycsb();
  void run_ycsb_one(const YcsbOperation& operation, EntryCheck& check);
  void verify_ycsb();
  [[nodiscard]] std::uint64_t entry_size() const { return keys_.size() + values_.size(); }

  // The process that open_killed() kills. It is forked before an engine is opened: some keep
  // threads for as long as their process lives, and a process that is forked later has none of them
  // and does not know it.
  class Loader {
   public:
    // In the child: load(ready) when it is told to. Errors: std::system_error.
    explicit Loader(const std::function<void(int ready)>& load);
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;
    ~Loader();
    bool load_and_die();  // Until it has written a byte to `ready`. False: it ended before.

   private:
    void await_end() noexcept;

    int process_ = 0, go_ = -1, ready_ = -1;
  };

  const Settings settings_;
  const Plan plan_;
  std::filesystem::path directory_;
  KeyMaker keys_;
  ValueMaker values_;
  std::vector<std::uint32_t> order_;         // All numbers of the load, shuffled.
  const std::uint64_t change_step_;          // Through order_, when all entries are changed.
  std::unique_ptr<KeyVersions> versions_;    // With threads.
  std::vector<std::uint8_t> ycsb_versions_;  // By number.
  std::uint64_t ycsb_wrong_count_ = 0;
  std::uint64_t anonymous_base_ = 0;
  std::string engine_name_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Loader> loader_;  // Until open_killed().
  bool open_ = false, loaded_ = false, warm_ = false;
  std::uint8_t version_ = 0;        // Of every value.
  std::uint64_t number_count_ = 0;  // Keys that were ever put: the numbers below it.
  std::uint64_t erased_count_ = 0;  // The first ones of order_.
  std::string greatest_key_;        // Of number_count_ keys; empty: not known yet.
};

}  // namespace varve::bench
