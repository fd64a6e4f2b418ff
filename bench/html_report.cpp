// SPDX-License-Identifier: Apache-2.0
#include "bench/html_report.hpp"

#include "bench/html.hpp"
#include "bench/html_workload.hpp"
#include "bench/table.hpp"
#include "bench/text_report.hpp"

namespace varve::bench {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --faint: #d8dce1;
  --good: #0a7a3d; --bad: #b3261e; --c0: #8a919a; --c1: #0b62c4; --c2: #c2570c; --c3: #1d8348;
  --c4: #8e44ad; --c5: #b9770e; --c6: #117a8b; --c7: #c0396b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --paper: #15181c; --faint: #3a4048;
  --good: #5ad18b; --bad: #ff8a80; --c0: #9aa2ac; --c1: #6cb0ff; --c2: #ff9e5e; --c3: #63d297;
  --c4: #cf9be8; --c5: #f0c060; --c6: #5cc8d8; --c7: #ff85ad; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--faint); }
a { color: var(--c1); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--faint); }
.text { text-align: left; }
.ahead { color: var(--good); } .behind { color: var(--bad); font-weight: bold; }
.best { font-weight: bold; } .failed { color: var(--bad); font-weight: bold; }
svg { display: block; width: 100%; font: 12px system-ui, sans-serif; margin: .6rem 0; }
svg text { fill: var(--ink); } .end { text-anchor: end; } .mid { text-anchor: middle; }
.start { text-anchor: start; } .grid { stroke: var(--faint); }
.line { fill: none; stroke-width: 2; }
.inner { fill: var(--ink); fill-opacity: .35; } .whisker { stroke: var(--ink); stroke-width: 1.5; }
.range { stroke-opacity: .5; stroke-width: 3; }
rect.c0, circle.c0 { fill: var(--c0); } line.c0, polyline.c0 { stroke: var(--c0); }
rect.c1, circle.c1 { fill: var(--c1); } line.c1, polyline.c1 { stroke: var(--c1); }
rect.c2, circle.c2 { fill: var(--c2); } line.c2, polyline.c2 { stroke: var(--c2); }
rect.c3, circle.c3 { fill: var(--c3); } line.c3, polyline.c3 { stroke: var(--c3); }
rect.c4, circle.c4 { fill: var(--c4); } line.c4, polyline.c4 { stroke: var(--c4); }
rect.c5, circle.c5 { fill: var(--c5); } line.c5, polyline.c5 { stroke: var(--c5); }
rect.c6, circle.c6 { fill: var(--c6); } line.c6, polyline.c6 { stroke: var(--c6); }
rect.c7, circle.c7 { fill: var(--c7); } line.c7, polyline.c7 { stroke: var(--c7); }
)";

constexpr const char* kLegend =
    "Medians over the repeats; times in ns an operation unless a unit is there. wall: until "
    "background work has ended; calls: until the last call returned; cpu: all threads. harness: "
    "the "
    "share of the wall time that null takes, the cost of making keys, checking answers and timing "
    "each operation; the dark part of a bar. varve x: how many times less wall time Varve takes, "
    "the "
    "median of the ratios per repeat (min-max); green: ahead in every repeat, red: behind in every "
    "repeat; net x: the same without the harness. Bold: the best peer. device x: bytes written to "
    "the device per byte of the user's. "
    "raw "
    "x: bytes of files per byte of keys and values. private: resident memory that is no file's; "
    "mapped: of files. A latency is the time from the end of the operation before to the end of "
    "this "
    "one; its curves are medians over the repeats with the range behind them.";

std::string paragraph(const std::string& name, const std::string& text) {
  return element("p", element("b", escaped(name)) + " " + escaped(text)) + "\n";
}

std::string head(const Record& record) {
  std::string content = element("h1", "Varve benchmarks") + "\n";
  content += paragraph("Varve", record.varve_version +
                                    (record.commit.empty() ? "" : ", commit " + record.commit) +
                                    ", " + record.started);
  content += paragraph("Machine:", machine_text(record));
  content += paragraph("Load:", record.load);
  content += paragraph("Settings:", settings_text(record.settings));
  content +=
      element("p", element("b", "Command:") + " " + element("code", escaped(record.command))) +
      "\n";
  for (const Failure& failure : record.failures) {
    content += element("p",
                       escaped("FAILED: " + failure.engine + ", repeat " +
                               std::to_string(failure.repeat + 1) + ": " + failure.message),
                       "failed") +
               "\n";
  }
  std::vector<std::vector<Cell>> rows = {{{"engine"}, {"version"}, {"configuration"}}};
  for (const EngineNote& engine : record.engines) {
    rows.push_back({{engine.name}, {engine.version}, {engine.configuration}});
    if (!engine.caution.empty()) rows.push_back({{""}, {""}, {engine.caution, "failed"}});
  }
  return content + html_table(rows, 3) + element("p", kLegend) + "\n";
}

std::string overview(const Record& record, const std::vector<Group>& groups) {
  const std::string own = own_engine(record);
  std::vector<std::vector<Cell>> rows = {
      {{"workload"}, {"best peer"}, {own + " ns"}, {"peer ns"}, {"varve x"}}};
  for (const Group& group : groups) {
    const std::string peer = best_peer(record, group);
    const auto time = [&](const std::string& engine) -> Cell {
      const auto wall = spread(wall_times(series_of(record, group, engine)));
      return {wall ? time_text(wall->median) : ""};
    };
    const auto ratio = standing(record, group);
    rows.push_back({{label(group)},
                    {peer},
                    time(own),
                    time(peer),
                    {ratio_text(ratio), ratio ? standing_class(*ratio) : ""}});
  }
  return element("h2", "Against the best peer") + "\n" + html_table(rows, 2);
}

}  // namespace

void write_html_report(std::ostream& out, const Record& record) {
  const std::vector<Group> groups = groups_of(record);
  out << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      << element("title", "Varve benchmarks " + escaped(record.started)) << "\n"
      << element("style", kStyle) << "\n</head>\n<body>\n"
      << head(record) << overview(record, groups);
  for (std::size_t begin = 0; begin < groups.size();) {
    std::size_t end = begin;
    while (end < groups.size() && groups[end].workload == groups[begin].workload) ++end;
    out << workload_section(record, groups[begin].workload,
                            {groups.begin() + static_cast<std::ptrdiff_t>(begin),
                             groups.begin() + static_cast<std::ptrdiff_t>(end)});
    begin = end;
  }
  out << "</body>\n</html>\n";
}

}  // namespace varve::bench
