// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/workload.hpp"

namespace varve::bench {

// What the program does without a subcommand: run, and report.
class RunCommand {
 public:
  explicit RunCommand(CLI::App& app);
  // Returns the exit status: 1 when a session failed.
  // Errors: std::exception for what cannot be done at all.
  [[nodiscard]] int run(const std::string& command_line);

 private:
  void define_data(CLI::App& app);
  void define_limits(CLI::App& app);
  void define_output(CLI::App& app);
  void complete();

  Settings settings_;
  std::vector<std::string> engines_;  // Empty: those by default.
  std::vector<std::string> workloads_, scale_;
  std::uint32_t repeat_count_ = 3;
  std::uint32_t settle_seconds_ = 0;
  std::filesystem::path directory_ = std::filesystem::temp_directory_path();
  std::string key_shape_ = "hash16", access_ = "concurrent", reads_ = "mapped";
  std::string segment_size_, memory_limit_, warm_memory_, scale_data_ = "2G";
  std::string json_file_, report_file_;
  bool quick_ = false, list_ = false;
};

}  // namespace varve::bench
