// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace varve::fuzz {

// The seed of the file that a fuzzed run pretends to lie in.
inline constexpr std::uint64_t kRunSeed = 0x5eed;

// A run lies at the beginning of its file or behind others.
[[nodiscard]] constexpr std::uint64_t run_offset(std::uint8_t choice) noexcept {
  return (choice & 1) != 0 ? 4096 : 0;
}

struct RunPlace {
  std::uint64_t offset = 0;  // In its file.
  std::uint64_t seed = kRunSeed;
};

// One of several runs: of one and of several blocks, with versions, tombstones and long values.
[[nodiscard]] std::string fresh_run(RunPlace place, std::uint32_t choice);
// Changes one part of the run (blocks, separator section, filter or footer), chosen by `choice`,
// by `mutate`; then corrects sizes, counts and checksums elsewhere, so that the reader gets as far
// as the change itself. A few choices leave some of that wrong. An image that is no run is replaced
// by a fresh one.
void mutate_run(std::string& image, RunPlace place, std::uint32_t choice,
                const std::function<void(std::string&)>& mutate);

}  // namespace varve::fuzz
