// SPDX-License-Identifier: Apache-2.0
#include "tests/concurrent_index/workout_keys.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>

#include "directory/bytes.hpp"

namespace varve::test {
namespace {

constexpr std::string_view kPrefix = "workout/";
constexpr std::size_t kHeadSize = 12;  // Bytes: the value's number, the key's number.

}  // namespace

std::string key_name(KeyNumber key) {
  return std::string(kPrefix) + std::to_string(10'000 + key);
}

std::optional<KeyNumber> key_number(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  KeyNumber number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  if (number < 10'000 || number - 10'000 >= kKeyCount) return std::nullopt;
  return number - 10'000;
}

std::vector<KeyGroup> key_groups() {
  std::vector<KeyGroup> groups(kGroupCount);
  for (KeyNumber block = 0; block < kBlockCount; ++block) {
    for (KeyNumber group = 0; group < kGroupCount; ++group) {
      groups[group].push_back(block * kBlockSize + kSinglesPerBlock + group);
    }
  }
  return groups;
}

std::string value_bytes(KeyNumber key, ValueNumber value) {
  const std::uint64_t mixed = (value ^ ValueNumber{key} << 20) * 0x9e3779b97f4a7c15ULL;
  std::string bytes;
  directory::append_le(bytes, value);
  directory::append_le(bytes, key);
  bytes.resize(100 + (mixed >> 32) % 2400, static_cast<char>(mixed >> 56));
  return bytes;
}

std::optional<ValueNumber> value_number(KeyNumber key, std::string_view bytes) {
  if (bytes.size() < kHeadSize) return std::nullopt;
  const auto value = directory::load_le<ValueNumber>(bytes.data());
  if (bytes != value_bytes(key, value)) return std::nullopt;
  return value;
}

}  // namespace varve::test
