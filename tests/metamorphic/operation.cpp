// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/operation.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <random>
#include <stdexcept>
#include <utility>

namespace varve::test::metamorphic {
namespace {

// In the order of Kind.
constexpr std::array<KindInfo, kKindCount> kKinds = {{
    {"put", 1, 1, 1},
    {"erase", 1, 0, 1},
    {"get", 1},
    {"contains", 1},
    {"multi_get", kAny},
    {"batch", 0, 0, 1},
    {"erase_range", 2, 0, 1},
    {"erase_prefix", 1, 0, 1},
    {"scan", 3, 0, 3},
    {"resume", 0, 0, 2},
    {"seek", 1, 0, 2},
    {"fail_fast_scan", 3, 0, 2},
    {"window_scan", 3, 0, 2},
    {"cursor_open", 3, 0, 4},
    {"cursor_next", 0, 0, 2},
    {"cursor_seek", 1, 0, 1},
    {"cursor_release", 0, 0, 1},
    {"snapshot_take", 0, 0, 1},
    {"snapshot_get", 1, 0, 1},
    {"snapshot_multi_get", kAny, 0, 1},
    {"snapshot_scan", 3, 0, 3},
    {"snapshot_release", 0, 0, 1},
    {"flush", 0},
    {"compact", 0},
    {"compact_range", 2},
    {"compact_cancelled", 0},
    {"maintain", 0},
    {"sync", 0},
    {"reopen", 0},
    {"reopen_otherwise", 0, 0, 1},
    {"reopen_read_only", 1, 1, 0},
    {"kill", 0},
    {"power_loss", 0, 0, 1},
    {"check", 0},
    {"figures", 0},
    {"invalid_call", 0, 0, 1},
    {"put_in_time", 1, 1, 0},
    {"put_too_late", 1, 1, 0},
    {"fail_fast_write", 1, 1, 0},
    {"exclusive_write", 1, 1, 0},
    {"typed_put", 1, 1, 0},
    {"typed_get", 1},
    {"typed_scan", 2, 0, 2},
}};
static_assert(static_cast<std::size_t>(Kind::TypedScan) + 1 == kKindCount);

constexpr std::size_t kRunSizeMin = 16;  // Of equal characters that are written as \*N;c.
constexpr std::size_t kRepeatMax = std::size_t{1} << 20;
constexpr std::string_view kHexDigits = "0123456789abcdef";

bool is_plain(char c) noexcept {
  return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

// Reads one line, token by token.
class LineReader {
 public:
  LineReader(std::string_view line, std::size_t number) : rest_(line), number_(number) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw std::invalid_argument("line " + std::to_string(number_) + ": " + what);
  }
  [[nodiscard]] bool at_end() {
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
    return rest_.empty();
  }
  [[nodiscard]] bool at_key() const noexcept { return rest_.starts_with('"'); }
  [[nodiscard]] std::string_view word() {
    const std::string_view found = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(found.size());
    return found;
  }
  [[nodiscard]] std::string key() {
    static_cast<void>(take());
    std::string bytes;
    for (char c = take(); c != '"'; c = take()) {
      if (c != '\\') {
        bytes.push_back(c);
        continue;
      }
      escape(bytes);
    }
    return bytes;
  }
  [[nodiscard]] std::uint64_t number(std::string_view digits) const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) {
      fail("not a number: " + std::string(digits));
    }
    return value;
  }

