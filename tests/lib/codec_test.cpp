// SPDX-License-Identifier: Apache-2.0
#include "varve/codec.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <compare>
#include <limits>
#include <random>
#include <set>
#include <type_traits>

#include "tests/support/catch.hpp"

namespace {

using namespace std::string_literals;
using varve::Codec;
using varve::Error;
using varve::ErrorCode;

enum class Colour : std::uint16_t { Red = 1, Green = 2, Blue = 0x1234 };
enum class Level : std::int8_t { Low = -5, Zero = 0, High = 5 };

struct NoCodec {
  int a = 0;
};
struct Point {
  std::int32_t x = 0;
  std::string label;
  double weight = 0;
  int not_stored = 7;
  friend bool operator==(const Point&, const Point&) = default;
};
using PointCodec = varve::FieldsCodec<&Point::x, &Point::label, &Point::weight>;

// A codec as a user writes one: three functions and the promise of order.
struct Version {
  std::string text;
  friend auto operator<=>(const Version&, const Version&) = default;
};

}  // namespace

template <>
struct varve::Codec<Version> {
  static constexpr bool kOrderPreserving = true;
  static std::string_view name() { return "version"; }
  static void encode(const Version& version, std::string& to) { to += version.text; }
  static Version decode(std::string_view bytes) { return {std::string(bytes)}; }
};
template <>
struct varve::Codec<Point> : PointCodec {
  static std::string_view name() { return "point-1"; }
};

namespace {

struct ValueOnly {
  static std::string_view name() { return "value-only"; }
  static void encode(const NoCodec& value, std::string& to) { Codec<int>::encode(value.a, to); }
  static NoCodec decode(std::string_view bytes) { return {Codec<int>::decode(bytes)}; }
};

template <class T>
constexpr bool kIsKey = varve::KeyCodec<Codec<T>, T>;
template <class T>
constexpr bool kIsValue = varve::ValueCodec<Codec<T>, T>;

static_assert(kIsKey<bool> && kIsKey<std::int8_t> && kIsKey<std::uint64_t> && kIsKey<long>);
static_assert(kIsKey<unsigned long long> && kIsKey<float> && kIsKey<double>);
static_assert(kIsKey<std::string> && kIsKey<std::string_view> && kIsKey<std::vector<std::byte>>);
static_assert(kIsKey<Colour> && kIsKey<Level> && kIsKey<Version> && kIsKey<Point>);
static_assert(kIsKey<std::chrono::milliseconds> && kIsKey<std::chrono::system_clock::time_point>);
static_assert(kIsKey<std::chrono::sys_days>);
static_assert(kIsKey<std::tuple<std::string, std::pair<int, std::optional<double>>>>);
static_assert(kIsKey<std::array<std::string, 3>> && kIsKey<std::optional<std::string>>);
// Types without a codec, alone or as a component, have none.
static_assert(!kIsValue<NoCodec> && !kIsValue<std::tuple<int, NoCodec>>);
static_assert(!kIsValue<std::optional<NoCodec>> && !kIsValue<std::array<NoCodec, 2>>);
static_assert(!kIsValue<std::pair<NoCodec, int>>);
static_assert(!kIsValue<std::tuple<>> && !kIsValue<std::array<int, 0>>);
static_assert(!kIsValue<char> && !kIsValue<wchar_t> && !kIsValue<long double>);
static_assert(!kIsValue<const char*> && !kIsValue<int*>);
static_assert(!kIsValue<std::chrono::steady_clock::time_point>);
static_assert(!kIsValue<std::chrono::duration<double>>);
// A view into an escaped component cannot exist.
static_assert(!kIsValue<std::tuple<std::string_view, int>>);
static_assert(!kIsValue<std::optional<std::string_view>>);
// A value codec does not promise an order, and belongs to one type.
static_assert(varve::ValueCodec<ValueOnly, NoCodec> && !varve::KeyCodec<ValueOnly, NoCodec>);
static_assert(!varve::ValueCodec<ValueOnly, std::string>);

template <class T, class C = Codec<T>>
std::string encoded(const T& value) {
  std::string bytes;
  C::encode(value, bytes);
  return bytes;
}

template <class T, class C = Codec<T>>
void check_refused(const std::string& bytes) {
  CAPTURE(C::name(), bytes.size());
  try {
    (void)C::decode(bytes);
    FAIL("the bytes were accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::Corruption);
    CHECK(std::string(error.what()).find("codec ") == 0);
    CHECK(std::string(error.what()).find(" expected, ") != std::string::npos);
  }
}

// What the total order of floating-point numbers is, with one NaN above all others.
template <class T>
bool ordered_before(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
    return std::is_lt(std::strong_order(a, b));
  } else {
    return a < b;
  }
}
template <class T>
bool same(const T& a, const T& b) {
  return !ordered_before(a, b) && !ordered_before(b, a);
}

// Every value comes back, behind other bytes as well, and every pair sorts as its encodings do,
// raw and as a component with bytes of its own behind it.
template <class T, class C = Codec<T>>
void check_codec(const std::vector<T>& values) {
  CAPTURE(C::name());
  std::vector<std::string> raw, low, high;
  for (const T& value : values) {
    std::string bytes = "before";
    C::encode(value, bytes);
    REQUIRE(bytes.starts_with("before"));
    raw.push_back(bytes.substr(6));
    REQUIRE(same<T>(C::decode(raw.back()), value));
    std::string part;
    varve::detail::encode_part<C>(value, part);
    low.push_back(part);
    high.push_back(part + "\xFF\xFF");
    std::string_view rest = high.back();
    REQUIRE(same<T>(varve::detail::decode_part<C>(rest), value));
    REQUIRE(rest == "\xFF\xFF");
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t j = 0; j < values.size(); ++j) {
      const bool less = ordered_before<T>(values[i], values[j]);
      const bool equal = same<T>(values[i], values[j]);
      if ((raw[i] < raw[j]) != less || (raw[i] == raw[j]) != equal) {
        FAIL("raw order of values " << i << " and " << j);
      }
      // What follows a component must never decide against it.
      if (less && !(high[i] < low[j])) FAIL("component order of values " << i << " and " << j);
      if (!equal && low[j].starts_with(low[i])) FAIL("prefix " << i << " of " << j);
    }
  }
}

