// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/data.hpp"
#include "bench/measurement.hpp"
#include "varve/options.hpp"

namespace varve::bench {

struct Settings {
  std::uint64_t entry_count = 1'000'000;
  std::uint64_t read_count = 1'000'000;
  std::uint64_t synced_count = 500;
  std::size_t value_size = 100;
  std::string value_text;  // Not empty: every value is this text, whatever value_size says.
  KeyShape key_shape = KeyShape::Hash16;
  Access access = Access::Concurrent;
  Reads reads = Reads::Mapped;
  std::uint64_t segment_size = 0;  // Of the engines `varve*`; 0: their default.
  std::uint64_t memory_limit = 0;  // Bytes for caches and buffers of an engine; 0: all it likes.
  std::string cgroup;              // Where the limit is enforced; empty: it is only asked for.
  std::uint64_t seed = 1;
  std::vector<std::string> workloads;  // Names; run in the order of workload_list().
  std::vector<std::uint32_t> thread_counts = {1, 2, 4, 8, 16};
  std::vector<std::uint32_t> synced_thread_counts = {1, 4};
};

class Session;

// Workloads of different families run in sessions of their own, each with a load of its own.
enum class Family : std::uint8_t {
  Basic,    // One thread, through the engine itself.
  Threads,  // Each count of Settings::thread_counts.
  Synced,   // Each count of Settings::synced_thread_counts.
  Pair,     // A writer and a reader.
  Ycsb,     // One thread, zipfian keys.
  Hestia,   // HestiaStore's published shape: its keys and values; with 1 and 4 threads.
};

struct Workload {
  std::string name;
  std::string alias;  // Its name in db_bench; empty: none.
  std::string description;
  bool by_default = true;
  // Nothing: the engine has no such operation.
  std::function<std::optional<Measurement>(Session&)> run;
  Family family = Family::Basic;
};
// In the order in which one session runs them: fresh loads, reads of what the last one left,
// then what changes it.
[[nodiscard]] const std::vector<Workload>& workload_list();

// A name that stands for all workloads of some families.
struct WorkloadGroup {
  std::string name;
  std::vector<Family> families;
};
[[nodiscard]] const std::vector<WorkloadGroup>& workload_groups();

// The workloads that names, aliases and groups stand for; all by default when there are none.
// Errors: std::invalid_argument for a word that stands for nothing.
[[nodiscard]] std::vector<std::string> resolve_workloads(const std::vector<std::string>& words);

// The workloads of one session, in which all have the same number of threads.
struct Plan {
  std::uint32_t thread_count = 0;  // As in Measurement.
  Family family = Family::Basic;
  std::vector<std::string> workloads;
};
[[nodiscard]] std::vector<Plan> make_plans(const Settings& settings);

}  // namespace varve::bench
