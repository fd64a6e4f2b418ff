// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "bench/record.hpp"
#include "bench/table.hpp"

namespace varve::bench {

// The part of the report on one workload: for each of its groups a table of costs, one of
// latencies, bars and latency curves; curves over what varies, when there are several groups.
[[nodiscard]] std::string workload_section(const Record& record, const std::string& workload,
                                           const std::vector<Group>& groups);

// How Varve stands in one group against the best peer: above 1, ahead. None: there is no peer.
[[nodiscard]] std::optional<Spread> standing(const Record& record, const Group& group);
// "ahead", "behind" or "even": which of them the whole range of the ratios says.
[[nodiscard]] const char* standing_class(const Spread& ratio) noexcept;

}  // namespace varve::bench
