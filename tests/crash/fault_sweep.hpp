// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "directory/simulated_file_system.hpp"
#include "tests/crash/scenario.hpp"

namespace varve::test {

// What a call on the file system is made to do.
struct FaultKind {
  const char* name;
  int error_number;            // 0: a read comes up short, a mapping is refused; nothing else can.
  bool partial = false;        // A write does half of it first.
  bool drop_unsynced = false;  // A sync leaves its bytes clean and unwritten, as Linux does.
};
[[nodiscard]] const std::vector<FaultKind>& fault_kinds();

// A fault that no caller need hear of, with the reason.
struct Absorbed {
  directory::Operation operation;
  const char* name_part;
  int error_number;  // -1: any.
  const char* why;
};
[[nodiscard]] const std::vector<Absorbed>& absorbed_faults();

// A sync whose failure need not end all writing, with the reason.
struct Unlatched {
  directory::Operation operation;
  const char* step_before;  // How the step before it begins: a directory has no name.
  int error_number;         // -1: any.
  const char* why;
};
[[nodiscard]] const std::vector<Unlatched>& unlatched_syncs();

struct FaultSweepOptions {
  std::uint64_t seed = 1;
  std::size_t stride = 1;  // Every so many points only.
};

struct FaultReport {
  std::uint64_t calls = 0;   // On the file system, of a run without faults.
  std::uint64_t points = 0;  // Runs, each with its fault.
  std::uint64_t surfaced = 0, absorbed = 0;
  std::uint64_t latched = 0;                         // Runs that ended in Lifecycle::Failed.
  std::uint64_t went_on = 0;                         // Runs in which later writes succeeded.
  std::map<std::string, std::uint64_t> absorbed_as;  // By operation and reason.
  std::string problem;                               // Empty: none.

  void add(const FaultReport& other);
};

// Runs the script once per call that it makes on the file system, kind of fault and mode: `once`,
// the call alone fails; `sticky`, it and all later ones of its kind. The fault must show: as an
// Error of some call, in health() or in statistics(), or be on the list above. Nothing may abort,
// and reads give what was written or an Error. Then the fault goes, and the index is closed, or its
// process or its machine dies; what is found at the next open must be what the writes that returned
// left, with or without one write that failed last, and the same again at the open after that.
[[nodiscard]] FaultReport sweep_faults(const Script& script, const FaultSweepOptions& options);

[[nodiscard]] std::string to_string(const FaultReport& report);

}  // namespace varve::test
