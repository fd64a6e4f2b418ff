// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "bench/record.hpp"

namespace varve::bench {

// Markdown tables, which read well as plain text too: medians over the repeats.
void print_text_report(std::ostream& out, const Record& record);

// A Markdown table whose first row is its head and whose first `text_count` columns are text.
void print_rows(std::ostream& out, const std::vector<std::vector<std::string>>& rows,
                std::size_t text_count = 2);
// Rates and latencies of the measurements that have any; nothing when none has.
void print_latencies(std::ostream& out, const Record& record);
// One line: processor, cores, memory, system, file system.
[[nodiscard]] std::string machine_text(const Record& record);
// One line: entries, keys, values, and what else was chosen.
[[nodiscard]] std::string settings_text(const RecordedSettings& settings);

}  // namespace varve::bench
