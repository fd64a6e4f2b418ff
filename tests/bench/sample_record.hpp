// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "bench/record.hpp"

namespace varve::test {

// A result whose operation took `ns`, and its slowest one ten times as long.
inline bench::Result sample_result(std::uint32_t repeat, const std::string& engine,
                                   const std::string& workload, double ns,
                                   std::uint32_t thread_count = 0,
                                   const bench::ScalePoint& point = {}) {
  bench::Measurement m;
  m.operation_count = 1000;
  m.wall_seconds = m.foreground_seconds = m.cpu_seconds = ns * 1000 / 1e9;
  m.user_size = 100'000;
  m.written_size = 250'000;
  m.disk_size = 3 << 20;
  m.raw_size = 2 << 20;
  m.anonymous_size = 5 << 20;
  m.mapped_size = 7 << 20;
  m.thread_count = thread_count;
  bench::Latencies latencies{.count = 1000, .seconds = m.wall_seconds};
  for (std::size_t i = 0; i < latencies.quantiles_ns.size(); ++i) {
    latencies.quantiles_ns[i] = static_cast<std::uint64_t>(ns) * (i + 1);
  }
  latencies.longest_ns = static_cast<std::uint64_t>(ns) * 10;
  m.latencies["get"] = latencies;
  return {repeat, engine, workload, point, m};
}

// Three repeats with a result each.
inline void add_results(bench::Record& record, const std::string& engine,
                        const std::string& workload, std::vector<double> ns,
                        std::uint32_t thread_count = 0, const bench::ScalePoint& point = {}) {
  for (std::uint32_t repeat = 0; repeat < ns.size(); ++repeat) {
    record.results.push_back(
        sample_result(repeat, engine, workload, ns[repeat], thread_count, point));
  }
}

// Four engines: null takes 10 ns, varve 100, slow 400, fast 200, each give or take a tenth.
inline bench::Record sample_record() {
  bench::Record record;
  record.varve_version = "1.2.3";
  record.commit = "0123456789ab";
  record.build = "release";
  record.compiler = "g++ 12";
  record.started = "2026-01-31T12:34:56Z";
  record.command = "varve-bench --n 5 <&\"'>";
  record.load = "0.10 0.20 0.30";
  record.machine = {"A processor", 2, std::uint64_t{24} << 30, "Linux 6", "ext4", ""};
  record.settings = {.entry_count = 1000,
                     .read_count = 1000,
                     .synced_count = 5,
                     .value_size = 100,
                     .key_shape = "hash16",
                     .access = "concurrent",
                     .reads = "mapped",
                     .segment_size = 0,
                     .memory_limit = 0,
                     .cgroup = "",
                     .seed = 1,
                     .repeat_count = 3};
  record.engines = {{"null", "", "the harness", ""},
                    {"varve", "1.2.3", "defaults", ""},
                    {"slow", "7", "options <a> & b", "ASSERTIONS ARE COMPILED IN"},
                    {"fast", "8", "others", ""}};
  for (const auto& [engine, ns] : std::vector<std::pair<std::string, double>>{
           {"null", 10}, {"varve", 100}, {"slow", 400}, {"fast", 200}}) {
    add_results(record, engine, "read_hit", {ns, ns * 0.9, ns * 1.1});
  }
  return record;
}

}  // namespace varve::test
