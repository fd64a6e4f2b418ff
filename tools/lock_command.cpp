// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "tools/command.hpp"
#include "tools/command_line.hpp"
#include "tools/findings.hpp"
#include "tools/lock_text.hpp"
#include "tools/output.hpp"
#include "tools/text.hpp"
#include "varve/directory_lock.hpp"
#include "varve/version.hpp"

namespace varve::tools {

namespace {

std::string status_text(const LockStatus& status) {
  std::string text = is_held(status) ? "held" : "free";
  if (status.holder && is_held(status)) text += holder_text(*status.holder);
  if (status.orphaned) text += "; its owner is gone, a child of it keeps the lock";
  if (status.left_open) text += "; the last writer did not close: the next open recovers";
  if (!status.healthy) text += "; a creation, a recovery or a close is unfinished";
  return text + "\n";
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
  if (line.json()) Output(out).finish_with(json_line(lock_status_json(status)));
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
