// SPDX-License-Identifier: Apache-2.0
#include "tools/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>

namespace varve::tools {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_hex_byte(std::string& to, unsigned char byte) {
  to.push_back(kHexDigits[byte >> 4]);
  to.push_back(kHexDigits[byte & 15]);
}

// True for a byte that is printed as it is wherever it stands.
constexpr bool is_plain(unsigned char byte) noexcept {
  return byte >= 0x20 && byte < 0x7f && byte != '\\';
}

void append_escape(std::string& to, unsigned char byte) {
  to.push_back('\\');
  switch (byte) {
    case '\t':
      to.push_back('t');
      break;
    case '\n':
      to.push_back('n');
      break;
    case '\r':
      to.push_back('r');
      break;
    case '\\':
      to.push_back('\\');
      break;
    default:
      to.push_back('x');
      append_hex_byte(to, byte);
  }
}

// U+0080 to U+009F: control characters that terminals obey.
bool is_c1_control(std::string_view bytes, std::size_t offset) noexcept {
  return static_cast<unsigned char>(bytes[offset]) == 0xc2 &&
         static_cast<unsigned char>(bytes[offset + 1]) < 0xa0;
}

// A number and what follows it.
struct NumberAndUnit {
  std::uint64_t number = 0;
  std::string_view unit;
};

std::optional<NumberAndUnit> split_number(std::string_view text) {
  NumberAndUnit parts;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, parts.number);
  if (error != std::errc() || rest == text.data()) return std::nullopt;
  parts.unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  return parts;
}

}  // namespace

std::size_t utf8_length(std::string_view bytes, std::size_t offset) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[offset + i]); };
  const std::size_t left = bytes.size() - offset;
  const auto continues = [&](std::size_t count) {
    for (std::size_t i = 1; i <= count; ++i) {
      if ((at(i) & 0xc0U) != 0x80U) return false;
    }
    return true;
  };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return left >= 2 && continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (left < 3 || !continues(2)) return 0;
    if (first == 0xe0 && at(1) < 0xa0) return 0;   // Overlong.
    if (first == 0xed && at(1) >= 0xa0) return 0;  // A surrogate.
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (left < 4 || !continues(3)) return 0;
    if (first == 0xf0 && at(1) < 0x90) return 0;
    if (first == 0xf4 && at(1) >= 0x90) return 0;
    return 4;
  }
  return 0;
}

bool is_utf8(std::string_view bytes) noexcept {
  for (std::size_t offset = 0; offset < bytes.size();) {
    const std::size_t length = utf8_length(bytes, offset);
    if (length == 0) return false;
    offset += length;
  }
  return true;
}

void append_escaped(std::string& to, std::string_view bytes) {
  for (std::size_t offset = 0; offset < bytes.size();) {
    std::size_t end = offset;
    while (end < bytes.size() && is_plain(static_cast<unsigned char>(bytes[end]))) ++end;
    to.append(bytes.substr(offset, end - offset));
    offset = end;
    if (offset == bytes.size()) break;
    const std::size_t length = utf8_length(bytes, offset);
    if (length <= 1) {
      append_escape(to, static_cast<unsigned char>(bytes[offset]));
      ++offset;
    } else if (is_c1_control(bytes, offset)) {
      append_escape(to, static_cast<unsigned char>(bytes[offset]));
      append_escape(to, static_cast<unsigned char>(bytes[offset + 1]));
      offset += 2;
    } else {
      to.append(bytes.substr(offset, length));
      offset += length;
    }
  }
}

std::string printable(std::string_view message) {
  std::string text;
  for (;;) {
    const std::size_t backslash = message.find('\\');
    append_escaped(text, message.substr(0, backslash));
    if (backslash == std::string_view::npos) return text;
    text.push_back('\\');
    message.remove_prefix(backslash + 1);
  }
}

std::string escaped(std::string_view bytes) {
  std::string text;
  append_escaped(text, bytes);
  return text;
}

std::string in_quotes(std::string_view bytes, std::size_t size_max) {
  std::string text = "\"";
  for (const char c : escaped(bytes.substr(0, size_max))) {
    if (c == '"') text.push_back('\\');
    text.push_back(c);
  }
  return text + (bytes.size() > size_max ? "\"..." : "\"");
}

