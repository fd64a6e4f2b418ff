// SPDX-License-Identifier: Apache-2.0
// Files and directories of a run, handled from outside the library.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace varve::stress {

// Copies a directory with everything in it; `to` is replaced.
// Errors: Obstacle.
void copy_store(const std::filesystem::path& from, const std::filesystem::path& to);
void remove_store(const std::filesystem::path& directory);

// A fresh directory below the system's one for temporary files.
[[nodiscard]] std::filesystem::path make_run_directory();

// The directories at or below `root` that hold an index.
[[nodiscard]] std::vector<std::filesystem::path> stores_below(const std::filesystem::path& root);

// Losses and damage that a run must find: for the tests of this program.
enum class Plant : std::uint8_t {
  None,
  StaleStore,   // The whole store is replaced by an older copy of itself.
  ShortLog,     // The newer half of the log's bytes is zeroed.
  FlippedBits,  // One in the middle of every main run.
};
[[nodiscard]] std::optional<Plant> parse_plant(std::string_view name);
// False: the store has nothing to do it to.
[[nodiscard]] bool damage_store(Plant plant, const std::filesystem::path& store,
                                const std::filesystem::path& older);

}  // namespace varve::stress
