// SPDX-License-Identifier: Apache-2.0
// Strategy: the first byte chooses a codec, the second one cuts what follows into two encodings.
// Invariants: bytes are decoded to something that encodes to the same bytes, or are refused as
// Corruption; values that come in order have encodings in that order; a head of a tuple's
// components encodes to a prefix of it.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "directory/check.hpp"
#include "varve/codec.hpp"
#include "varve/error.hpp"

namespace {

enum class Colour : std::int16_t { Red = -3, Green = 7 };

struct Order {
  std::string customer;
  std::int64_t cents = 0;
  std::optional<std::uint16_t> discount;
};

}  // namespace

template <>
struct varve::Codec<Order> : varve::FieldsCodec<&Order::customer, &Order::cents, &Order::discount> {
  static std::string_view name() { return "order-1"; }
};

namespace {

template <class T>
std::string encode(const T& value) {
  std::string bytes;
  varve::Codec<T>::encode(value, bytes);
  return bytes;
}

template <class T>
std::optional<T> decode(std::string_view bytes) {
  try {
    T value = varve::Codec<T>::decode(bytes);
    VARVE_CHECK(encode(value) == bytes);
    return value;
  } catch (const varve::Error& error) {
    VARVE_CHECK(error.code() == varve::ErrorCode::Corruption);
    return std::nullopt;
  }
}

template <class T>
void check(std::string_view first, std::string_view second) {
  const std::optional<T> a = decode<T>(first), b = decode<T>(second);
  if (!a || !b) return;
  if constexpr (requires { *a < *b; }) {
    // NaN is neither below nor above; -0.0 sorts before the +0.0 that it equals.
    if (*a < *b) VARVE_CHECK(first < second);
    if (*b < *a) VARVE_CHECK(second < first);
  }
}

// All of that, and that the first component alone is a prefix.
template <class Tuple>
void check_tuple(std::string_view first, std::string_view second) {
  check<Tuple>(first, second);
  const std::optional<Tuple> value = decode<Tuple>(first);
  if (!value) return;
  std::string prefix;
  using Head = std::tuple<std::tuple_element_t<0, Tuple>>;
  varve::Codec<Tuple>::encode_prefix(Head(std::get<0>(*value)), prefix);
  VARVE_CHECK(first.starts_with(prefix));
}

using Check = void (*)(std::string_view, std::string_view);
using SystemTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;
using ShortDuration = std::chrono::duration<std::int16_t, std::ratio<1, 10>>;

constexpr Check kChecks[] = {
    check<bool>,
    check<std::uint8_t>,
    check<std::uint16_t>,
    check<std::uint32_t>,
    check<std::uint64_t>,
    check<std::int8_t>,
    check<std::int16_t>,
    check<std::int32_t>,
    check<std::int64_t>,
    check<float>,
    check<double>,
    check<Colour>,
    check<std::string>,
    check<std::string_view>,
    check<std::vector<std::byte>>,
    check<std::chrono::nanoseconds>,
    check<ShortDuration>,
    check<SystemTime>,
    check<std::array<std::string, 3>>,
    check<std::array<float, 2>>,
    check<std::optional<std::string>>,
    check<std::optional<std::optional<std::int8_t>>>,
    check<Order>,
    check_tuple<std::tuple<std::string, std::string>>,
    check_tuple<std::tuple<std::uint8_t, std::string, bool>>,
    check_tuple<std::pair<std::string, double>>,
    check_tuple<std::tuple<std::optional<std::string>, std::vector<std::byte>, std::int32_t>>,
    check_tuple<std::tuple<std::tuple<std::string, std::string>, std::array<std::string, 2>>>,
    check_tuple<std::pair<Order, std::string>>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t cut = data[1] % (bytes.size() + 1);
  kChecks[data[0] % std::size(kChecks)](bytes.substr(0, cut), bytes.substr(cut));
  return 0;
}
