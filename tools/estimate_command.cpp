// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>
#include <ostream>
#include <string>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/findings.hpp"
#include "tools/output.hpp"
#include "tools/statistics_json.hpp"
#include "tools/text.hpp"
#include "varve/memory_estimate.hpp"

namespace varve::tools {

namespace {

std::string estimate_text(const MemoryEstimate& estimate) {
  std::string text = fmt::format("{:<16} {:>12} {:>12}\n", "memory of", "at open", "at most");
  std::map<std::string, std::uint64_t> most;
  for_each_memory_owner(estimate.at_most,
                        [&](const char* owner, std::uint64_t size) { most[owner] = size; });
  const auto row = [&text](const char* name, std::uint64_t at_open, std::uint64_t at_most) {
    text += fmt::format("{:<16} {:>12} {:>12}\n", name, human_size(at_open), human_size(at_most));
  };
  for_each_memory_owner(estimate.at_open, [&](const char* owner, std::uint64_t size) {
    if (size != 0 || most[owner] != 0) row(owner, size, most[owner]);
  });
  row("together", estimate.at_open.total_size(), estimate.at_most.total_size());
  row("each open scan", estimate.at_open.cursor_size, estimate.at_most.cursor_size);
  row("mapped runs", estimate.at_open.mapped_runs_size, estimate.at_most.mapped_runs_size);
  row("mapped log", estimate.at_open.mapped_log_size, estimate.at_most.mapped_log_size);
  return text;
}

}  // namespace

int estimate_command(const Arguments& arguments, std::istream&, std::ostream& out, std::ostream&) {
  CommandLine line("estimate",
                   "Says what memory an index will take when it is opened, without opening it.");
  line.with_writing().with_json();
  line.parse(arguments);
  const MemoryEstimate estimate = estimate_memory(line.directory(), line.write_options(false));
  if (line.json()) {
    Output(out).finish_with(json_line({{"schema", 1},
                                       {"at_open", memory_json(estimate.at_open)},
                                       {"at_most", memory_json(estimate.at_most)}}));
  } else {
    Output(out).finish_with(estimate_text(estimate));
  }
  return kExitOk;
}

}  // namespace varve::tools
