// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace varve::bench {

// varve-bench amplification: what maintenance writes per byte of the user's, as the model says
// beside as it was, over the number of entries.
class AmplificationCommand {
 public:
  explicit AmplificationCommand(CLI::App& app);
  [[nodiscard]] bool parsed() const { return app_.parsed(); }
  // Errors: std::exception.
  void run() const;

 private:
  CLI::App& app_;
  std::vector<std::string> entries_ = {"250K", "1M", "3M"};
  std::size_t value_size_ = 100;
  std::string memory_budget_ = "8M", segment_size_ = "64M";
  std::filesystem::path directory_ = std::filesystem::temp_directory_path();
  bool simulated_only_ = false;
};

}  // namespace varve::bench