template <class T>
std::vector<T> integers(std::mt19937_64& random) {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values = {Limits::min(), Limits::max(), T{0}, T{1}};
  values.push_back(static_cast<T>(-1));
  values.push_back(static_cast<T>(Limits::min() + 1));
  values.push_back(static_cast<T>(Limits::max() - 1));
  for (int bit = 0; bit < std::numeric_limits<std::make_unsigned_t<T>>::digits; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    values.push_back(static_cast<T>(power));
    values.push_back(static_cast<T>(power - 1));
    values.push_back(static_cast<T>(0 - power));
    values.push_back(static_cast<T>(random() >> (63 - bit)));
  }
  return values;
}

std::string random_text(std::mt19937_64& random) {
  constexpr std::string_view kAlphabet(
      "\0\x01\x02"
      "a\x7F\x80\xFE\xFF",
      8);
  std::string text(random() % 6, '\0');
  for (char& byte : text) byte = kAlphabet[random() % kAlphabet.size()];
  return text;
}
std::vector<std::string> texts(std::mt19937_64& random) {
  std::vector<std::string> values = {
      "",        "a",    "b",    "ab",       "a\0"s,     "a\0x"s,    "\0"s,   "\0\0"s,   "\0\x01"s,
      "\0\xFF"s, "\x01", "\xFF", "\xFF\xFF", "a\0\x01"s, "a\0\xFF"s, "a\x01", "user:10", "user:2"};
  for (int i = 0; i < 150; ++i) values.push_back(random_text(random));
  return values;
}

template <class... T>
void check_integers(std::mt19937_64& random) {
  (check_codec<T>(integers<T>(random)), ...);
}

template <class T, class Bits>
void check_floats(std::mt19937_64& random) {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values = {T(0),
                           T(1),
                           Limits::min(),
                           Limits::max(),
                           Limits::infinity(),
                           Limits::denorm_min(),
                           Limits::epsilon(),
                           T(1) / 3};
  const std::size_t half = values.size();
  for (std::size_t i = 0; i < half; ++i) values.push_back(-values[i]);
  values.push_back(Limits::quiet_NaN());
  for (int i = 0; i < 200; ++i) values.push_back(std::bit_cast<T>(static_cast<Bits>(random())));
  check_codec<T>(values);
}

}  // namespace

TEST_CASE("encoded integers sort as the integers do", "[lib][codec]") {
  std::mt19937_64 random(1);
  check_integers<std::int8_t, std::int16_t, std::int32_t, std::int64_t>(random);
  check_integers<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>(random);
  check_integers<long, unsigned long, long long, unsigned long long>(random);
  check_codec<bool>({false, true});
}

