// SPDX-License-Identifier: Apache-2.0
#include "tools/run_figures.hpp"

#include <fmt/format.h>

#include "tools/text.hpp"

namespace varve::tools {

void append_row(std::string& to, std::string_view name, const std::string& text) {
  to += fmt::format("{:<14}{}\n", name, text);
}

void append_run_rows(std::string& to, const RunStatistics& runs) {
  append_row(to, "segments", human_count(runs.segment_count));
  append_row(
      to, "runs",
      fmt::format("{} ({} delta runs); at most {} in one segment", human_count(runs.run_count),
                  human_count(runs.delta_run_count), runs.run_count_max));
}

void add_run_figures(nlohmann::ordered_json& to, const RunStatistics& runs) {
  to["segment_count"] = runs.segment_count;
  to["run_count"] = runs.run_count;
  to["run_count_max"] = runs.run_count_max;
  to["delta_run_count"] = runs.delta_run_count;
  to["main_runs_size"] = runs.main_runs_size;
  to["delta_runs_size"] = runs.delta_runs_size;
  to["run_entry_count"] = runs.run_entry_count;
  to["range_tombstone_count"] = runs.range_tombstone_count;
  to["read_amplification"] = runs.read_amplification();
  to["space_amplification"] = runs.space_amplification();
}

}  // namespace varve::tools
