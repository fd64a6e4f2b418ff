// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

namespace varve::test {

// The command line of a soak over scenarios drawn at random:
//
//   NAME [--seconds N] [--seed S]
//
// Seeds S, S + 1, ... until a problem is found or the seconds are over, one at least.
struct Soak {
  std::string_view name;
  std::function<std::string(std::uint64_t seed)> scenario;  // Returns the problem; empty: none.
  std::function<std::string()> summary;                     // Of all scenarios so far.
  std::function<void()> tell;                               // See tell_reached().
};

inline constexpr int kSoakUsage = 64;

// Exit status: 0 nothing wrong, 1 a problem or an exception (told on `err`), 64 arguments that are
// not as above; then nothing has run.
[[nodiscard]] int run_soak(const Soak& soak, std::span<const char* const> arguments,
                           std::ostream& out, std::ostream& err);

}  // namespace varve::test
