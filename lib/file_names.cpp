// SPDX-License-Identifier: Apache-2.0
#include "lib/file_names.hpp"

#include <charconv>

namespace varve::internal {

namespace {

constexpr std::string_view kExtension = ".varve";
constexpr std::string_view kTemporaryExtension = ".tmp";

bool strip_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool strip_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

// One number has one spelling: decimal digits without leading zeros.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return number;
}

std::optional<FileName> numbered(FileName::Type type, std::string_view number) {
  const auto parsed = parse_number(number);
  if (!parsed) return std::nullopt;
  return FileName{.type = type, .number = *parsed};
}

std::optional<FileName> parse_lasting_name(std::string_view name) {
  if (name == "LOCK") return FileName{.type = FileName::Type::Lock};
  if (name == "MANIFEST") return FileName{.type = FileName::Type::Manifest};
  if (name == kReserveName) return FileName{.type = FileName::Type::Reserve};
  if (!strip_suffix(name, kExtension)) return std::nullopt;
  if (strip_prefix(name, "log-")) return numbered(FileName::Type::Log, name);
  if (strip_prefix(name, "delta-")) return numbered(FileName::Type::Delta, name);
  if (!strip_prefix(name, "main-")) return std::nullopt;
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto segment_id = parse_number(name.substr(0, dash));
  const auto version = parse_number(name.substr(dash + 1));
  if (!segment_id || !version) return std::nullopt;
  return FileName{.type = FileName::Type::Main, .number = *segment_id, .version = *version};
}

}  // namespace

std::string main_file_name(std::uint64_t segment_id, std::uint64_t version) {
  return "main-" + std::to_string(segment_id) + "-" + std::to_string(version) + ".varve";
}

std::string delta_file_name(std::uint64_t number) {
  return "delta-" + std::to_string(number) + ".varve";
}

std::string log_file_name(std::uint64_t number) {
  return "log-" + std::to_string(number) + ".varve";
}

std::optional<FileName> parse_file_name(std::string_view name) {
  if (!strip_suffix(name, kTemporaryExtension)) return parse_lasting_name(name);
  if (!parse_lasting_name(name)) return std::nullopt;
  return FileName{.type = FileName::Type::Temporary};
}

}  // namespace varve::internal
