// SPDX-License-Identifier: Apache-2.0
#include "tools/findings.hpp"

#include <fmt/format.h>

#include <array>

#include "tools/text.hpp"

namespace varve::tools {

namespace {

std::string_view label(Severity severity) {
  switch (severity) {
    case Severity::Note:
      return "note";
    case Severity::Warning:
      return "WARN";
    case Severity::Damage:
      return "DAMAGED";
  }
  return "DAMAGED";
}

std::string counted(std::size_t count, const char* name) {
  return fmt::format("{} {}{}", count, name, count == 1 ? "" : "s");
}

// A sentence, ready for more to follow.
std::string without_full_stop(const std::string& sentence) {
  std::string text = escaped(sentence);
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

std::string finding_text(const CheckFinding& finding) {
  std::string text = fmt::format("{:<8}", label(finding.severity));
  if (!finding.file.empty()) {
    text += fmt::format("{} at byte {}: ", escaped(finding.file), finding.offset);
  }
  text += without_full_stop(finding.what);
  if (!finding.expected.empty()) text += "; expected " + escaped(finding.expected);
  if (!finding.found.empty()) text += "; found " + escaped(finding.found);
  if (!finding.first_key.empty() || !finding.last_key.empty()) {
    text += fmt::format("; keys {}..{}", in_quotes(finding.first_key), in_quotes(finding.last_key));
  }
  if (finding.entry_count > 0) {
    text += fmt::format("; {} entries", human_count(finding.entry_count));
  }
  if (!finding.advice.empty()) text += "; next: " + without_full_stop(finding.advice);
  return text + "\n";
}

nlohmann::ordered_json findings_json(const std::vector<CheckFinding>& findings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CheckFinding& finding : findings) {
    nlohmann::ordered_json one = {{"severity", to_string(finding.severity)}};
    set_json_bytes(one, "file", finding.file);
    one["offset"] = finding.offset;
    set_json_bytes(one, "what", finding.what);
    set_json_bytes(one, "expected", finding.expected);
    set_json_bytes(one, "found", finding.found);
    if (!finding.first_key.empty() || !finding.last_key.empty()) {
      set_json_bytes(one, "first_key", finding.first_key);
      set_json_bytes(one, "last_key", finding.last_key);
    }
    one["entry_count"] = finding.entry_count;
    set_json_bytes(one, "advice", finding.advice);
    list.push_back(std::move(one));
  }
  return list;
}

std::string verdict_text(const std::vector<CheckFinding>& findings) {
  std::array<std::size_t, 3> counts{};
  for (const CheckFinding& finding : findings) ++counts[static_cast<std::size_t>(finding.severity)];
  const std::size_t notes = counts[static_cast<std::size_t>(Severity::Note)];
  const std::size_t warnings = counts[static_cast<std::size_t>(Severity::Warning)];
  const std::size_t damages = counts[static_cast<std::size_t>(Severity::Damage)];
  return fmt::format("{}  {}, {}, {}", damages > 0 ? "DAMAGED" : "sound", counted(damages, "error"),
                     counted(warnings, "warning"), counted(notes, "note"));
}

std::string json_line(const nlohmann::ordered_json& json) {
  // ASCII only, because the library escapes U+007F to U+009F in no other way.
  return json.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void set_json_bytes(nlohmann::ordered_json& object, const std::string& name,
                    const std::string& bytes) {
  if (is_utf8(bytes)) {
    object[name] = bytes;
  } else {
    object[name + "_hex"] = hex(bytes);
  }
}

}  // namespace varve::tools
