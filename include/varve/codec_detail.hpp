// SPDX-License-Identifier: Apache-2.0
// What codec.hpp is made of: byte order, escapes and components. Nothing here is public API.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "varve/error.hpp"

namespace varve::detail {

[[noreturn]] inline void throw_malformed(std::string_view codec, std::string_view expected,
                                         std::string_view found) {
  std::string message = "codec ";
  message.append(codec).append(": ").append(expected).append(" expected, ").append(found);
  throw Error(ErrorCode::Corruption, message.append(" found"));
}
[[noreturn]] inline void throw_wrong_size(std::string_view codec, std::size_t expected,
                                          std::size_t found) {
  throw_malformed(codec, std::to_string(expected) + " bytes", std::to_string(found));
}

template <std::unsigned_integral U>
void append_big_endian(U bits, std::string& to) {
  char bytes[sizeof(U)];
  for (std::size_t i = 0; i < sizeof(U); ++i) {
    bytes[i] = static_cast<char>(static_cast<unsigned char>(bits >> (8 * (sizeof(U) - 1 - i))));
  }
  to.append(bytes, sizeof(U));
}
// Errors: Corruption unless `bytes` is exactly one U.
template <std::unsigned_integral U>
U read_big_endian(std::string_view bytes, std::string_view codec) {
  if (bytes.size() != sizeof(U)) throw_wrong_size(codec, sizeof(U), bytes.size());
  std::uint64_t bits = 0;
  for (const char byte : bytes) bits = bits << 8 | static_cast<unsigned char>(byte);
  return static_cast<U>(bits);
}

inline void append_escaped(std::string_view bytes, std::string& to) {
  for (std::size_t from = 0;;) {
    const std::size_t zero = bytes.find('\0', from);
    to.append(bytes.substr(from, zero - from));  // npos - from reaches the end as well.
    if (zero == std::string_view::npos) break;
    to.append("\0\xFF", 2);
    from = zero + 1;
  }
  to.append("\0\x01", 2);
}
// Takes one escaped text from the front of `rest`.
inline std::string take_escaped(std::string_view& rest, std::string_view codec) {
  std::string bytes;
  for (;;) {
    const std::size_t zero = rest.find('\0');
    if (zero == std::string_view::npos || zero + 1 == rest.size()) {
      throw_malformed(codec, "a terminator 00 01",
                      "none in " + std::to_string(rest.size()) + " bytes");
    }
    bytes.append(rest.substr(0, zero));
    const char mark = rest[zero + 1];
    rest.remove_prefix(zero + 2);
    if (mark == '\x01') return bytes;
    if (mark != '\xFF') throw_malformed(codec, "FF or 01 after a byte 00", "another byte");
    bytes.push_back('\0');
  }
}

// The self-delimiting form of any codec.
template <class C, class T>
void encode_part(const T& value, std::string& to) {
  if constexpr (requires { C::encode_part(value, to); }) {
    C::encode_part(value, to);
  } else if constexpr (requires { C::kSize; }) {
    C::encode(value, to);
  } else if constexpr (requires { C::view(value); }) {
    append_escaped(C::view(value), to);
  } else {
    std::string bytes;
    C::encode(value, bytes);
    append_escaped(bytes, to);
  }
}
template <class C>
auto decode_part(std::string_view& rest) {
  if constexpr (requires { C::decode_part(rest); }) {
    return C::decode_part(rest);
  } else if constexpr (requires { C::kSize; }) {
    if (rest.size() < C::kSize) throw_wrong_size(C::name(), C::kSize, rest.size());
    const std::string_view bytes = rest.substr(0, C::kSize);
    rest.remove_prefix(C::kSize);
    return C::decode(bytes);
  } else {
    return C::decode(take_escaped(rest, C::name()));
  }
}
template <class C, bool kRaw, class T>
void encode_component(const T& value, std::string& to) {
  if constexpr (kRaw) {
    C::encode(value, to);
  } else {
    encode_part<C>(value, to);
  }
}
template <class C, bool kRaw>
auto decode_component(std::string_view& rest) {
  if constexpr (kRaw) {
    return C::decode(std::exchange(rest, {}));
  } else {
    return decode_part<C>(rest);
  }
}

template <class C>
constexpr bool is_order_preserving() {
  if constexpr (requires { C::kOrderPreserving; }) {
    return C::kOrderPreserving;
  } else {
    return false;
  }
}
// Components in a row; kLastRaw: the last one takes the rest as it is.
template <class... Codecs>
struct Sequence {
  static constexpr std::size_t kCount = sizeof...(Codecs);
  static std::string_view name() {
    static const std::string text = [] {
      std::string list;
      ((list.append(list.empty() ? "tuple<" : ",").append(Codecs::name())), ...);
      return list + ">";
    }();
    return text;
  }
  template <bool kLastRaw, class... T>
  static void encode(std::string& to, const T&... values) {
    encode_each<kLastRaw>(std::index_sequence_for<T...>{}, to, values...);
  }
  template <bool kLastRaw, class Result>
  static Result decode(std::string_view& rest) {
    return decode_each<kLastRaw, Result>(std::index_sequence_for<Codecs...>{}, rest);
  }

 private:
  template <bool kLastRaw, std::size_t kIndex>
  static constexpr bool kRaw = kLastRaw&& kIndex + 1 == kCount;
  template <bool kLastRaw, std::size_t... kIndex, class... T>
  static void encode_each(std::index_sequence<kIndex...>, std::string& to, const T&... values) {
    (encode_component<Codecs, kRaw<kLastRaw, kIndex>>(values, to), ...);
  }
  template <bool kLastRaw, class Result, std::size_t... kIndex>
  static Result decode_each(std::index_sequence<kIndex...>, std::string_view& rest) {
    return Result{decode_component<Codecs, kRaw<kLastRaw, kIndex>>(rest)...};
  }
};

template <class Member>
struct MemberPointer;
template <class Object_, class Field_>
struct MemberPointer<Field_ Object_::*> {
  using Object = Object_;
  using Field = Field_;
};

template <class Period>
std::string period_name(std::string_view kind) {
  return std::string(kind) + "<" + std::to_string(Period::num) + "/" + std::to_string(Period::den) +
         ">";
}

}  // namespace varve::detail
