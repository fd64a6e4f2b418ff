// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ostream>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/findings.hpp"
#include "tools/output.hpp"
#include "tools/progress.hpp"
#include "tools/run_figures.hpp"
#include "tools/statistics_json.hpp"
#include "tools/text.hpp"
#include "tools/watch.hpp"
#include "varve/error.hpp"
#include "varve/segment_index.hpp"

namespace varve::tools {

namespace {

std::string shape_text(const Statistics& figures) {
  const RunStatistics& runs = figures.runs;
  std::string text;
  append_run_rows(text, runs);
  append_row(text, "entries",
             fmt::format("{} in runs, {} in memory (older versions and deletions included)",
                         human_count(runs.run_entry_count), human_count(runs.memory_entry_count)));
  append_row(text, "disk",
             fmt::format("{}: main runs {}, delta runs {}, log {}", human_size(figures.disk_size),
                         human_size(runs.main_runs_size), human_size(runs.delta_runs_size),
                         human_size(figures.log_disk_size)));
  return text;
}

std::string cost_text(const Statistics& figures) {
  const RunStatistics& runs = figures.runs;
  const MemoryStatistics& memory = figures.memory;
  const std::uint64_t named_size =
      figures.memory_size + memory.sparse_indexes_size + memory.filters_size;
  const std::uint64_t rest_size = memory.total_size() - std::min(memory.total_size(), named_size);
  std::string text;
  append_row(
      text, "memory",
      fmt::format("{}: {} for writes, {} for sparse indexes, {} for filters, {} for the rest",
                  human_size(memory.total_size()), human_size(figures.memory_size),
                  human_size(memory.sparse_indexes_size), human_size(memory.filters_size),
                  human_size(rest_size)));
  append_row(text, "mapped",
             fmt::format("{} of runs (address space)", human_size(memory.mapped_runs_size)));
  append_row(text, "read cost",
             fmt::format("{:.2f} runs a segment on average", runs.read_amplification()));
  append_row(text, "space cost",
             runs.main_runs_size == 0
                 ? std::string("no main run yet")
                 : fmt::format("{:.2f} times the main runs", runs.space_amplification()));
  const CompactionStatistics& merges = figures.compaction;
  append_row(text, "merges due",
             merges.due_segment_count == 0
                 ? std::string("none")
                 : fmt::format("in {} segments, {} to read", human_count(merges.due_segment_count),
                               human_size(merges.due_size)));
  return text;
}

std::string summary_text(const Statistics& figures, const Options& options,
                         const std::string& path) {
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
  text += shape_text(figures);
  text += cost_text(figures);
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

// `--watch 5`, `--watch 500ms`, or `--watch` alone.
std::chrono::milliseconds parse_interval(const std::string& text) {
  if (text.empty()) return WatchOptions().interval;
  const bool is_plain = text.find_first_not_of("0123456789") == std::string::npos;
  const auto interval = parse_duration(is_plain ? text + "s" : text);
  if (!interval || interval->count() == 0) {
    throw UsageError(fmt::format(
        "--watch: seconds, or a duration such as 500ms, expected, {} found", in_quotes(text)));
  }
  return *interval;
}

void show_files(const CommandLine& line, std::ostream& out) {
  const FileStatistics figures = file_statistics(line.directory());
  if (!line.json()) {
    Output(out).finish_with(file_statistics_text(figures, line.directory()));
    return;
  }
  nlohmann::ordered_json json = {{"schema", 1}};
  json.update(file_statistics_json(figures));
  Output(out).finish_with(json_line(json));
}

void show_index(const CommandLine& line, bool with_segments, std::ostream& out) {
  const SegmentIndex index = SegmentIndex::open(line.directory(), line.read_options());
  const Statistics figures = index.statistics();
  if (line.json()) {
    nlohmann::ordered_json json = {{"schema", 1}};
    json.update(statistics_json(figures, with_segments));
    Output(out).finish_with(json_line(json));
    return;
  }
  std::string text = summary_text(figures, index.options(), index.path().string());
  if (with_segments) text += segments_text(figures);
  Output(out).finish_with(text);
}

}  // namespace

int stat_command(const Arguments& arguments, std::istream&, std::ostream& out, std::ostream& err) {
  CommandLine line("stat", "Shows what an index consists of and what that costs.");
  bool with_segments = false, files = false;
  std::string interval;
  WatchOptions watching;
  line.with_wait().with_untrusted().with_json();
  CLI::Option* const segments =
      line.app().add_flag("--segments", with_segments, "also a line for every segment");
  line.app()
      .add_flag("--files", files,
                "what the files tell, without opening the index: also while another process has it")
      ->excludes(segments);
  CLI::Option* const watch_option =
      line.app()
          .add_option("--watch", interval,
                      "as --files, a line every so many seconds, until stopped; default: 2")
          ->expected(0, 1)
          ->type_name("[SECONDS]")
          ->excludes(segments);
  line.app()
      .add_option("--count", watching.count, "with --watch: ends after so many lines")
      ->needs(watch_option);
  line.parse(arguments);
  if (watch_option->count() > 0) {
    watching.interval = parse_interval(interval);
    watching.json = line.json();
    watch(line.directory(), watching, out);
  } else if (files) {
    show_files(line, out);
  } else {
    try {
      show_index(line, with_segments, out);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Locked) err << kFilesHint;
      throw;
    }
  }
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
    Output(out).finish_with(json_line(json));
  } else {
    Output(out).finish_with(fmt::format(
        "compacted: {} segments, {} written, {} -> {} on disk, {}\n", figures.runs.segment_count,
        human_size(figures.run_bytes_written), human_size(disk_before),
        human_size(figures.disk_size), human_duration(progress.elapsed())));
  }
  return kExitOk;
}

}  // namespace varve::tools
