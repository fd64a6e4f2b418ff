// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "varve/options.hpp"

namespace varve::test::metamorphic {

enum class MediumKind : std::uint8_t {
  Memory,
  Simulated,  // The posix directory over the simulated file system: may die, and may be full.
  Posix,      // Real files.
};

// One way to run a list of operations.
struct Configuration {
  std::string name;
  MediumKind medium = MediumKind::Memory;
  Options options;
  bool mappable = true;           // Simulated: false refuses every mapping.
  std::uint64_t fault_every = 0;  // Simulated: every so many operations the medium is full once,
                                  // and the call is made again. 0: never.
  // Every so many operations maintain() is called until nothing is due. 0: never.
  std::uint64_t maintain_every = 0;
  bool eager_hot_path = false;
  // Budgets so small that all kinds of maintenance must occur over a run.
  bool tiny = false;
};

// Every medium, tuning and access mode that the runs compare; names are unique.
[[nodiscard]] std::vector<Configuration> all_configurations();

// The options of `configuration` after a reopening that `number` chooses: other tuning, reads and
// durability, the same access.
[[nodiscard]] Options varied(const Options& options, std::uint64_t number);

}  // namespace varve::test::metamorphic
