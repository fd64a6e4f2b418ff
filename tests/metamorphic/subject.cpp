// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/subject.hpp"

#include <array>
#include <charconv>

#include "directory/checksum.hpp"

namespace varve::test::metamorphic {
namespace {

std::string hexadecimal(std::uint64_t number) {
  std::array<char, 16> digits;
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16);
  return {digits.data(), result.ptr};
}

std::uint64_t mixed(std::uint64_t hash, std::string_view bytes) {
  return directory::hash64(bytes, hash + bytes.size());
}

}  // namespace

std::string answer(const std::optional<std::string>& value) {
  if (!value) return "absent";
  return std::to_string(value->size()) + " bytes #" + hexadecimal(directory::hash64(*value));
}

std::string answer(const std::vector<std::optional<std::string>>& values) {
  std::string text;
  for (const auto& value : values) text.append(text.empty() ? "" : ", ").append(answer(value));
  return text;
}

std::string answer(const Entries& entries) {
  if (entries.empty()) return "no entries";
  std::uint64_t hash = 0;
  for (const auto& [key, value] : entries) hash = mixed(mixed(hash, key), value);
  return std::to_string(entries.size()) + " entries from " + key_text(entries.front().first) +
         " to " + key_text(entries.back().first) + " #" + hexadecimal(hash);
}

std::string answer(const Entries& entries, ScanEnd end) {
  return answer(entries).append(", ").append(to_string(end));
}

ScanOptions scan_options(const Operation& operation, bool has_limit) {
  ScanOptions options{
      .from = operation.keys[0], .to = operation.keys[1], .prefix = operation.keys[2]};
  options.reverse = operation.numbers[0] != 0;
  if (has_limit) options.limit = operation.numbers[1];
  return options;
}

}  // namespace varve::test::metamorphic
