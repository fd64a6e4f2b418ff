// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/measurement.hpp"

namespace varve::bench {

inline constexpr const char* kBaseEngine = "null";  // The harness itself.

// A setting that one run varies, and its value: {"entries", 1'000'000}. No parameter: none varied.
struct ScalePoint {
  std::string parameter;
  std::uint64_t value = 0;
  friend bool operator==(const ScalePoint&, const ScalePoint&) = default;
};

struct Result {
  std::uint32_t repeat = 0;
  std::string engine, workload;
  ScalePoint point;
  Measurement measurement;
};

struct Failure {
  std::uint32_t repeat = 0;
  std::string engine, message;
};

struct Machine {
  std::string processor;
  std::uint32_t core_count = 0;
  std::uint64_t memory_size = 0;
  std::string kernel, file_system;
  std::string memory_limit;  // Of the cgroup that the program was started in; empty: none.
};

struct EngineNote {
  std::string name, version, configuration;
  std::string caution;  // What forbids conclusions; empty: nothing.
};

struct RecordedSettings {
  std::uint64_t entry_count = 0, read_count = 0, synced_count = 0, value_size = 0;
  std::string key_shape, access, reads;
  std::uint64_t segment_size = 0, memory_limit = 0;
  std::string cgroup;
  std::uint64_t seed = 0;
  std::uint32_t repeat_count = 0;
};

// All that a run has found and all that a reader must know to judge it. Reports, comparisons and
// files are made of it alone.
struct Record {
  static constexpr int kSchema = 1;

  int schema = kSchema;
  std::string varve_version, commit, build, compiler;
  std::string started;  // UTC.
  std::string command;
  std::string load;  // Load averages before and after the run.
  Machine machine;
  RecordedSettings settings;
  std::vector<EngineNote> engines = {};
  std::vector<Result> results = {};
  std::vector<Failure> failures = {};
};

}  // namespace varve::bench
