// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

#include "stress/expected_state.hpp"

namespace varve::stress {

// What a run has done.
struct Figures {
  std::string mode = "store";  // Or "torture".
  std::uint64_t seed = 0;
  std::uint64_t cycles = 0, kills = 0, closes = 0;
  std::uint64_t copies = 0;      // Of stores of stopped processes, each checked and opened.
  std::uint64_t checks = 0;      // varve::check(), deep.
  std::uint64_t operations = 0;  // Of workers; torture: acknowledged steps.
  std::uint64_t recovered = 0;   // Operations that came back from logs.
  std::uint64_t lost = 0;        // Keys that a kill took back to before their last write: legally.
  std::uint64_t keys_read = 0;   // In comparisons, each by two scans and a get.
  std::uint64_t damaged = 0;     // By --plant.
  std::array<std::uint64_t, 3> access{};  // Cycles by Options::access.
  std::array<std::uint64_t, kKindCount> kinds{};
  double seconds = 0;
  std::string problem;  // Empty: sound.
};

[[nodiscard]] std::string figures_text(const Figures& figures);
// Errors: Obstacle.
void write_json(const Figures& figures, const std::filesystem::path& file);

}  // namespace varve::stress
