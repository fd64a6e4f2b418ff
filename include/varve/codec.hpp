// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "varve/codec_detail.hpp"

namespace varve {

// How values of T become bytes and back: a type with static functions only.
//
//   static std::string_view name();                          // Of the bytes, not the C++ type.
//   static void encode(const T& value, std::string& to);     // Appends.
//   static T decode(std::string_view bytes);                 // All of `bytes`.
//   static constexpr bool kOrderPreserving = true;           // Of key codecs only.
//
// encode() is injective, decode() is its inverse and refuses every other input with
// Error{Corruption}. With kOrderPreserving, a < b is the order of the encodings as unsigned bytes.
// The name, of at most 255 bytes, is kept with the index; give a codec another name when its bytes
// change.
//
// Your own type: specialise Codec<T>, or hand another codec type to TypedIndex. FieldsCodec does a
// struct by its members. A struct has no codec by itself, trivially copyable or not: its padding
// and layout belong to the compiler and must not reach the disk.
//
//   T                                name            encoding
//   bool                             bool            00 or 01
//   signed / unsigned integers       i8..i64 u8..u64 big-endian, sign bit flipped
//   float, double                    f32 f64         IEEE 754 total order: -inf < -0.0 < +0.0 < inf
//                                                    < NaN; all NaNs are one, payload and sign lost
//   enums                            the integer's   as the underlying integer, any value of it
//   std::string                      str             the bytes themselves; "" is no valid key (see
//                                                    kKeySizeMin) but fine inside a tuple
//   std::string_view                 str             as std::string; decode() gives a view of its
//                                                    argument, so no tuples and no TypedIndex of it
//   std::vector<std::byte>           bytes           as std::string
//   std::chrono::duration            duration<n/d>   i64 of the count, n/d seconds each
//   time_point of system_clock       time<n/d>       i64 of the count since 1970
//   std::tuple, std::pair            tuple<a,b>      components in a row, all but the last one in
//                                                    their self-delimiting form
//   std::array<T, N>, N > 0          array<a,N>      as a tuple of N
//   std::optional<T>                 optional<a>     00, or 01 and the value; nullopt sorts first
//
// Not covered, because they differ between platforms: char, wchar_t, long double, steady_clock.
// The self-delimiting form of a fixed-size encoding (one with kSize) is itself; any other one has
// each 00 replaced by 00 FF and 00 01 appended, which keeps the order and makes no encoding the
// prefix of another.
template <class T>
struct Codec;

template <class C, class T>
concept ValueCodec = requires(const T& value, std::string& to, std::string_view bytes) {
  { C::name() } -> std::convertible_to<std::string_view>;
  C::encode(value, to);
  { C::decode(bytes) } -> std::same_as<T>;
};

template <class C, class T>
concept KeyCodec = ValueCodec<C, T> && requires {
  requires C::kOrderPreserving;
};

namespace detail {

template <class T>
concept Integer = std::integral<T> &&(sizeof(T) <= 8) && !std::same_as<T, bool> &&
                  !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
                  !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
                  !std::same_as<T, char32_t>;

template <class C>
concept Owning = !requires {
  C::kBorrows;
};
// What may be a component: it has a codec, and the codec's result owns its bytes.
template <class T>
concept Component = ValueCodec<Codec<T>, T> && Owning<Codec<T>>;

// Codec of the tuple-like Tuple with components T.
template <class Tuple, class... T>
struct TupleCodec {
  static constexpr bool kOrderPreserving = (is_order_preserving<Codec<T>>() && ...);
  static std::string_view name() { return Parts::name(); }
  static void encode(const Tuple& tuple, std::string& to) {
    std::apply([&](const T&... values) { Parts::template encode<true>(to, values...); }, tuple);
  }
  static Tuple decode(std::string_view bytes) { return Parts::template decode<true, Tuple>(bytes); }
  static void encode_part(const Tuple& tuple, std::string& to) {
    std::apply([&](const T&... values) { Parts::template encode<false>(to, values...); }, tuple);
  }
  static Tuple decode_part(std::string_view& rest) {
    return Parts::template decode<false, Tuple>(rest);
  }
  // What the encodings of all tuples that begin with the components of `head`, and no others,
  // begin with.
  template <class... Head>
  static void encode_prefix(const std::tuple<Head...>& head,
                            std::string& to) requires(sizeof...(Head) < sizeof...(T)) {
    encode_head(head, to, std::index_sequence_for<Head...>{});
  }

