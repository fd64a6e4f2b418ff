// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(VARVE_ENABLE_MUTANTS)

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace varve::directory::mutants {

// Faults planted into our own protocols, to test the tests: VARVE_MUTANT("flush.no_log_sync") is
// true in a process whose environment says VARVE_MUTANT=flush.no_log_sync, and `tests/mutants` has
// the list of them with the tests that must fail then. One build has them all, one process at most
// one. Names are <what is going on>.<what is wrong>.
//
// Cost: nothing unless built with VARVE_MUTANTS; there, one load where none is planted.
inline const std::string kChosen = [] {
  const char* const name = std::getenv("VARVE_MUTANT");
  return std::string(name == nullptr ? "" : name);
}();

// Says once that the fault was reached: a test that fails without having met it proves nothing.
[[nodiscard, gnu::noinline]] inline bool meet(std::string_view name) noexcept {
  if (name != kChosen) return false;
  static const int told = std::fprintf(stderr, "mutant met: %s\n", kChosen.c_str());
  return told != 0;
}

[[nodiscard]] inline bool planted(std::string_view name) noexcept {
  return !kChosen.empty() && meet(name);
}

}  // namespace varve::directory::mutants

#define VARVE_MUTANT(name) ::varve::directory::mutants::planted(name)
#else
#define VARVE_MUTANT(name) false
#endif
