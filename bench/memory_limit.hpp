// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace varve::bench {

// A control group below one that the user names and may write to (version 1 or 2), in which a
// process and the pages of files that it reads may take so much memory. Removed at the end.
//
// Errors: std::runtime_error that names the file which could not be written, or says what the group
// that the user named lacks.
class MemoryCgroup {
 public:
  MemoryCgroup(const std::filesystem::path& parent, const std::string& name, std::uint64_t limit);
  ~MemoryCgroup();
  MemoryCgroup(const MemoryCgroup&) = delete;
  MemoryCgroup& operator=(const MemoryCgroup&) = delete;

  void enter() const;  // The calling process, with what it will start.
  // Processes that the kernel has killed in it because its memory was used up.
  [[nodiscard]] std::uint64_t killed_count() const;

 private:
  void limit_to(std::uint64_t limit) const;

  std::filesystem::path path_;
};

}  // namespace varve::bench
