// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "varve/statistics.hpp"

namespace varve::tools {

// A line of a report: its name in a column of its own, then its text.
void append_row(std::string& to, std::string_view name, const std::string& text);
// The rows "segments" and "runs".
void append_run_rows(std::string& to, const RunStatistics& runs);
// What is known of runs from their files alone; sizes in bytes.
void add_run_figures(nlohmann::ordered_json& to, const RunStatistics& runs);

}  // namespace varve::tools
