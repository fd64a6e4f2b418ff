// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "varve/file_statistics.hpp"

namespace varve::tools {

// Said when an index is held by another process.
inline constexpr std::string_view kFilesHint =
    "varve: with --files: what its files tell, without opening it\n";

// `varve stat --files` and `varve stat --watch`: what the files of an index tell, whoever has it.
[[nodiscard]] std::string file_statistics_text(const FileStatistics& figures,
                                               const std::filesystem::path& directory);
[[nodiscard]] nlohmann::ordered_json file_statistics_json(const FileStatistics& figures);

struct WatchOptions {
  std::chrono::milliseconds interval{2'000};
  std::uint64_t count = 0;  // Looks; 0: until stopped.
  bool json = false;
};
// Looks at once and then at every interval, a line each, until a stop signal comes.
// Errors: as file_statistics(); OutputFailure.
void watch(const std::filesystem::path& directory, const WatchOptions& options, std::ostream& out);

}  // namespace varve::tools
