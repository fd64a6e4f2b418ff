// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <ostream>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/findings.hpp"
#include "tools/log_operations.hpp"
#include "tools/output.hpp"
#include "tools/text.hpp"
#include "varve/check.hpp"

namespace varve::tools {

namespace {

// The names under which an operation's parts are shown.
struct OperationNames {
  std::string_view kind, first, second;  // An empty `second`: it has none.
};
OperationNames names_of(LogOperation::Kind kind) {
  switch (kind) {
    case LogOperation::Kind::Put:
      return {"put", "key", "value"};
    case LogOperation::Kind::Erase:
      return {"erase", "key", ""};
    case LogOperation::Kind::EraseRange:
      return {"erase_range", "from", "to"};
  }
  return {"unknown", "key", ""};
}

void append_record_text(std::string& to, const LogRecordInfo& record) {
  to += fmt::format("log {} at byte {}: sequence {}, {} operations, {} bytes\n", record.log_number,
                    record.offset, record.sequence, record.operation_count, record.size);
  LogOperationReader reader(record.operations);
  LogOperation operation;
  while (reader.next(operation)) {
    const OperationNames names = names_of(operation.kind);
    to.append("  ").append(names.kind).push_back('\t');
    append_escaped(to, operation.key);
    if (!names.second.empty()) {
      to.push_back('\t');
      append_escaped(to, operation.value);
    }
    to.push_back('\n');
  }
  if (!reader.ok()) to += "  (the rest of the operations cannot be read)\n";
}

void append_record_json(std::string& to, const LogRecordInfo& record) {
  to += fmt::format(
      "{{\"schema\":1,\"log\":{},\"offset\":{},\"size\":{},\"sequence\":{},\"operations\":[",
      record.log_number, record.offset, record.size, record.sequence);
  LogOperationReader reader(record.operations);
  LogOperation operation;
  for (bool is_first = true; reader.next(operation); is_first = false) {
    const OperationNames names = names_of(operation.kind);
    to += is_first ? "" : ",";
    to += fmt::format("{{\"kind\":\"{}\",", names.kind);
    append_json_bytes(to, names.first, operation.key);
    if (!names.second.empty()) {
      to.push_back(',');
      append_json_bytes(to, names.second, operation.value);
    }
    to.push_back('}');
  }
  to += reader.ok() ? "]}\n" : "],\"unreadable\":true}\n";
}

std::string report_text(const LogReport& report) {
  std::string text;
  for (const CheckFinding& finding : report.findings) text += finding_text(finding);
  return text + fmt::format(
                    "result: {}; {} log files, {} records, {} operations, {}, sequences {} "
                    "to {}\n",
                    verdict_text(report.findings), human_count(report.log_count),
                    human_count(report.record_count), human_count(report.operation_count),
                    human_size(report.size), report.first_sequence, report.last_sequence);
}

nlohmann::ordered_json report_json(const LogReport& report) {
  nlohmann::ordered_json json = {{"schema", 1},
                                 {"sound", report.sound()},
                                 {"log_count", report.log_count},
                                 {"record_count", report.record_count},
                                 {"operation_count", report.operation_count},
                                 {"size", report.size},
                                 {"first_sequence", report.first_sequence},
                                 {"last_sequence", report.last_sequence}};
  json["findings"] = findings_json(report.findings);
  return json;
}

int verify_log(CommandLine& line, std::ostream& out) {
  const LogReport report =
      check_log(line.directory(), {}, {.untrusted = line.untrusted(), .lock_wait = line.wait()});
  Output(out).finish_with(line.json() ? json_line(report_json(report)) : report_text(report));
  return report.sound() ? kExitOk : kExitDamage;
}

int dump_log(CommandLine& line, std::ostream& out, std::ostream& err) {
  Output output(out);
  const LogReport report = check_log(line.directory(),
                                     [&](const LogRecordInfo& record) {
                                       line.json() ? append_record_json(output.buffer(), record)
                                                   : append_record_text(output.buffer(), record);
                                       output.written();
                                     },
                                     {.untrusted = line.untrusted(), .lock_wait = line.wait()});
  output.flush();
  err << report_text(report);
  return report.sound() ? kExitOk : kExitDamage;
}

}  // namespace

int log_command(const Arguments& arguments, std::istream&, std::ostream& out, std::ostream& err) {
  const std::string action = arguments.empty() ? "" : arguments[0];
  const bool is_dump = action == "dump";
  CommandLine line(is_dump ? "log dump" : "log verify",
                   is_dump ? "Prints every record of the log, which holds what is in no run yet."
                           : "Checks every record of the log; status 0: sound, 2: damage found.");
  line.with_wait().with_untrusted().with_json(is_dump ? "JSON lines, one for each record"
                                                      : "one JSON object instead of text");
  if (action == "-h" || action == "--help") {
    throw HelpAsked("usage: varve log verify|dump DIR; varve log verify --help tells more\n");
  }
  if (!is_dump && action != "verify") {
    throw UsageError(fmt::format("log: verify or dump expected, {} found",
                                 action.empty() ? "nothing" : in_quotes(action)));
  }
  line.parse({arguments.begin() + 1, arguments.end()});
  return is_dump ? dump_log(line, out, err) : verify_log(line, out);
}

}  // namespace varve::tools
