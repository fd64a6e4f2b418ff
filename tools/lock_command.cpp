// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <ostream>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/findings.hpp"
#include "tools/output.hpp"
#include "tools/text.hpp"
#include "varve/directory_lock.hpp"
#include "varve/version.hpp"

namespace varve::tools {

namespace {

// "2026-11-21T01:12:09Z"; empty when it is not known.
std::string utc_text(std::int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  if (unix_seconds <= 0 || ::gmtime_r(&time, &parts) == nullptr) return "";
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

bool is_held(const LockStatus& status) {
  return status.state == LockState::LockedByOther || status.state == LockState::LockedByUs;
}

std::string holder_text(const LockHolder& holder) {
  std::string text = fmt::format("  pid {}", holder.pid);
  if (!holder.program.empty()) text += fmt::format(" ({})", escaped(holder.program));
  if (!holder.host.empty()) text += " host " + escaped(holder.host);
  const std::string since = utc_text(holder.since_unix_seconds);
  if (!since.empty()) text += " since " + since;
  if (holder.writer_epoch > 0) text += fmt::format(" epoch {}", holder.writer_epoch);
  return text + (holder.mode == LockMode::Shared ? " (reading)" : " (writing)");
}

std::string status_text(const LockStatus& status) {
  std::string text = is_held(status) ? "held" : "free";
  if (status.holder && is_held(status)) text += holder_text(*status.holder);
  if (status.orphaned) text += "; its owner is gone, a child of it keeps the lock";
  if (status.left_open) text += "; the last writer did not close: the next open recovers";
  if (!status.healthy) text += "; a creation, a recovery or a close is unfinished";
  return text + "\n";
}

nlohmann::ordered_json status_json(const LockStatus& status) {
  nlohmann::ordered_json json = {{"schema", 1},
                                 {"state", to_string(status.state)},
                                 {"held", is_held(status)},
                                 {"left_open", status.left_open},
                                 {"orphaned", status.orphaned},
                                 {"healthy", status.healthy}};
  if (!status.holder) return json;
  const LockHolder& holder = *status.holder;
  nlohmann::ordered_json& one = json["holder"];
  one = {{"pid", holder.pid}, {"process_start_ticks", holder.process_start_ticks}};
  set_json_bytes(one, "program", holder.program);
  set_json_bytes(one, "host", holder.host);
  set_json_bytes(one, "boot_id", holder.boot_id);
  one["writer_epoch"] = holder.writer_epoch;
  one["since"] = utc_text(holder.since_unix_seconds);
  one["mode"] = holder.mode == LockMode::Shared ? "Shared" : "Exclusive";
  return json;
}

}  // namespace

int lock_command(const Arguments& arguments, std::istream&, std::ostream& out, std::ostream& err) {
  const std::string action = arguments.empty() ? "" : arguments[0];
  CommandLine line("lock status",
                   "Shows who has an index, without disturbing anyone; status 4: held, 1: free.");
  line.with_json();
  if (action == "-h" || action == "--help") {
    throw HelpAsked("usage: varve lock status DIR; varve lock status --help tells more\n");
  }
  if (action != "status") {
    throw UsageError(fmt::format("lock: status expected, {} found",
                                 action.empty() ? "nothing" : in_quotes(action)));
  }
  line.parse({arguments.begin() + 1, arguments.end()});
  const LockStatus status = lock_status(line.directory());
  if (line.json()) Output(out).finish_with(status_json(status).dump() + "\n");
  if (status.state == LockState::NotInitialized) {
    err << "varve: " << line.directory().string() << ": there is no index\n";
    return kExitFailed;
  }
  if (!line.json()) Output(out).finish_with(status_text(status));
  return is_held(status) ? kExitLocked : kExitNo;
}

int version_command(const Arguments& arguments, std::istream&, std::ostream& out, std::ostream&) {
  const bool json = arguments.size() == 1 && arguments[0] == "--json";
  if (!arguments.empty() && !json) {
    throw UsageError(
        fmt::format("version: only --json may follow, {} found", in_quotes(arguments[0])));
  }
  const std::string library(version());
  Output(out).finish_with(
      json ? fmt::format("{{\"schema\":1,\"version\":\"{}\",\"library_version\":\"{}\"}}\n",
                         VARVE_VERSION_STRING, library)
           : fmt::format("varve {}{}\n", VARVE_VERSION_STRING,
                         library == VARVE_VERSION_STRING ? "" : " (library " + library + ")"));
  return kExitOk;
}

}  // namespace varve::tools
