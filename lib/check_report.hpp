// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "varve/check.hpp"
#include "varve/error.hpp"

namespace varve::internal {

// The advice that more than one finding gives.
[[nodiscard]] std::string advice_restore(const std::string& file);
inline constexpr std::string_view kAdviceSalvage =
    "restore the whole directory from a backup, or copy what is readable with: varve dump DIR";

// Gathers findings; each function gives the new one back, to be completed.
// Lifetime: a reference is valid until the next finding. Thread-safety: one thread.
class Findings {
 public:
  explicit Findings(std::vector<CheckFinding>& to) noexcept : to_(to) {}

  CheckFinding& add(Severity severity, std::string file, std::uint64_t offset, std::string what);
  CheckFinding& note(std::string file, std::string what) {
    return add(Severity::Note, std::move(file), 0, std::move(what));
  }
  CheckFinding& damage(std::string file, std::uint64_t offset, std::string what);
  // An Error met while `file` was read. Where its message says "at byte N: X expected, Y found",
  // the finding has these parts of it; `offset` otherwise.
  CheckFinding& damage(std::string file, std::uint64_t offset, const Error& error);
  // The same for the message of a LogScan.
  CheckFinding& from_message(Severity severity, std::string file, std::uint64_t offset,
                             std::string message);

 private:
  std::vector<CheckFinding>& to_;
};

}  // namespace varve::internal