TEST_CASE("encodings are the documented bytes", "[lib][codec]") {
  CHECK(encoded(std::uint32_t{0x01020304}) == "\x01\x02\x03\x04");
  CHECK(encoded(std::int16_t{0}) == "\x80\x00"s);
  CHECK(encoded(std::int16_t{-1}) == "\x7F\xFF");
  CHECK(encoded(std::numeric_limits<std::int8_t>::min()) == "\x00"s);
  CHECK(encoded(true) == "\x01");
  CHECK(encoded(0.0) == "\x80\0\0\0\0\0\0\0"s);
  CHECK(encoded(-0.0) == "\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
  CHECK(encoded(1.0F) == "\xBF\x80\0\0"s);
  CHECK(encoded("a\0b"s) == "a\0b"s);
  CHECK(encoded(std::tuple("a\0b"s, "c"s)) ==
        "a\0\xFF"
        "b\0\x01"
        "c"s);
  CHECK(encoded(std::tuple("c"s, "a\0b"s)) ==
        "c\0\x01"
        "a\0b"s);
  CHECK(encoded(std::tuple(std::uint8_t{7}, std::uint8_t{8})) == "\x07\x08");
  CHECK(encoded(std::optional<std::uint8_t>()) == "\0"s);
  CHECK(encoded(std::optional<std::uint8_t>(5)) == "\x01\x05");
  CHECK(encoded(Colour::Blue) == "\x12\x34");
  CHECK(encoded(std::chrono::seconds(-1)) == "\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
}

TEST_CASE("encoded floating-point numbers sort in IEEE total order with one NaN at the end",
          "[lib][codec]") {
  std::mt19937_64 random(2);
  check_floats<float, std::uint32_t>(random);
  check_floats<double, std::uint64_t>(random);
  CHECK(encoded(-0.0) < encoded(0.0));
  CHECK(std::signbit(Codec<double>::decode(encoded(-0.0))));
  CHECK(encoded(std::numeric_limits<double>::infinity()) < encoded(std::nan("")));
}

TEST_CASE("all NaNs are the same key", "[lib][codec]") {
  const double negative = std::bit_cast<double>(0xFFF8000000000001ULL);
  const double signalling = std::bit_cast<double>(0x7FF0000000000001ULL);
  CHECK(encoded(negative) == encoded(std::nan("")));
  CHECK(encoded(signalling) == encoded(std::nan("")));
  CHECK(encoded(std::bit_cast<float>(0xFF800001U)) == encoded(std::nanf("")));
  CHECK(std::isnan(Codec<double>::decode(encoded(negative))));
}

TEST_CASE("encoded strings and bytes sort as unsigned bytes, zeros included", "[lib][codec]") {
  std::mt19937_64 random(3);
  const std::vector<std::string> strings = texts(random);
  check_codec<std::string>(strings);
  check_codec<Version>({{"a"}, {"a\0"s}, {""}, {"b"}, {"a\0\x01"s}});
  std::vector<std::vector<std::byte>> bytes;
  for (const std::string& text : strings) {
    bytes.push_back(Codec<std::vector<std::byte>>::decode(text));
    REQUIRE(encoded(bytes.back()) == text);
  }
  check_codec<std::vector<std::byte>>(bytes);
  CHECK(encoded<std::string_view>("abc") == "abc");
  CHECK(Codec<std::string_view>::decode("abc") == "abc");
}

TEST_CASE("a component that is the prefix of another one sorts before it whatever follows",
          "[lib][codec]") {
  using Key = std::tuple<std::string, std::string>;
  check_codec<Key>({{"a", ""}, {"a\0"s, "x"}, {"a", "\xFF"}, {"a\x01", ""}, {"", "a"}, {"", ""}});
  CHECK(encoded(Key("a", "")) < encoded(Key("a\0"s, "x")));
  CHECK(encoded(Key("a", "\xFF\xFF")) < encoded(Key("a\0"s, "")));
  CHECK(encoded(Key("ab", "c")) != encoded(Key("a", "bc")));
}

TEST_CASE("encoded tuples, pairs, arrays and optionals sort as the standard library does",
          "[lib][codec]") {
  std::mt19937_64 random(4);
  const std::vector<std::string> strings = texts(random);
  const auto text = [&] { return strings[random() % strings.size()]; };
  const auto number = [&] { return static_cast<std::int32_t>(random() % 5) - 2; };
  const auto maybe = [&]() -> std::optional<std::string> {
    if (random() % 3 == 0) return std::nullopt;
    return text();
  };
  using Nested = std::tuple<std::tuple<std::string, std::int32_t>, std::string>;
  using Deep = std::pair<std::int32_t, std::pair<std::string, std::optional<std::string>>>;
  std::vector<std::tuple<std::string, std::int32_t, std::string>> tuples;
  std::vector<Nested> nested;
  std::vector<Deep> deep;
  std::vector<std::array<std::string, 3>> arrays;
  std::vector<std::optional<std::string>> optionals = {std::nullopt, ""};
  std::vector<std::optional<std::optional<bool>>> double_optionals = {
      std::nullopt, std::optional<bool>(), std::optional<bool>(false), std::optional<bool>(true)};
  for (int i = 0; i < 200; ++i) {
    tuples.emplace_back(text(), number(), text());
    nested.push_back({{text(), number()}, text()});
    deep.push_back({number(), {text(), maybe()}});
    arrays.push_back({text(), text(), text()});
    optionals.push_back(maybe());
  }
  check_codec(tuples);
  check_codec(nested);
  check_codec(deep);
  check_codec(arrays);
  check_codec(optionals);
  check_codec(double_optionals);
  check_codec<std::tuple<std::string>>({{""}, {"a"}, {"a\0"s}});
}

TEST_CASE("encoded enums, durations and time points sort as their integers do", "[lib][codec]") {
  using std::chrono::milliseconds;
  check_codec<Colour>({Colour::Blue, Colour::Red, Colour::Green});
  check_codec<Level>({Level::High, Level::Low, Level::Zero});
  check_codec<milliseconds>({milliseconds::min(), milliseconds::max(), milliseconds(0),
                             milliseconds(-1), milliseconds(1), milliseconds(256)});
  check_codec<std::chrono::sys_days>({std::chrono::sys_days(std::chrono::days(-1)),
                                      std::chrono::sys_days(std::chrono::days(20000))});
  const auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
  check_codec<std::chrono::system_clock::time_point>({now, now - std::chrono::hours(1), {}});
}

TEST_CASE("codec names tell encodings apart", "[lib][codec]") {
  CHECK(Codec<std::uint64_t>::name() == "u64");
  CHECK(Codec<std::int32_t>::name() == "i32");
  CHECK(Codec<signed char>::name() == "i8");
  CHECK(Codec<double>::name() == "f64");
  CHECK(Codec<Colour>::name() == "u16");
  CHECK(Codec<std::tuple<std::string, std::uint64_t>>::name() == "tuple<str,u64>");
  CHECK(Codec<std::pair<std::string, std::optional<bool>>>::name() == "tuple<str,optional<bool>>");
  CHECK(Codec<std::array<float, 3>>::name() == "array<f32,3>");
  CHECK(Codec<std::vector<std::byte>>::name() == "bytes");
  CHECK(Codec<std::chrono::milliseconds>::name() == "duration<1/1000>");
  CHECK(Codec<std::chrono::sys_days>::name() == "time<86400/1>");
  CHECK(Codec<std::chrono::seconds>::name() != Codec<std::chrono::sys_seconds>::name());
  CHECK(PointCodec::name() == "tuple<i32,str,f64>");
  CHECK(Codec<Point>::name() == "point-1");
}

TEST_CASE("a codec of fields stores the listed members in order", "[lib][codec]") {
  const Point point{.x = -3, .label = "a\0b"s, .weight = 0.5, .not_stored = 99};
  const std::string bytes = encoded(point);
  CHECK(bytes == encoded(std::tuple(point.x, point.label, point.weight)));
  const Point found = Codec<Point>::decode(bytes);
  CHECK(found == Point{.x = -3, .label = "a\0b"s, .weight = 0.5, .not_stored = 7});
  const std::string inside = encoded(std::tuple(point, 5));
  CHECK(std::get<0>(Codec<std::tuple<Point, int>>::decode(inside)).label == "a\0b"s);
}

TEST_CASE("the encoded head of a tuple is a prefix of exactly the tuples that begin with it",
          "[lib][codec]") {
  using Key = std::tuple<std::string, std::int32_t, std::string>;
  const auto prefix = [](const auto& head) {
    std::string bytes;
    Codec<Key>::encode_prefix(head, bytes);
    return bytes;
  };
  const std::string with_a_1 = encoded(Key("a", 1, "x"));
  CHECK(with_a_1.starts_with(prefix(std::tuple("a"))));
  CHECK(with_a_1.starts_with(prefix(std::tuple("a"s, 1))));
  CHECK_FALSE(with_a_1.starts_with(prefix(std::tuple("a", 2))));
  CHECK_FALSE(encoded(Key("ab", 1, "x")).starts_with(prefix(std::tuple("a"))));
  CHECK_FALSE(encoded(Key("a\0"s, 1, "x")).starts_with(prefix(std::tuple("a"))));
}

TEST_CASE("decoders refuse bytes of another size", "[lib][codec][malformed]") {
  for (const std::size_t size : {0, 1, 2, 3, 5, 7, 9, 16}) {
    const std::string bytes(size, '\x01');
    check_refused<std::uint64_t>(bytes);
    check_refused<std::int32_t>(bytes);
    check_refused<double>(bytes);
    check_refused<float>(bytes);
    check_refused<std::chrono::milliseconds>(bytes);
    check_refused<std::chrono::system_clock::time_point>(bytes);
    if (size != 1) check_refused<bool>(bytes);
    if (size != 2) check_refused<Colour>(bytes);
    if (size != 3) check_refused<std::array<std::uint8_t, 3>>(bytes);
    if (size != 9) check_refused<std::tuple<std::uint8_t, std::uint64_t>>(bytes);
    if (size != 5) check_refused<std::optional<std::int32_t>>(bytes);
  }
  CHECK_THROWS_WITH(Codec<std::uint64_t>::decode("abc"), "codec u64: 8 bytes expected, 3 found");
}

TEST_CASE("decoders refuse bytes that no value has", "[lib][codec][malformed]") {
  check_refused<bool>("\x02");
  check_refused<double>("\xFF\xF8\0\0\0\0\0\x01"s);            // A NaN with a payload.
  check_refused<double>("\x00\x07\xFF\xFF\xFF\xFF\xFF\xFF"s);  // A negative NaN.
  check_refused<float>("\xFF\xFF\xFF\xFF");
  check_refused<std::optional<bool>>("");
  check_refused<std::optional<bool>>("\x02\x01");
  check_refused<std::optional<bool>>("\0\x01"s);  // Nothing, and then something.
  check_refused<std::optional<std::string>>("\0a"s);
  using Short = std::chrono::duration<std::int16_t>;
  check_refused<Short>(encoded(std::chrono::seconds(32'768)));  // Written by a wider one.
  check_refused<std::chrono::sys_time<Short>>(encoded(std::chrono::seconds(-32'769)));
  using Texts = std::tuple<std::string, std::string>;
  check_refused<Texts>("");
  check_refused<Texts>("a");
  check_refused<Texts>("a\0"s);
  check_refused<Texts>("a\0\x02z"s);
  check_refused<Texts>("a\0\xFFz"s);  // An escaped zero, no terminator.
  check_refused<std::array<std::string, 2>>("a");
  check_refused<Point>("\x80\0\0"s);
  check_refused<Point>("\x80\0\0\0a\0\x01\x80"s);
}

namespace {

// Bytes are refused, or are the one encoding of what they decode to.
template <class T>
std::size_t count_accepted(std::mt19937_64& random) {
  CAPTURE(Codec<T>::name());
  std::size_t accepted_count = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string bytes = random_text(random) + random_text(random) + random_text(random);
    try {
      const T value = Codec<T>::decode(bytes);
      ++accepted_count;
      if (encoded(value) != bytes) FAIL("two encodings of one value");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::Corruption) throw;
    }
  }
  return accepted_count;
}

}  // namespace

TEST_CASE("every value has exactly one encoding that decodes", "[lib][codec][malformed]") {
  std::mt19937_64 random(5);
  CHECK(count_accepted<bool>(random) > 0);
  CHECK(count_accepted<std::int16_t>(random) > 0);
  CHECK(count_accepted<float>(random) > 0);
  CHECK(count_accepted<double>(random) > 0);
  CHECK(count_accepted<std::chrono::seconds>(random) > 0);
  CHECK(count_accepted<std::string>(random) == 20'000);
  CHECK(count_accepted<std::tuple<std::string, std::string>>(random) > 0);
  CHECK(count_accepted<std::tuple<std::optional<std::string>, bool>>(random) > 0);
  CHECK(count_accepted<std::tuple<std::tuple<std::string, bool>, std::string>>(random) > 0);
  CHECK(count_accepted<std::array<std::optional<bool>, 4>>(random) > 0);
}