 private:
  template <class Head, std::size_t... kIndex>
  static void encode_head(const Head& head, std::string& to, std::index_sequence<kIndex...>) {
    (encode_one<std::tuple_element_t<kIndex, Tuple>>(std::get<kIndex>(head), to), ...);
  }
  template <class U>
  static void encode_one(const U& value, std::string& to) {
    detail::encode_part<Codec<U>>(value, to);
  }
  using Parts = Sequence<Codec<T>...>;
};

}  // namespace detail

template <>
struct Codec<bool> {
  static constexpr bool kOrderPreserving = true;
  static constexpr std::size_t kSize = 1;
  static std::string_view name() { return "bool"; }
  static void encode(bool value, std::string& to) { to.push_back(value ? '\x01' : '\0'); }
  static bool decode(std::string_view bytes) {
    const auto byte = detail::read_big_endian<std::uint8_t>(bytes, name());
    if (byte > 1) detail::throw_malformed(name(), "a byte 00 or 01", std::to_string(byte));
    return byte == 1;
  }
};

template <detail::Integer T>
struct Codec<T> {
  static constexpr bool kOrderPreserving = true;
  static constexpr std::size_t kSize = sizeof(T);
  static std::string_view name() {
    constexpr std::string_view kNames[] = {"u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"};
    return kNames[(std::is_signed_v<T> ? 4 : 0) + std::countr_zero(sizeof(T))];
  }
  static void encode(T value, std::string& to) {
    detail::append_big_endian(static_cast<Bits>(static_cast<Bits>(value) ^ kFlip), to);
  }
  static T decode(std::string_view bytes) {
    return static_cast<T>(detail::read_big_endian<Bits>(bytes, name()) ^ kFlip);
  }

 private:
  using Bits = std::make_unsigned_t<T>;
  // Two's complement with the sign bit flipped sorts as unsigned.
  static constexpr Bits kFlip =
      std::is_signed_v<T> ? static_cast<Bits>(Bits{1} << (8 * kSize - 1)) : Bits{0};
};

template <class T>
requires std::same_as<T, float> || std::same_as<T, double>
struct Codec<T> {
  static_assert(std::numeric_limits<T>::is_iec559);
  static constexpr bool kOrderPreserving = true;
  static constexpr std::size_t kSize = sizeof(T);
  static std::string_view name() { return sizeof(T) == 4 ? "f32" : "f64"; }
  static void encode(T value, std::string& to) {
    Bits bits = std::bit_cast<Bits>(value);
    if (is_nan(bits)) bits = kNan;
    // Positive numbers move above the negative ones, whose order their sign had turned round.
    bits = (bits & kSign) != 0 ? ~bits : bits | kSign;
    detail::append_big_endian(bits, to);
  }
  static T decode(std::string_view bytes) {
    const Bits stored = detail::read_big_endian<Bits>(bytes, name());
    const Bits bits = (stored & kSign) != 0 ? stored & ~kSign : ~stored;
    if (is_nan(bits) && bits != kNan) {
      detail::throw_malformed(name(), "the canonical NaN", "another NaN");
    }
    return std::bit_cast<T>(bits);
  }

