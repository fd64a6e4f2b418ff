// SPDX-License-Identifier: Apache-2.0
#include "lib/check_report.hpp"

#include <charconv>
#include <utility>

namespace varve::internal {

namespace {

// Takes the path of the file, which the report names anyway and which may hold any text, out of a
// message.
std::string without_path(std::string message, const std::string& path) {
  if (path.empty()) return message;
  if (message.starts_with(path + ", ")) message.erase(0, path.size() + 2);
  return message;
}

// The parts of "..., WHAT at byte OFFSET: EXPECTED expected, FOUND found; ...".
void split_message(CheckFinding& finding) {
  const std::string_view text = finding.what;
  static constexpr std::string_view kExpected = " expected, ", kFound = " found";
  const std::size_t colon = text.find(": ");
  if (colon == std::string_view::npos) return;
  const std::size_t byte = text.substr(0, colon).rfind("byte ");
  if (byte != std::string_view::npos) {
    std::uint64_t offset = 0;
    const char* const end = text.data() + colon;
    const auto [stopped, error] = std::from_chars(text.data() + byte + 5, end, offset);
    if (error == std::errc{} && stopped == end) finding.offset = offset;
  }
  const std::size_t expected_at = colon + 2;
  const std::size_t expected_end = text.find(kExpected, expected_at);
  if (expected_end == std::string_view::npos) return;
  const std::size_t found_at = expected_end + kExpected.size();
  const std::size_t found_end = text.find(kFound, found_at);
  if (found_end == std::string_view::npos) return;
  finding.expected = text.substr(expected_at, expected_end - expected_at);
  finding.found = text.substr(found_at, found_end - found_at);
}

}  // namespace

std::string advice_restore(const std::string& file) {
  return "restore " + file +
         " from a backup of the same moment, or copy what is readable with: varve dump DIR";
}

CheckFinding& Findings::add(Severity severity, std::string file, std::uint64_t offset,
                            std::string what) {
  CheckFinding& finding = to_.emplace_back();
  finding.severity = severity;
  finding.file = std::move(file);
  finding.offset = offset;
  finding.what = std::move(what);
  return finding;
}

CheckFinding& Findings::damage(std::string file, std::uint64_t offset, std::string what) {
  CheckFinding& finding = add(Severity::Damage, std::move(file), offset, std::move(what));
  finding.advice = advice_restore(finding.file);
  return finding;
}

CheckFinding& Findings::damage(std::string file, std::uint64_t offset, const Error& error) {
  std::string message = without_path(error.what(), error.path().string());
  CheckFinding& finding =
      from_message(Severity::Damage, std::move(file), offset, std::move(message));
  finding.advice = advice_restore(finding.file);
  if (error.code() == ErrorCode::Unsupported) {
    finding.advice = "upgrade Varve; this version cannot read it";
  } else if (error.system()) {
    finding.expected = "readable bytes";
    finding.found = error.system().message();
    finding.advice = "see the system's log for the device, check permissions; then " +
                     advice_restore(finding.file);
  }
  return finding;
}

CheckFinding& Findings::from_message(Severity severity, std::string file, std::uint64_t offset,
                                     std::string message) {
  CheckFinding& finding = add(severity, std::move(file), offset, std::move(message));
  split_message(finding);
  return finding;
}

}  // namespace varve::internal
