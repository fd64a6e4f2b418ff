// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "tests/crash/allocation_run.hpp"
#include "tests/crash/scenario.hpp"

namespace varve::test {

struct AllocationReport {
  std::uint64_t allocations = 0;  // Of the whole script, about where threads allocate.
  std::uint64_t points = 0;       // Runs in which one failed.
  std::uint64_t thrown = 0, latched = 0, absorbed = 0;  // Of these.
  std::string problem;
};
[[nodiscard]] std::string to_string(const AllocationReport& report);

// Runs a script on real files once per allocation that the engine makes (or per `stride` of them),
// and again with all later ones failing as well.
//
// A call that fails says so by Error or std::bad_alloc. If the index then goes on, the call had no
// effect and all later ones succeed; if it does not, it refuses to write until it is opened again.
// Nothing aborts, nothing leaks, a deep check finds no damage, and each open finds what was
// acknowledged. Scenario::before: each run begins with the files that a killed process left.
//
// Where threads of the index allocate, a job may fail behind the caller's back. Then a write that
// must wait for it says so, once: a flush() settles it. Runs in which the nth allocation never came
// are not counted.
[[nodiscard]] AllocationReport sweep_allocations(const Script& script, AllocationMode mode,
                                                 std::uint64_t stride = 1);

}  // namespace varve::test
