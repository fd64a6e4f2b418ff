// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <string_view>

#include "directory/bytes.hpp"
#include "segment/entry.hpp"

namespace varve::segment::delta_detail {

// One version of one key in a delta's arena. Immutable once published.
//
//   offset  size  field
//        0     4  sequence, relative to the delta's first one; 0 if kFarSequence
//        4     4  bits 0-16 key size, 17 kind, 18-20 the flags below, 21-31 value size
//        8     4  value size                    only with kLongValue
//              8  sequence                      only with kFarSequence
//              8  pointer to the older version  only with kHasOlder
//              -  key bytes, value bytes
//
// The optional fields keep the header at 8 bytes for nearly every record.
class Record {
 public:
  static constexpr std::size_t kAlignment = 4;

  struct Fields {
    std::string_view key;
    std::string_view value;
    Sequence sequence = 0;
    Kind kind = Kind::Value;
    const Record* older = nullptr;
  };
  [[nodiscard]] static std::size_t size_of(const Fields& fields, Sequence base) noexcept {
    return sizeof(Record) + kExtraSizes[flags_of(fields, base)] + fields.key.size() +
           fields.value.size();
  }
  // Requires: `memory` holds size_of(fields, base) bytes; base <= fields.sequence.
  static const Record* create(char* memory, const Fields& fields, Sequence base) noexcept {
    const std::uint32_t flags = flags_of(fields, base);
    auto* const record = new (memory) Record;
    char* at = memory + sizeof(Record);
    std::uint32_t short_size = 0;
    if ((flags & kLongValue) != 0) {
      at = store(at, static_cast<std::uint32_t>(fields.value.size()));
    } else {
      short_size = static_cast<std::uint32_t>(fields.value.size());
    }
    if ((flags & kFarSequence) != 0) {
      record->sequence_ = 0;
      at = store(at, fields.sequence);
    } else {
      record->sequence_ = static_cast<std::uint32_t>(fields.sequence - base);
    }
    if ((flags & kHasOlder) != 0) at = store(at, static_cast<const void*>(fields.older));
    record->bits_ = static_cast<std::uint32_t>(fields.key.size()) |
                    static_cast<std::uint32_t>(fields.kind) << kKindShift | flags << kFlagsShift |
                    short_size << kValueShift;
    at = std::copy_n(fields.key.data(), fields.key.size(), at);
    std::copy_n(fields.value.data(), fields.value.size(), at);
    return record;
  }

  [[nodiscard]] std::string_view key() const noexcept { return {payload(), key_size()}; }
  [[nodiscard]] std::string_view value() const noexcept {
    return {payload() + key_size(), value_size()};
  }
  [[nodiscard]] Kind kind() const noexcept { return static_cast<Kind>(bits_ >> kKindShift & 1); }
  [[nodiscard]] Sequence sequence(Sequence base) const noexcept {
    if ((flags() & kFarSequence) == 0) [[likely]]
      return base + sequence_;
    return load<Sequence>(extras() + kExtraSizes[flags() & kLongValue]);
  }
  [[nodiscard]] const Record* older() const noexcept {
    if ((flags() & kHasOlder) == 0) [[likely]]
      return nullptr;
    return static_cast<const Record*>(
        load<const void*>(extras() + kExtraSizes[flags() & (kLongValue | kFarSequence)]));
  }

 private:
  static constexpr std::uint32_t kKeySizeMask = (1U << 17) - 1;
  static constexpr unsigned kKindShift = 17, kFlagsShift = 18, kValueShift = 21;
  static constexpr std::uint32_t kLongValue = 1, kFarSequence = 2, kHasOlder = 4;
  static constexpr std::size_t kShortValueMax = (std::size_t{1} << (32 - kValueShift)) - 1;
  static constexpr std::array<std::uint8_t, 8> kExtraSizes = {
      0, 4, 8, 12, sizeof(void*), 4 + sizeof(void*), 8 + sizeof(void*), 12 + sizeof(void*)};

  static std::uint32_t flags_of(const Fields& fields, Sequence base) noexcept {
    return (fields.value.size() > kShortValueMax ? kLongValue : 0) |
           (fields.sequence - base > std::numeric_limits<std::uint32_t>::max() ? kFarSequence : 0) |
           (fields.older != nullptr ? kHasOlder : 0);
  }
  template <typename T>
  static char* store(char* at, T field) noexcept {
    std::memcpy(at, &field, sizeof field);
    return at + sizeof field;
  }
  template <typename T>
  static T load(const char* at) noexcept {
    T field;
    std::memcpy(&field, at, sizeof field);
    return field;
  }
  [[nodiscard]] std::uint32_t flags() const noexcept { return bits_ >> kFlagsShift & 7; }
  [[nodiscard]] std::size_t key_size() const noexcept { return bits_ & kKeySizeMask; }
  [[nodiscard]] std::size_t value_size() const noexcept {
    if ((flags() & kLongValue) == 0) [[likely]]
      return bits_ >> kValueShift;
    return load<std::uint32_t>(extras());
  }
  [[nodiscard]] const char* extras() const noexcept {
    return reinterpret_cast<const char*>(this) + sizeof(Record);
  }
  [[nodiscard]] const char* payload() const noexcept { return extras() + kExtraSizes[flags()]; }

  std::uint32_t sequence_;
  std::uint32_t bits_;
};
static_assert(sizeof(Record) == 8 && alignof(Record) == Record::kAlignment);

// How many bytes the keys have in common at their start, counted up to `limit`.
[[nodiscard]] inline std::size_t common_prefix(std::string_view a, std::string_view b,
                                               std::size_t limit) noexcept {
  const std::size_t size = std::min({a.size(), b.size(), limit});
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    const std::uint64_t difference = directory::load_le<std::uint64_t>(a.data() + i) ^
                                     directory::load_le<std::uint64_t>(b.data() + i);
    if (difference != 0) return i + static_cast<std::size_t>(std::countr_zero(difference)) / 8;
  }
  while (i < size && a[i] == b[i]) ++i;
  return i;
}

}  // namespace varve::segment::delta_detail
