// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/runner.hpp"

namespace varve::bench {

// 1500, 10K, 1M, 2G: thousands for counts, 1,024s for sizes.
// Errors: std::invalid_argument that quotes the text.
[[nodiscard]] std::uint64_t parse_count(std::string_view text);
[[nodiscard]] std::uint64_t parse_size(std::string_view text);

// What `words` ("entries=1M,10M", "value_size=8,1K", "segment_size=1M..16M", "threads=1..16")
// make of the settings: one point for each value, of one parameter at a time; the settings alone
// when there is nothing to vary. a..b doubles from a to b. Threads are no points but the settings'
// list, as every result names its number of threads. `data_size_max`: with larger values, so many
// fewer entries and reads.
// Errors: std::invalid_argument for an unknown parameter or a value out of its range.
[[nodiscard]] std::vector<RunPoint> scale_points(Settings settings,
                                                 const std::vector<std::string>& words,
                                                 std::uint64_t data_size_max);

}  // namespace varve::bench