 private:
  char take() {
    if (rest_.empty()) fail("the key does not end");
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  // What stands behind a backslash.
  void escape(std::string& bytes) {
    const char c = take();
    if (c == '*') {
      const std::size_t size = rest_.find(';');
      if (size == std::string_view::npos) fail("a repetition without ;");
      const std::uint64_t count = number(rest_.substr(0, size));
      if (count > kRepeatMax) fail("too long a repetition");
      rest_.remove_prefix(size + 1);
      bytes.append(static_cast<std::size_t>(count), take());
    } else if (c == 'x') {
      const std::size_t high = kHexDigits.find(take()), low = kHexDigits.find(take());
      if (high > 15 || low > 15) fail("not two hexadecimal digits behind \\x");
      bytes.push_back(static_cast<char>(high * 16 + low));
    } else if (c == '"' || c == '\\') {
      bytes.push_back(c);
    } else {
      fail(std::string("unknown escape \\") + c);
    }
  }

  std::string_view rest_;
  const std::size_t number_;
};

void check_counts(const Operation& operation, bool is_part, const LineReader& reader) {
  const KindInfo& info = kind_info(operation.kind);
  const bool may_be_part = operation.kind == Kind::Put || operation.kind == Kind::Erase ||
                           operation.kind == Kind::EraseRange;
  if (is_part && !may_be_part) reader.fail("no part of a batch: " + std::string(info.name));
  const std::size_t number_count = is_part ? 0 : info.number_count;
  const bool keys_fit =
      info.key_count == kAny ? !operation.keys.empty() : operation.keys.size() == info.key_count;
  if (!keys_fit || operation.values.size() != info.value_count ||
      operation.numbers.size() != number_count) {
    reader.fail("other fields than " + std::string(info.name) + " has");
  }
}

Operation parse_line(std::string_view line, std::size_t number, bool is_part) {
  LineReader reader(line, number);
  if (reader.at_end()) reader.fail("no operation");
  const std::string_view name = reader.word();
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(),
                                   [&](const KindInfo& info) { return info.name == name; });
  if (found == kKinds.end()) reader.fail("unknown operation " + std::string(name));
  Operation operation{.kind = static_cast<Kind>(found - kKinds.begin())};
  while (!reader.at_end()) {
    if (reader.at_key()) {
      operation.keys.push_back(reader.key());
      continue;
    }
    const std::string_view word = reader.word();
    const std::size_t colon = word.find(':');
    if (colon == std::string_view::npos) {
      operation.numbers.push_back(reader.number(word));
    } else {
      operation.values.push_back(
          {reader.number(word.substr(0, colon)), reader.number(word.substr(colon + 1))});
    }
  }
  check_counts(operation, is_part, reader);
  return operation;
}

}  // namespace

std::string Value::bytes() const {
  std::string text(static_cast<std::size_t>(size), '\0');
  std::minstd_rand random(static_cast<std::minstd_rand::result_type>(seed + 1));
  for (char& c : text) c = static_cast<char>(random() >> 8);
  return text;
}

const KindInfo& kind_info(Kind kind) noexcept {
  return kKinds[static_cast<std::size_t>(kind)];
}

std::string key_text(std::string_view key) {
  std::string text = "\"";
  for (std::size_t i = 0; i < key.size();) {
    const char c = key[i];
    const std::size_t end = std::min(key.find_first_not_of(c, i), key.size());
    if (is_plain(c) && end - i >= kRunSizeMin) {
      text.append("\\*").append(std::to_string(end - i)).append(";").push_back(c);
      i = end;
      continue;
    }
    if (is_plain(c)) {
      text.push_back(c);
    } else if (c == '"' || c == '\\') {
      text.append({'\\', c});
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text.append({'\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 15]});
    }
    ++i;
  }
  text.push_back('"');
  return text;
}

std::string to_text(const Operation& operation) {
  std::string text(kind_info(operation.kind).name);
  for (const std::string& key : operation.keys) text.append(" ").append(key_text(key));
  for (const Value& value : operation.values) {
    text.append(" ").append(std::to_string(value.size)).append(":");
    text.append(std::to_string(value.seed));
  }
  for (const std::uint64_t number : operation.numbers) {
    text.append(" ").append(std::to_string(number));
  }
  text.push_back('\n');
  for (const Operation& part : operation.parts) text.append("  ").append(to_text(part));
  return text;
}

std::string to_text(const Operations& operations) {
  std::string text;
  for (const Operation& operation : operations) text += to_text(operation);
  return text;
}

Operations parse_operations(std::string_view text) {
  Operations operations;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t size = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, size);
    text.remove_prefix(std::min(size + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const bool is_part = line.starts_with("  ");
    Operation operation = parse_line(line, number, is_part);
    if (!is_part) {
      operations.push_back(std::move(operation));
    } else if (operations.empty() || operations.back().kind != Kind::Batch) {
      throw std::invalid_argument("line " + std::to_string(number) + ": a part without its batch");
    } else {
      operations.back().parts.push_back(std::move(operation));
    }
  }
  return operations;
}

}  // namespace varve::test::metamorphic
