// SPDX-License-Identifier: Apache-2.0
#include "tools/lock_text.hpp"

#include <fmt/format.h>

#include <ctime>

#include "tools/findings.hpp"
#include "tools/text.hpp"

namespace varve::tools {

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

nlohmann::ordered_json lock_status_json(const LockStatus& status) {
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

}  // namespace varve::tools
