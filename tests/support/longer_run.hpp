// SPDX-License-Identifier: Apache-2.0
// What a longer run asks of a test, by its environment, and what the test tells it: tools/nightly
// reads the lines.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace varve::test {

// The number that the environment variable holds, or `otherwise`.
[[nodiscard]] inline std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// "reached 216000 states after one crash", as a line of its own; lines about the same thing add up.
inline void tell_reached(std::uint64_t count, const char* what) {
  std::printf("reached %llu %s\n", static_cast<unsigned long long>(count), what);
  std::fflush(stdout);
}

}  // namespace varve::test
