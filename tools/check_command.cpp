// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <ostream>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/findings.hpp"
#include "tools/output.hpp"
#include "tools/progress.hpp"
#include "tools/text.hpp"
#include "varve/check.hpp"

namespace varve::tools {

namespace {

std::string report_text(const CheckReport& report, const std::string& path, bool deep,
                        std::chrono::milliseconds elapsed) {
  std::string text = fmt::format(
      "checked {} (writer epoch {}, manifest edit {}): {} files, {} segments, {} runs, {} log "
      "records\n",
      escaped(path), report.writer_epoch, report.manifest_edit, human_count(report.file_count),
      human_count(report.segment_count), human_count(report.run_count),
      human_count(report.log_record_count));
  for (const CheckFinding& finding : report.findings) text += finding_text(finding);
  text += fmt::format(
      "result: {}; {} verified{}, {}\n", verdict_text(report.findings), human_size(report.size),
      deep ? fmt::format(", {} blocks with {} entries", human_count(report.block_count),
                         human_count(report.entry_count))
           : std::string(" (--deep reads every block)"),
      human_duration(elapsed));
  return text;
}

nlohmann::ordered_json report_json(const CheckReport& report, bool deep,
                                   std::chrono::milliseconds elapsed) {
  nlohmann::ordered_json json = {{"schema", 1},
                                 {"sound", report.sound()},
                                 {"deep", deep},
                                 {"file_count", report.file_count},
                                 {"segment_count", report.segment_count},
                                 {"run_count", report.run_count},
                                 {"block_count", report.block_count},
                                 {"entry_count", report.entry_count},
                                 {"log_record_count", report.log_record_count},
                                 {"size", report.size},
                                 {"writer_epoch", report.writer_epoch},
                                 {"manifest_edit", report.manifest_edit},
                                 {"seconds", static_cast<double>(elapsed.count()) / 1000}};
  json["findings"] = findings_json(report.findings);
  return json;
}

}  // namespace

int check_command(const Arguments& arguments, std::istream&, std::ostream& out, std::ostream& err) {
  CommandLine line("check",
                   "Looks for damage and changes nothing; status 0: sound, 2: damage found.");
  bool deep = false;
  line.with_wait().with_untrusted().with_json().with_no_progress();
  line.app().add_flag("--deep", deep, "also every block, every key, every filter");
  line.parse(arguments);
  Progress progress(err, !line.no_progress(), "bytes");
  CheckOptions options;
  options.deep = deep;
  options.untrusted = line.untrusted();
  options.lock_wait = line.wait();
  options.progress = [&](const CheckProgress& state) {
    progress.update_slowly(state.done_size, state.total_size, state.done_size);
  };
  const CheckReport report = check(line.directory(), options);
  progress.clear();
  Output(out).finish_with(
      line.json() ? json_line(report_json(report, deep, progress.elapsed()))
                  : report_text(report, line.directory().string(), deep, progress.elapsed()));
  return report.sound() ? kExitOk : kExitDamage;
}

}  // namespace varve::tools