 private:
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  static constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  static constexpr Bits kInfinity = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
  static constexpr Bits kNan = std::bit_cast<Bits>(std::numeric_limits<T>::quiet_NaN());
  // By bits: this header must also work in programs that are compiled with -ffast-math.
  static constexpr bool is_nan(Bits bits) { return (bits & ~kSign) > kInfinity; }
};

template <class T>
requires std::is_enum_v<T> && detail::Integer<std::underlying_type_t<T>>
struct Codec<T> {
  using Underlying = Codec<std::underlying_type_t<T>>;
  static constexpr bool kOrderPreserving = true;
  static constexpr std::size_t kSize = Underlying::kSize;
  static std::string_view name() { return Underlying::name(); }
  static void encode(T value, std::string& to) {
    Underlying::encode(static_cast<std::underlying_type_t<T>>(value), to);
  }
  static T decode(std::string_view bytes) { return static_cast<T>(Underlying::decode(bytes)); }
};

template <>
struct Codec<std::string> {
  static constexpr bool kOrderPreserving = true;
  static std::string_view name() { return "str"; }
  static void encode(const std::string& value, std::string& to) { to.append(value); }
  static std::string decode(std::string_view bytes) { return std::string(bytes); }
  // Spare a copy where the bytes are there already: optional for any codec.
  static std::string_view view(const std::string& value) noexcept { return value; }
  static std::string take(std::string&& bytes) noexcept { return std::move(bytes); }
};

template <>
struct Codec<std::string_view> {
  static constexpr bool kOrderPreserving = true;
  static constexpr bool kBorrows = true;
  static std::string_view name() { return "str"; }
  static void encode(std::string_view value, std::string& to) { to.append(value); }
  static std::string_view decode(std::string_view bytes) noexcept { return bytes; }
  static std::string_view view(std::string_view value) noexcept { return value; }
};

template <>
struct Codec<std::vector<std::byte>> {
  static constexpr bool kOrderPreserving = true;
  static std::string_view name() { return "bytes"; }
  static void encode(const std::vector<std::byte>& value, std::string& to) {
    to.append(view(value));
  }
  static std::vector<std::byte> decode(std::string_view bytes) {
    const auto* const first = reinterpret_cast<const std::byte*>(bytes.data());
    return {first, first + bytes.size()};
  }
  static std::string_view view(const std::vector<std::byte>& value) noexcept {
    return {reinterpret_cast<const char*>(value.data()), value.size()};
  }
};

// Coarser or finer durations are other codecs, so their names differ.
template <std::signed_integral Rep, class Period>
requires(sizeof(Rep) <= 8) struct Codec<std::chrono::duration<Rep, Period>> {
  using Duration = std::chrono::duration<Rep, Period>;
  static constexpr bool kOrderPreserving = true;
  static constexpr std::size_t kSize = 8;
  static std::string_view name() {
    static const std::string text = detail::period_name<Period>("duration");
    return text;
  }
  static void encode(Duration value, std::string& to) {
    Codec<std::int64_t>::encode(value.count(), to);
  }
  static Duration decode(std::string_view bytes) { return Duration(decode_count(bytes, name())); }

  // Errors: Corruption also for a count that a wider Rep has written.
  static Rep decode_count(std::string_view bytes, std::string_view codec) {
    if (bytes.size() != kSize) detail::throw_wrong_size(codec, kSize, bytes.size());
    const std::int64_t count = Codec<std::int64_t>::decode(bytes);
    if (!std::in_range<Rep>(count)) {
      detail::throw_malformed(codec, "a count of " + std::to_string(8 * sizeof(Rep)) + " bits",
                              std::to_string(count));
    }
    return static_cast<Rep>(count);
  }
};

template <class Duration>
requires KeyCodec<Codec<Duration>, Duration>
struct Codec<std::chrono::time_point<std::chrono::system_clock, Duration>> {
  using TimePoint = std::chrono::time_point<std::chrono::system_clock, Duration>;
  static constexpr bool kOrderPreserving = true;
  static constexpr std::size_t kSize = 8;
  static std::string_view name() {
    static const std::string text = detail::period_name<typename Duration::period>("time");
    return text;
  }
  static void encode(TimePoint value, std::string& to) {
    Codec<Duration>::encode(value.time_since_epoch(), to);
  }
  static TimePoint decode(std::string_view bytes) {
    return TimePoint(Duration(Codec<Duration>::decode_count(bytes, name())));
  }
};

template <detail::Component... T>
requires(sizeof...(T) > 0) struct Codec<std::tuple<T...>>
    : detail::TupleCodec<std::tuple<T...>, T...> {
};

template <detail::Component First, detail::Component Second>
struct Codec<std::pair<First, Second>>
    : detail::TupleCodec<std::pair<First, Second>, First, Second> {};

template <detail::Component T, std::size_t kCount>
requires(kCount > 0 && std::default_initializable<T>) struct Codec<std::array<T, kCount>> {
  using Array = std::array<T, kCount>;
  static constexpr bool kOrderPreserving = detail::is_order_preserving<Codec<T>>();
  static std::string_view name() {
    static const std::string text =
        "array<" + std::string(Codec<T>::name()) + "," + std::to_string(kCount) + ">";
    return text;
  }
  static void encode(const Array& values, std::string& to) {
    for (std::size_t i = 0; i + 1 < kCount; ++i) detail::encode_part<Codec<T>>(values[i], to);
    Codec<T>::encode(values[kCount - 1], to);
  }
  static Array decode(std::string_view bytes) {
    Array values{};
    for (std::size_t i = 0; i + 1 < kCount; ++i) values[i] = detail::decode_part<Codec<T>>(bytes);
    values[kCount - 1] = Codec<T>::decode(bytes);
    return values;
  }
  static void encode_part(const Array& values, std::string& to) {
    for (const T& value : values) detail::encode_part<Codec<T>>(value, to);
  }
  static Array decode_part(std::string_view& rest) {
    Array values{};
    for (T& value : values) value = detail::decode_part<Codec<T>>(rest);
    return values;
  }
};

template <detail::Component T>
struct Codec<std::optional<T>> {
  static constexpr bool kOrderPreserving = detail::is_order_preserving<Codec<T>>();
  static std::string_view name() {
    static const std::string text = "optional<" + std::string(Codec<T>::name()) + ">";
    return text;
  }
  static void encode(const std::optional<T>& value, std::string& to) {
    to.push_back(value ? '\x01' : '\0');
    if (value) Codec<T>::encode(*value, to);
  }
  static std::optional<T> decode(std::string_view bytes) {
    if (take_tag(bytes)) return Codec<T>::decode(bytes);
    if (!bytes.empty()) detail::throw_wrong_size(name(), 1, 1 + bytes.size());
    return std::nullopt;
  }
  static void encode_part(const std::optional<T>& value, std::string& to) {
    to.push_back(value ? '\x01' : '\0');
    if (value) detail::encode_part<Codec<T>>(*value, to);
  }
  static std::optional<T> decode_part(std::string_view& rest) {
    if (!take_tag(rest)) return std::nullopt;
    return detail::decode_part<Codec<T>>(rest);
  }

