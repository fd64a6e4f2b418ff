// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

#include "varve/options.hpp"

namespace varve::bench {

enum class LoadOrder : std::uint8_t { Random, Sequential };

// A load of distinct keys into an empty index.
struct PlannedLoad {
  std::uint64_t entry_count = 0;
  double key_size = 16, value_size = 100;  // Bytes, on average.
  LoadOrder order = LoadOrder::Random;
};

// What maintenance writes during such a load, until none is due: runs, blocks to footers. Bytes.
struct AmplificationFigures {
  double user_size = 0;  // Keys and values.
  double written_size = 0;
  // Of these, by a model: flushes into slices, merges of a tier, merges into main runs.
  double slices_size = 0, tiers_size = 0, mains_size = 0;
  std::uint64_t segment_count = 0;

  [[nodiscard]] double amplification() const noexcept {
    return user_size == 0 ? 0 : written_size / user_size;
  }
};

// By a model of the policy of Access::Bare, without a byte written: which segments a flush takes,
// what goes straight into a main run, when a tier or a main run is merged, where segments split,
// and when neighbours become one, all by the options (docs/ARCHITECTURE.md, "Maintenance"). A
// random load is spread over the segments evenly by their widths, without chance.
[[nodiscard]] AmplificationFigures simulate_load(const PlannedLoad& load, const Options& options);

// By Varve itself, in a directory that is not there yet. The parts by the model stay 0.
// Errors: varve::Error.
[[nodiscard]] AmplificationFigures measure_load(const PlannedLoad& load, Options options,
                                                const std::filesystem::path& directory);

}  // namespace varve::bench
