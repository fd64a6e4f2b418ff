// SPDX-License-Identifier: Apache-2.0
#include "stress/entries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "stress/random.hpp"

namespace varve::stress {
namespace {

constexpr std::string_view kPrefix = "varve-stress/";
constexpr std::size_t kDigitCount = 8;
constexpr std::size_t kHeadSize = 24, kChecksumSize = 8;
// Of empty values: generations that are looked through for one that is empty.
constexpr std::uint64_t kEmptyCandidatesMax = 1 << 16;

void append_le(std::string& to, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) to.push_back(static_cast<char>(value >> 8 * i));
}

std::uint64_t load_le(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << 8 * i;
  }
  return value;
}

std::uint64_t checksum(std::uint64_t seed, std::string_view bytes) {
  std::uint64_t sum = mixed(seed, bytes.size());
  while (!bytes.empty()) {
    const std::size_t size = std::min<std::size_t>(8, bytes.size());
    sum = (sum ^ load_le(bytes.substr(0, size))) * 0x9e3779b97f4a7c15ULL;
    sum ^= sum >> 29;
    bytes.remove_prefix(size);
  }
  return sum;
}

std::string suffix_of(KeyNumber key) {
  const std::uint64_t drawn = mixed(key);
  const std::size_t size = drawn % 64 == 0 ? 300 : drawn >> 8 & 15;
  return std::string(size, static_cast<char>('a' + (drawn >> 16) % 26));
}

std::string generation_text(std::uint64_t generation) {
  return fmt::format("generation {:#x}", generation);
}

}  // namespace

std::string key_name(KeyNumber key) {
  return fmt::format("{}{:08x}{}", kPrefix, key, suffix_of(key));
}

std::optional<KeyNumber> key_number(std::string_view name) {
  if (name.size() < kPrefix.size() + kDigitCount) return std::nullopt;
  const char* const digits = name.data() + kPrefix.size();
  KeyNumber key = 0;
  const auto [end, error] = std::from_chars(digits, digits + kDigitCount, key, 16);
  if (error != std::errc() || end != digits + kDigitCount) return std::nullopt;
  if (name != key_name(key)) return std::nullopt;
  return key;
}

std::string sixteen_prefix(KeyNumber key) {
  return key_name(key).substr(0, kPrefix.size() + kDigitCount - 1);
}

std::size_t ValueForm::size(KeyNumber key, std::uint64_t generation) const noexcept {
  const std::uint64_t drawn = mixed(mixed(seed, key), generation);
  const std::uint64_t length = drawn >> 8;
  switch (drawn % 32) {
    case 0:
      return 0;
    case 1:
      return kHeadSize + length % (48 << 10);
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
      return kHeadSize + length % (4 << 10);
    default:
      return kHeadSize + length % 256;
  }
}

void ValueForm::encode(KeyNumber key, std::uint64_t generation, std::string& to) const {
  const std::size_t size = this->size(key, generation);
  to.clear();
  if (size == 0) return;
  to.reserve(size + 8);
  append_le(to, 0, kChecksumSize);
  append_le(to, generation, 8);
  append_le(to, key, 4);
  append_le(to, size, 4);
  Random filler(mixed(seed ^ key, generation));
  while (to.size() < size) append_le(to, filler.next(), 8);
  to.resize(size);
  std::string sum;
  append_le(sum, checksum(seed, std::string_view(to).substr(kChecksumSize)), kChecksumSize);
  to.replace(0, kChecksumSize, sum);
}

std::optional<std::uint64_t> ValueForm::decode(KeyNumber key, std::string_view bytes) const {
  if (bytes.size() < kHeadSize) return std::nullopt;
  const std::uint64_t generation = load_le(bytes.substr(8, 8));
  if (load_le(bytes.substr(16, 4)) != key || load_le(bytes.substr(20, 4)) != bytes.size()) {
    return std::nullopt;
  }
  if (load_le(bytes.substr(0, 8)) != checksum(seed, bytes.substr(kChecksumSize))) {
    return std::nullopt;
  }
  return generation;
}

std::optional<Found> resolve(const ValueForm& form, KeyNumber key,
                             const std::optional<std::string_view>& bytes,
                             const LegalRange& range) {
  if (!bytes) {
    if (!range.allows_absence()) return std::nullopt;
    return Found{};
  }
  if (!bytes->empty()) {
    const std::optional<std::uint64_t> generation = form.decode(key, *bytes);
    if (!generation || !range.allows(*generation)) return std::nullopt;
    return Found{.present = true, .generation = *generation};
  }
  const auto empty = [&](std::uint64_t generation) {
    return generation != 0 && range.allows(generation) && form.size(key, generation) == 0;
  };
  const auto found = [](std::uint64_t generation) {
    return Found{.present = true, .generation = generation, .certain = false};
  };
  const std::uint64_t next = range.current.next_generation(range.cycle);
  if (empty(next)) return found(next);
  const std::uint64_t newest = range.current.generation();
  for (std::uint64_t i = 0; i < std::min(newest, kEmptyCandidatesMax); ++i) {
    if (empty(newest - i)) return found(newest - i);
    if (newest - i < KeyWord::first_generation(range.cycle)) break;
  }
  if (empty(range.floor.generation())) return found(range.floor.generation());
  return std::nullopt;
}

std::string mismatch_text(const ValueForm& form, KeyNumber key,
                          const std::optional<std::string_view>& bytes, const LegalRange& range) {
  std::string expected;
  const auto add = [&](const std::string& text) {
    expected += (expected.empty() ? "" : " or ") + text;
  };
  if (range.floor.generation() != range.current.generation()) {
    add(fmt::format("generations {:#x} to {:#x}", range.floor.generation(),
                    range.current.generation()));
  } else if (!range.current.deleted()) {
    add(generation_text(range.current.generation()));
  }
  if (range.current.pending_write()) {
    add(generation_text(range.current.next_generation(range.cycle)));
  }
  if (range.allows_absence()) add("absence");

  std::string found = "absence";
  if (bytes && bytes->empty()) {
    found = "an empty value";
  } else if (bytes) {
    const std::optional<std::uint64_t> generation = form.decode(key, *bytes);
    found = generation ? generation_text(*generation)
                       : fmt::format("{} bytes that are no value of this key", bytes->size());
  }
  return fmt::format("key {} ({}): expected {}, found {}", key, key_name(key).substr(0, 32),
                     expected, found);
}

}  // namespace varve::stress