 private:
  static bool take_tag(std::string_view& rest) {
    if (rest.empty()) detail::throw_malformed(name(), "a byte 00 or 01", "0 bytes");
    const auto tag = static_cast<unsigned char>(rest.front());
    if (tag > 1) detail::throw_malformed(name(), "a byte 00 or 01", std::to_string(tag));
    rest.remove_prefix(1);
    return tag == 1;
  }
};

// The codec of a struct: its members in the given order, encoded as a tuple of them.
//
//   template <>
//   struct varve::Codec<Order> : varve::FieldsCodec<&Order::customer, &Order::cents> {
//     static std::string_view name() { return "order-1"; }  // Else "tuple<str,i64>".
//   };
//
// Members that are not listed come back as Order{} has them. As a key, order is that of the members
// as listed. Requires: Order{} is valid.
template <auto... kMembers>
requires(sizeof...(kMembers) > 0 &&
         (detail::Component<typename detail::MemberPointer<decltype(kMembers)>::Field> &&
          ...)) struct FieldsCodec {
  using Object = std::common_type_t<typename detail::MemberPointer<decltype(kMembers)>::Object...>;
  using Fields = std::tuple<typename detail::MemberPointer<decltype(kMembers)>::Field...>;
  static constexpr bool kOrderPreserving = Codec<Fields>::kOrderPreserving;
  static std::string_view name() { return Codec<Fields>::name(); }
  static void encode(const Object& object, std::string& to) {
    Parts::template encode<true>(to, object.*kMembers...);
  }
  static Object decode(std::string_view bytes) {
    return assemble(Parts::template decode<true, Fields>(bytes));
  }
  static void encode_part(const Object& object, std::string& to) {
    Parts::template encode<false>(to, object.*kMembers...);
  }
  static Object decode_part(std::string_view& rest) {
    return assemble(Parts::template decode<false, Fields>(rest));
  }

 private:
  using Parts =
      detail::Sequence<Codec<typename detail::MemberPointer<decltype(kMembers)>::Field>...>;
  static Object assemble(Fields fields) {
    Object object{};
    std::apply([&](auto&... values) { ((object.*kMembers = std::move(values)), ...); }, fields);
    return object;
  }
};

}  // namespace varve
