// SPDX-License-Identifier: Apache-2.0
#include "tools/watch.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "tools/findings.hpp"
#include "tools/lock_text.hpp"
#include "tools/output.hpp"
#include "tools/run_figures.hpp"
#include "tools/stop_signals.hpp"
#include "tools/text.hpp"

namespace varve::tools {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kLinesPerHeader = 20;
constexpr std::string_view kHeader =
    "time      holder        edit    last write  written/s  segments   runs     main runs    delta "
    "runs          disk           log\n";

std::string now_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return utc_text(std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

std::string short_holder(const LockStatus& lock) {
  if (!is_held(lock)) return "-";
  return lock.holder ? fmt::format("pid {}", lock.holder->pid) : std::string("unknown");
}

// `before`: the look before this one, `elapsed` ago.
std::string watch_line(const FileStatistics& now, const std::optional<FileStatistics>& before,
                       Clock::duration elapsed) {
  std::string rate = "-";
  const double seconds = std::chrono::duration<double>(elapsed).count();
  if (before && seconds > 0 && now.last_sequence >= before->last_sequence) {
    const auto writes = static_cast<double>(now.last_sequence - before->last_sequence);
    rate = human_count(static_cast<std::uint64_t>(writes / seconds));
  }
  // Of the time, "2026-11-21T01:12:09Z", the part of the day.
  const std::string time = now_text();
  return fmt::format("{:<8}  {:<11} {:>6} {:>13} {:>10} {:>9} {:>6} {:>13} {:>13} {:>13} {:>13}\n",
                     time.size() == 20 ? time.substr(11, 8) : "", short_holder(now.lock),
                     now.manifest_edit, human_count(now.last_sequence), rate,
                     human_count(now.runs.segment_count), human_count(now.runs.run_count),
                     human_size(now.runs.main_runs_size), human_size(now.runs.delta_runs_size),
                     human_size(now.disk_size), human_size(now.log_disk_size));
}

// False: a stop signal came first.
bool wait_until(Clock::time_point time, const StopSignals& stop) {
  pollfd polled = {.fd = stop.fd(), .events = POLLIN, .revents = 0};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - Clock::now());
    const auto timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
    const int count = ::poll(&polled, 1, timeout_ms);
    if (count > 0) return false;
    if (count == 0 && Clock::now() >= time) return true;
  }
}

}  // namespace

std::string file_statistics_text(const FileStatistics& figures,
                                 const std::filesystem::path& directory) {
  const RunStatistics& runs = figures.runs;
  std::string text;
  append_row(text, "index", escaped(directory.string()));
  append_row(text, "uuid", escaped(figures.uuid));
  append_row(
      text, "lock",
      is_held(figures.lock)
          ? "held" + (figures.lock.holder ? holder_text(*figures.lock.holder) : "")
          : std::string(figures.lock.left_open ? "free; the last writer did not close" : "free"));
  append_row(text, "writer epoch",
             fmt::format("{}, manifest edit {}, last sequence {} as of then", figures.writer_epoch,
                         figures.manifest_edit, human_count(figures.last_sequence)));
  append_run_rows(text, runs);
  append_row(text, "entries",
             fmt::format("{} in runs (older versions and deletions included); memory and log "
                         "cannot be seen from here",
                         human_count(runs.run_entry_count)));
  append_row(text, "disk",
             fmt::format("{} in {} files: main runs {}, delta runs {}, log {}",
                         human_size(figures.disk_size), human_count(figures.file_count),
                         human_size(runs.main_runs_size), human_size(runs.delta_runs_size),
                         human_size(figures.log_disk_size)));
  append_row(text, "read cost",
             fmt::format("{:.2f} runs a segment on average", runs.read_amplification()));
  return text;
}

nlohmann::ordered_json file_statistics_json(const FileStatistics& figures) {
  nlohmann::ordered_json json = {{"uuid", is_utf8(figures.uuid) ? figures.uuid : hex(figures.uuid)},
                                 {"writer_epoch", figures.writer_epoch},
                                 {"manifest_edit", figures.manifest_edit},
                                 {"last_sequence", figures.last_sequence},
                                 {"closed_cleanly", figures.closed_cleanly},
                                 {"file_count", figures.file_count},
                                 {"disk_size", figures.disk_size},
                                 {"log_file_count", figures.log_file_count},
                                 {"log_disk_size", figures.log_disk_size},
                                 {"live_log_count", figures.live_log_count}};
  add_run_figures(json, figures.runs);
  json["lock"] = lock_status_json(figures.lock);
  return json;
}

void watch(const std::filesystem::path& directory, const WatchOptions& options, std::ostream& out) {
  const StopSignals stop;
  Output output(out);
  std::optional<FileStatistics> before;
  Clock::time_point looked_before, next = Clock::now();
  for (std::uint64_t i = 0; options.count == 0 || i < options.count; ++i) {
    if (i > 0 && !wait_until(next, stop)) return;
    const FileStatistics now = file_statistics(directory);
    const Clock::time_point looked = Clock::now();
    if (options.json) {
      nlohmann::ordered_json json = {{"schema", 1}, {"time", now_text()}};
      json.update(file_statistics_json(now));
      output.write(json_line(json));
    } else {
      if (i % kLinesPerHeader == 0) output.write(kHeader);
      output.write(watch_line(now, before, looked - looked_before));
    }
    output.flush();
    before = now;
    looked_before = looked;
    next = std::max(next + options.interval, looked);
  }
}

}  // namespace varve::tools
