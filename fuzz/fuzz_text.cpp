// SPDX-License-Identifier: Apache-2.0
// Strategy: any bytes as keys to be printed, as text that a person typed, and as the arguments of a
// command, one to a NUL. Invariants: what is printed is UTF-8 without control characters and comes
// back as it was; sizes, durations, escapes and arguments are read or refused, never crash.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "directory/check.hpp"
#include "tools/command_line.hpp"
#include "tools/text.hpp"

namespace {

using namespace varve::tools;

bool is_printable(std::string_view text) {
  if (!is_utf8(text)) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) return false;
    if (byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) return false;
  }
  return true;
}

void check_printed(std::string_view bytes) {
  const std::string text = escaped(bytes);
  std::string back;
  std::size_t error_offset = 0;
  VARVE_CHECK(is_printable(text) && unescape(text, back, error_offset) && back == bytes);
  VARVE_CHECK(is_printable(in_quotes(bytes)) && is_printable(printable(bytes)));
  back.clear();
  VARVE_CHECK(unhex(hex(bytes), back, error_offset) && back == bytes);
  std::string json = "{";
  append_json_bytes(json, "key", bytes);
  const auto object = nlohmann::json::parse(json + "}");
  VARVE_CHECK(is_utf8(bytes) ? object.at("key").get<std::string>() == bytes
                             : object.at("key_hex").get<std::string>() == hex(bytes));
}

void check_typed(std::string_view text) {
  std::string bytes;
  std::size_t error_offset = 0;
  if (!unescape(text, bytes, error_offset)) VARVE_CHECK(error_offset < text.size());
  bytes.clear();
  if (!unhex(text, bytes, error_offset)) VARVE_CHECK(error_offset <= text.size());
  static_cast<void>(parse_size(text));
  if (const auto duration = parse_duration(text)) {
    VARVE_CHECK(duration->count() >= 0);
    static_cast<void>(human_duration(*duration));
  }
  static_cast<void>(nearest(text.substr(0, 64), {"--durability", "--json", "check"}));
}

void check_arguments(std::string_view text) {
  varve::tools::Arguments arguments;
  for (std::size_t begin = 0; begin <= text.size() && arguments.size() < 16;) {
    const std::size_t end = std::min(text.find('\0', begin), text.size());
    arguments.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  CommandLine line("fuzz", "reads arguments");
  line.with_wait().with_untrusted().with_json().with_no_progress().with_writing();
  Spelling spelling;
  spelling.add_to(line.app(), true);
  try {
    line.parse(arguments);
    static_cast<void>(line.read_options());
    static_cast<void>(line.write_options(true));
    static_cast<void>(spelling.bytes(arguments.back(), "the key"));
  } catch (const UsageError&) {
  } catch (const HelpAsked&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_printed(text);
  check_typed(text);
  check_arguments(text);
  return 0;
}