bool unescape(std::string_view text, std::string& to, std::size_t& error_offset) {
  for (std::size_t offset = 0; offset < text.size();) {
    const std::size_t slash = std::min(text.find('\\', offset), text.size());
    to.append(text.substr(offset, slash - offset));
    offset = slash;
    if (offset == text.size()) break;
    error_offset = offset;
    if (offset + 1 == text.size()) return false;
    const char kind = text[offset + 1];
    offset += 2;
    switch (kind) {
      case 't':
        to.push_back('\t');
        break;
      case 'n':
        to.push_back('\n');
        break;
      case 'r':
        to.push_back('\r');
        break;
      case '\\':
        to.push_back('\\');
        break;
      case 'x': {
        if (text.size() - offset < 2) return false;
        const int high = hex_value(text[offset]), low = hex_value(text[offset + 1]);
        if (high < 0 || low < 0) return false;
        to.push_back(static_cast<char>(high * 16 + low));
        offset += 2;
        break;
      }
      default:
        return false;
    }
  }
  return true;
}

void append_hex(std::string& to, std::string_view bytes) {
  for (const char c : bytes) append_hex_byte(to, static_cast<unsigned char>(c));
}

std::string hex(std::string_view bytes) {
  std::string text;
  append_hex(text, bytes);
  return text;
}

bool unhex(std::string_view text, std::string& to, std::size_t& error_offset) {
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
    if (high < 0 || low < 0) {
      error_offset = high < 0 ? i : i + 1;
      return false;
    }
    to.push_back(static_cast<char>(high * 16 + low));
  }
  return true;
}

void append_json_string(std::string& to, std::string_view text) {
  to.push_back('"');
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0xc2 && is_c1_control(text, i)) {
      to.append("\\u00");
      append_hex_byte(to, static_cast<unsigned char>(text[++i]));
    } else if (byte >= 0x20 && byte != 0x7f && c != '"' && c != '\\') {
      to.push_back(c);
    } else if (c == '"' || c == '\\') {
      to.push_back('\\');
      to.push_back(c);
    } else if (c == '\n') {
      to.append("\\n");
    } else if (c == '\t') {
      to.append("\\t");
    } else {
      to.append("\\u00");
      append_hex_byte(to, byte);
    }
  }
  to.push_back('"');
}

void append_json_bytes(std::string& to, std::string_view name, std::string_view bytes) {
  to.append("\"").append(name);
  if (is_utf8(bytes)) {
    to.append("\":");
    append_json_string(to, bytes);
  } else {
    to.append("_hex\":\"");
    append_hex(to, bytes);
    to.push_back('"');
  }
}

std::string human_size(std::uint64_t size) {
  if (size < 1024) return fmt::format("{} B", size);
  static constexpr std::string_view kUnits = "KMGTPE";
  double amount = static_cast<double>(size) / 1024;
  std::size_t unit = 0;
  while (amount >= 1023.95 && unit + 1 < kUnits.size()) {
    amount /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}iB", amount, kUnits[unit]);
}

std::string human_count(std::uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string human_duration(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 120'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  const auto seconds = ms / 1000;
  if (seconds < 7200) return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {:02} min", seconds / 3600, seconds / 60 % 60);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto parts = split_number(text);
  if (!parts) return std::nullopt;
  std::string unit;
  for (const char c : parts->unit) {
    const bool upper = c >= 'A' && c <= 'Z';
    unit.push_back(upper ? static_cast<char>(c + ('a' - 'A')) : c);
  }
  int shift = 0;
  if (unit == "k" || unit == "kib" || unit == "kb") {
    shift = 10;
  } else if (unit == "m" || unit == "mib" || unit == "mb") {
    shift = 20;
  } else if (unit == "g" || unit == "gib" || unit == "gb") {
    shift = 30;
  } else if (!unit.empty() && unit != "b") {
    return std::nullopt;
  }
  if (parts->number > std::numeric_limits<std::uint64_t>::max() >> shift) return std::nullopt;
  return parts->number << shift;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::uint64_t kMillisecondsMax = std::uint64_t{1} << 40;  // 34 years.
  const auto parts = split_number(text);
  if (!parts) return std::nullopt;
  std::uint64_t factor = 0;
  if (parts->unit == "ms" || (parts->unit.empty() && parts->number == 0)) {
    factor = 1;
  } else if (parts->unit == "s") {
    factor = 1000;
  } else if (parts->unit == "m" || parts->unit == "min") {
    factor = 60'000;
  } else if (parts->unit == "h") {
    factor = 3'600'000;
  }
  if (factor == 0 || parts->number > kMillisecondsMax / factor) return std::nullopt;
  return std::chrono::milliseconds(parts->number * factor);
}

std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  constexpr std::size_t kWordSizeMin = 4;  // Of shorter ones every two are near.
  if (word.size() < kWordSizeMin) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = 1 + std::max<std::size_t>(2, word.size() / 3);
  for (const std::string& candidate : candidates) {
    // Levenshtein's distance, row by row.
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i + 1;
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t replaced = diagonal + (word[i] == candidate[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace varve::tools
