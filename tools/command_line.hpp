// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/App.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tools/command.hpp"
#include "varve/options.hpp"

namespace varve::tools {

// Not an error: --help was given; what() is the text.
class HelpAsked : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The arguments of one command: DIR first, then what the command adds.
// Errors: parse() throws UsageError, which names the nearest option for one that is unknown.
class CommandLine {
 public:
  CommandLine(std::string_view name, std::string_view summary);

  [[nodiscard]] CLI::App& app() noexcept { return app_; }
  // --wait, of every command that opens the index.
  CommandLine& with_wait();
  // --untrusted, of the commands that read.
  CommandLine& with_untrusted();
  CommandLine& with_json(std::string_view help = "one JSON object instead of text");
  CommandLine& with_no_progress();
  // --durability, --access, --segment-size, --memory-budget, --memory-limit.
  CommandLine& with_writing();
  void parse(const Arguments& arguments);

  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }
  [[nodiscard]] std::chrono::milliseconds wait() const noexcept { return wait_; }
  [[nodiscard]] bool untrusted() const noexcept { return untrusted_; }
  [[nodiscard]] bool json() const noexcept { return json_; }
  [[nodiscard]] bool no_progress() const noexcept { return no_progress_; }
  // To open for reading: the shared lock, nothing on disk changes.
  [[nodiscard]] Options read_options() const;
  // To open for writing.
  [[nodiscard]] Options write_options(bool create_if_missing) const;

 private:
  std::string name_;
  CLI::App app_;
  std::filesystem::path directory_;
  std::string directory_text_, wait_text_, durability_text_ = "process", access_text_ = "bare";
  std::string segment_size_text_, memory_budget_text_, memory_limit_text_;
  std::chrono::milliseconds wait_ = kOpenWaitDefault;
  Options writing_;
  bool json_ = false, no_progress_ = false, untrusted_ = false;
};

// Options that say how keys and values on the command line are spelled, and how they are printed.
// As they are typed, unless --hex or --escaped.
struct Spelling {
  bool hex = false, escaped = false;
  void add_to(CLI::App& app, bool also_printed);
  // Errors: UsageError.
  [[nodiscard]] std::string bytes(std::string_view text, std::string_view what) const;
};

}  // namespace varve::tools
