// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/output.hpp"
#include "tools/progress.hpp"
#include "tools/statistics_json.hpp"
#include "tools/text.hpp"
#include "varve/segment_index.hpp"

namespace varve::tools {

namespace {

void append_row(std::string& to, std::string_view name, const std::string& text) {
  to += fmt::format("{:<14}{}\n", name, text);
}

std::string summary_text(const Statistics& figures, const Options& options,
                         const std::string& path) {
  const SegmentTotals totals = segment_totals(figures);
  std::string text;
  append_row(text, "index", escaped(path));
  append_row(text, "uuid", escaped(figures.uuid));
  append_row(text, "writer epoch",
             fmt::format("{}, manifest edit {}, last sequence {}", figures.writer_epoch,
                         figures.manifest_edit, human_count(figures.last_sequence)));
  if (!options.key_codec.empty() || !options.value_codec.empty()) {
    append_row(text, "codecs",
               fmt::format("keys {}, values {}", in_quotes(options.key_codec),
                           in_quotes(options.value_codec)));
  }
  append_row(text, "segments", human_count(figures.segments.size()));
  append_row(
      text, "runs",
      fmt::format("{} ({} delta runs); at most {} in one segment", human_count(totals.run_count),
                  human_count(totals.delta_run_count), totals.run_count_max));
  append_row(
      text, "entries",
      fmt::format("{} in runs, {} in memory (older versions and deletions included)",
                  human_count(totals.run_entry_count), human_count(totals.memory_entry_count)));
  append_row(text, "disk",
             fmt::format("{}: main runs {}, delta runs {}, log {}", human_size(figures.disk_size),
                         human_size(totals.main_runs_size), human_size(totals.delta_runs_size),
                         human_size(figures.log_disk_size)));
  append_row(text, "memory",
             fmt::format("{} for writes, {} for sparse indexes and filters",
                         human_size(figures.memory_size), human_size(figures.table_memory_size)));
  append_row(text, "read cost",
             fmt::format("{:.2f} runs a segment on average", read_amplification(figures)));
  append_row(text, "space cost",
             totals.main_runs_size == 0
                 ? std::string("no main run yet")
                 : fmt::format("{:.2f} times the main runs", space_amplification(figures)));
  append_row(text, "last close",
             figures.recovered_after_crash
                 ? fmt::format("none: {} operations are in the log alone",
                               human_count(figures.recovered_operation_count))
                 : std::string("clean"));
  return text;
}

std::string segments_text(const Statistics& figures) {
  std::string text =
      fmt::format("\n{:>8} {:>8} {:>11} {:>5} {:>11} {:>12} {:>11}  {}\n", "segment", "version",
                  "main run", "runs", "delta runs", "entries", "memory", "first key");
  for (const SegmentStatistics& segment : figures.segments) {
    text += fmt::format("{:>8} {:>8} {:>11} {:>5} {:>11} {:>12} {:>11}  {}\n", segment.id,
                        segment.version, human_size(segment.main_run_size),
                        segment.delta_run_count + (segment.main_run_size > 0 ? 1 : 0),
                        human_size(segment.delta_runs_size), human_count(segment.run_entry_count),
                        human_size(segment.memory_size), in_quotes(segment.first_key, 32));
  }
  return text;
}

}  // namespace

int stat_command(const Arguments& arguments, std::istream&, std::ostream& out, std::ostream&) {
  CommandLine line("stat", "Shows what an index consists of and what that costs.");
  bool with_segments = false;
  line.with_wait().with_json();
  line.app().add_flag("--segments", with_segments, "also a line for every segment");
  line.parse(arguments);
  const SegmentIndex index = SegmentIndex::open(line.directory(), line.read_options());
  const Statistics figures = index.statistics();
  if (line.json()) {
    nlohmann::ordered_json json = {{"schema", 1}};
    json.update(statistics_json(figures, with_segments));
    Output(out).finish_with(
        json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
    return kExitOk;
  }
  std::string text = summary_text(figures, index.options(), index.path().string());
  if (with_segments) text += segments_text(figures);
  Output(out).finish_with(text);
  return kExitOk;
}

int compact_command(const Arguments& arguments, std::istream&, std::ostream& out,
                    std::ostream& err) {
  CommandLine line("compact", "Merges every segment, or those of a range, into one run each.");
  std::string from, to;
  Spelling spelling;
  line.with_wait().with_json().with_no_progress().with_writing();
  line.app().add_option("--from", from, "segments from this key on");
  line.app().add_option("--to", to, "segments up to this key");
  spelling.add_to(line.app(), false);
  line.parse(arguments);
  from = spelling.bytes(from, "--from");
  to = spelling.bytes(to, "--to");

  SegmentIndex index = SegmentIndex::open(line.directory(), line.write_options(false));
  const std::uint64_t disk_before = index.statistics().disk_size;
  Progress progress(err, !line.no_progress(), "segments");
  CompactOptions options;
  options.from = from;
  options.to = to;
  options.progress = [&](const MaintenanceProgress& state) {
    progress.update_slowly(state.segments_done, state.segments_total, state.segments_done);
  };
  index.compact(options);
  const Statistics figures = index.statistics();
  index.close();
  progress.clear();
  if (line.json()) {
    nlohmann::ordered_json json = {
        {"schema", 1},
        {"seconds", static_cast<double>(progress.elapsed().count()) / 1000},
        {"disk_size_before", disk_before}};
    json["statistics"] = statistics_json(figures, false);
    Output(out).finish_with(json.dump() + "\n");
  } else {
    Output(out).finish_with(fmt::format(
        "compacted: {} segments, {} written, {} -> {} on disk, {}\n", figures.segments.size(),
        human_size(figures.run_bytes_written), human_size(disk_before),
        human_size(figures.disk_size), human_duration(progress.elapsed())));
  }
  return kExitOk;
}

}  // namespace varve::tools
