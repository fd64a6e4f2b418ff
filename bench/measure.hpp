// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

namespace varve::bench {

// What the operating system says about this process.
struct ProcessFigures {
  double cpu_seconds = 0;            // User and system time of all threads.
  std::uint64_t written_size = 0;    // Bytes of pages made dirty in files: /proc/self/io.
  std::uint64_t anonymous_size = 0;  // Resident memory that is no file's: /proc/self/status.
  std::uint64_t mapped_size = 0;     // Resident pages of mapped files, likewise.
};
[[nodiscard]] ProcessFigures process_figures();

// Bytes that the files below `directory` occupy; holes are not counted.
[[nodiscard]] std::uint64_t allocated_size(const std::filesystem::path& directory);

// Reads every file below `directory` once, so that it is in the page cache.
void warm_files(const std::filesystem::path& directory);

// Wall and processor time since construction.
class Stopwatch {
 public:
  Stopwatch();
  [[nodiscard]] double wall_seconds() const;
  [[nodiscard]] double cpu_seconds() const;

 private:
  std::chrono::steady_clock::time_point wall_;
  double cpu_;
};

}  // namespace varve::bench
