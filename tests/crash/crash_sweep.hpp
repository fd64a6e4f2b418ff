// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/crash/scenario.hpp"

namespace varve::test {

struct SweepOptions {
  std::uint64_t seed = 1;
  // At every moment: before each step that the engine takes on the medium, and between calls.
  std::size_t states_per_moment = 22;  // Outcomes of power loss; the process's death comes on top.
  std::size_t stride = 1;              // Every so many moments only.
  // Of the distinct states that were met, every so many...
  std::size_t read_only_every = 16;    // ...is opened read-only before it is recovered,
  std::size_t go_on_every = 24;        // ...is written to, compacted, closed, checked and reopened,
  std::size_t crash_again_every = 0;   // ...has its recovery crash at every step (0: none),
  std::size_t crash_thrice_every = 0;  // ...and of the states after that, again.
  std::size_t states_per_nested_moment = 3;
};

struct SweepReport {
  std::uint64_t steps = 0, moments = 0;
  std::uint64_t states = 0;     // After one crash, judged by what was acknowledged by then.
  std::uint64_t nested = 0;     // After a second crash, in the recovery from the first.
  std::uint64_t nested_3 = 0;   // After a third one, in the recovery from the second.
  std::uint64_t recovered = 0;  // Distinct media of all these: checked, opened and read.
  std::uint64_t went_on = 0, opened_read_only = 0;
  Figures figures;
  std::string problem;  // Empty: none.

  void add(const SweepReport& other);
};

// Runs the script once and lets it crash at every moment: the medium is copied as power loss or the
// death of the process would leave it, and the copy is checked (varve::check, deep), recovered, and
// compared with LegalStates. States are told apart by SimulatedFileSystem::fingerprint(): one that
// was recovered before is only judged again.
[[nodiscard]] SweepReport sweep_crashes(const Script& script, const SweepOptions& options);

// As a line to print.
[[nodiscard]] std::string to_string(const SweepReport& report);
// For whoever makes a longer run.
void tell_reached(const SweepReport& report);

}  // namespace varve::test
