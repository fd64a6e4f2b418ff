// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "bench/record.hpp"

namespace varve::bench {

// `scratch`: where the stores will lie.
[[nodiscard]] Machine describe_machine(const std::filesystem::path& scratch);
[[nodiscard]] std::string describe_load();   // Load averages of 1, 5 and 15 minutes.
[[nodiscard]] std::string describe_build();  // "release", or what is not one.
[[nodiscard]] std::string describe_compiler();
[[nodiscard]] std::string utc_now();  // 2026-01-31T12:34:56Z
// Of the sources, when the program was built; empty: not known.
[[nodiscard]] std::string source_commit();

}  // namespace varve::bench
