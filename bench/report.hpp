// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "bench/runner.hpp"

namespace varve::bench {

// What a reader must know to judge the figures.
struct Environment {
  std::string machine;  // Processor, cores, memory, kernel, file system.
  std::string load;     // Of the machine, before and after the run.
  std::string command;
};
[[nodiscard]] std::string describe_machine(const std::filesystem::path& scratch);
[[nodiscard]] std::string describe_load();  // Load averages of 1, 5 and 15 minutes.

// A Markdown table, which reads well as plain text too: medians over the repeats.
void print_table(std::ostream& out, const Run& run, const std::vector<EngineKind>& engines,
                 const Settings& settings, const Environment& environment);
// Every measurement of every repeat.
void print_json(std::ostream& out, const Run& run, const std::vector<EngineKind>& engines,
                const Settings& settings, const Environment& environment);

}  // namespace varve::bench
