// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

namespace varve::directory {

static_assert(std::endian::native == std::endian::little ||
              std::endian::native == std::endian::big);

template <typename T>
[[nodiscard]] constexpr T byte_swap(T value) noexcept {
  static_assert(std::is_unsigned_v<T>);
  if constexpr (sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return static_cast<T>(__builtin_bswap16(value));
  } else if constexpr (sizeof(T) == 4) {
    return __builtin_bswap32(value);
  } else {
    return __builtin_bswap64(value);
  }
}

// Unaligned little-endian loads and stores: the byte order of every format of ours.
template <typename T>
[[nodiscard]] inline T load_le(const char* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = byte_swap(value);
  return value;
}
template <typename T>
inline void store_le(char* to, T value) noexcept {
  if constexpr (std::endian::native == std::endian::big) value = byte_swap(value);
  std::memcpy(to, &value, sizeof value);
}
// Big-endian: integers whose order is the order of their bytes (key heads, codecs).
template <typename T>
[[nodiscard]] inline T load_be(const char* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (std::endian::native == std::endian::little) value = byte_swap(value);
  return value;
}
template <typename T>
inline void append_le(std::string& to, T value) {
  char bytes[sizeof value];
  store_le(bytes, value);
  to.append(bytes, sizeof value);
}

// Base-128 varints, low group first; at most 10 bytes.
inline constexpr std::size_t kVarintSizeMax = 10;
[[nodiscard]] inline std::size_t varint_size(std::uint64_t value) noexcept {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}
inline char* store_varint(char* to, std::uint64_t value) noexcept {
  while (value >= 0x80) {
    *to++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *to++ = static_cast<char>(value);
  return to;
}
inline void append_varint(std::string& to, std::uint64_t value) {
  char bytes[kVarintSizeMax];
  to.append(bytes, static_cast<std::size_t>(store_varint(bytes, value) - bytes));
}
// Returns the position after the varint, or null when it does not end before `end`, has more than
// 64 bits, or is longer than it needs to be (one value has one encoding).
[[nodiscard]] inline const char* parse_varint(const char* from, const char* end,
                                              std::uint64_t& value) noexcept {
  std::uint64_t result = 0;
  for (unsigned shift = 0; from < end && shift <= 63; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(*from++);
    if (shift == 63 && byte > 1) return nullptr;
    result |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) {
      if (byte == 0 && shift != 0) return nullptr;
      value = result;
      return from;
    }
  }
  return nullptr;
}

// Reads fields from untrusted bytes; after the first field that does not fit, ok() is false and
// every read returns zero or empty.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) noexcept
      : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::size_t offset() const noexcept {
    return static_cast<std::size_t>(at_ - begin_);
  }
  [[nodiscard]] std::size_t remaining() const noexcept {
    return static_cast<std::size_t>(end_ - at_);
  }
  template <typename T>
  T le() noexcept {
    if (!need(sizeof(T))) return 0;
    const T value = load_le<T>(at_);
    at_ += sizeof(T);
    return value;
  }
  std::uint64_t varint() noexcept {
    std::uint64_t value = 0;
    if (!ok_) return 0;
    const char* next = parse_varint(at_, end_, value);
    if (next == nullptr) {
      ok_ = false;
      return 0;
    }
    at_ = next;
    return value;
  }
  std::string_view take(std::uint64_t size) noexcept {
    if (!need(size)) return {};
    const std::string_view bytes(at_, static_cast<std::size_t>(size));
    at_ += size;
    return bytes;
  }
  // A varint size followed by that many bytes.
  std::string_view sized() noexcept { return take(varint()); }

 private:
  bool need(std::uint64_t size) noexcept {
    if (ok_ && size > remaining()) ok_ = false;
    return ok_;
  }
  const char* begin_;
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

[[nodiscard]] inline bool checked_add(std::uint64_t a, std::uint64_t b,
                                      std::uint64_t& sum) noexcept {
  return !__builtin_add_overflow(a, b, &sum);
}

}  // namespace varve::directory
