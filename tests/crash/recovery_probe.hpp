// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tests/crash/scenario.hpp"

namespace varve::test {

// What a medium turned out to hold.
struct Recovered {
  Contents contents;
  std::string problem;  // Empty: it could be opened, and the checker found no damage.
};

// Recovers copies of a medium after a crash, which itself stays as it is.
class RecoveryProbe {
 public:
  RecoveryProbe(const Options& options, const Medium& medium);

  [[nodiscard]] Recovered recover() const;  // The deep check, open(), a scan.
  [[nodiscard]] Model model() const;        // All that is in it.
  // Each says what is wrong; empty: nothing.
  // The same contents must be seen without changing a byte.
  [[nodiscard]] std::string open_read_only(const Contents& expected) const;
  // Writes, compacts, closes, checks, reopens and compares by scans both ways and gets.
  [[nodiscard]] std::string go_on() const;
  // On the medium itself, which may be watched.
  [[nodiscard]] std::string open_and_close() const;

 private:
  const Medium& medium_;
  const Options options_;
};

// Damage that varve::check finds, deep; empty: none, or there is no index.
[[nodiscard]] std::string damage_of(const Medium& medium);

}  // namespace varve::test
