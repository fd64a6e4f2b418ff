// SPDX-License-Identifier: Apache-2.0
#include "tools/text.hpp"

#include <random>
#include <string>

#include "tests/support/catch.hpp"
#include "tools/log_operations.hpp"
#include "tools/progress.hpp"
#include "varve/write_batch.hpp"

using namespace varve::tools;
using namespace std::string_literals;

namespace {

std::string unescaped(std::string_view text) {
  std::string bytes;
  std::size_t error_offset = 0;
  REQUIRE(unescape(text, bytes, error_offset));
  return bytes;
}

}  // namespace

TEST_CASE("escaped bytes are printable and come back as they were", "[tools][text]") {
  CHECK(escaped("a\tb\nc\rd\\e"s) == "a\\tb\\nc\\rd\\\\e");
  CHECK(escaped("\0\x1b\x7f"s) == "\\x00\\x1b\\x7f");
  CHECK(escaped("gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\xb2") == "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\xb2");
  CHECK(escaped("\xff\xc3") == "\\xff\\xc3");
  CHECK(escaped("\xc2\x9b"
                "1m") == "\\xc2\\x9b1m");  // A terminal takes it for the start of a command.
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string text = escaped(bytes);
    CAPTURE(round, text);
    CHECK(is_utf8(text));
    CHECK(unescaped(text) == bytes);
    std::string from_hex;
    std::size_t error_offset = 0;
    CHECK(unhex(hex(bytes), from_hex, error_offset));
    CHECK(from_hex == bytes);
  }
}

TEST_CASE("an escape that is none is found where it stands", "[tools][text]") {
  for (const char* text : {"ab\\q", "ab\\", "ab\\x1", "ab\\xg0", "ab\\x"}) {
    CAPTURE(text);
    std::string bytes;
    std::size_t error_offset = 0;
    CHECK_FALSE(unescape(text, bytes, error_offset));
    CHECK(error_offset == 2);
  }
  std::string bytes;
  std::size_t error_offset = 0;
  CHECK_FALSE(unhex("00f", bytes, error_offset));
  CHECK(error_offset == 3);
  CHECK_FALSE(unhex("00z0", bytes, error_offset));
  CHECK(error_offset == 2);
}

TEST_CASE("overlong forms, surrogates and cut sequences are no UTF-8", "[tools][text]") {
  for (const char* bytes : {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                            "\xf0\x80\x80\x80", "\xe2\x82", "\x80", "\xf8\x88\x80\x80\x80"}) {
    CAPTURE(hex(bytes));
    CHECK_FALSE(is_utf8(bytes));
  }
  CHECK(is_utf8("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"));
}

TEST_CASE("sizes and durations are read with their units, anything else is refused",
          "[tools][text]") {
  CHECK(parse_size("4096") == 4096U);
  CHECK(parse_size("64KiB") == 65536U);
  CHECK(parse_size("16m") == 16U << 20);
  CHECK(parse_size("1G") == 1U << 30);
  for (const char* text : {"", "x", "-1", "1T", "1.5M", "99999999999999999999", "99999999999G"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text));
  }
  using std::chrono::milliseconds;
  CHECK(parse_duration("250ms") == milliseconds(250));
  CHECK(parse_duration("30s") == milliseconds(30'000));
  CHECK(parse_duration("2m") == milliseconds(120'000));
  CHECK(parse_duration("0") == milliseconds(0));
  for (const char* text : {"", "30", "s", "-1s", "1d", "999999999999999h"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("the nearest word is suggested, a far one is not", "[tools][text]") {
  CHECK(nearest("--limt", {"--from", "--limit"}) == "--limit");
  CHECK(nearest("chekc", {"scan", "check"}) == "check");
  CHECK_FALSE(nearest("--colour", {"--from", "--limit"}));
  CHECK_FALSE(nearest("-k", {"-h"}));  // All short ones are near to each other.
}

TEST_CASE("progress tells share, rate and time left where they are known", "[tools][progress]") {
  using std::chrono::milliseconds;
  CHECK(progress_text({.done = 50, .total = 200, .count = 5000, .elapsed = milliseconds(2000)},
                      "entries") ==
        "[#######.......................]  25%  5,000 entries  2,500/s  ETA 6.0 s");
  CHECK(progress_text({.done = 50, .count = 5000, .elapsed = milliseconds(2000)}, "entries") ==
        "5,000 entries  2,500/s");
}

TEST_CASE("a batch's operations are read back, and cut bytes end the walk", "[tools][log]") {
  varve::WriteBatch batch;
  const std::string long_value(300, 'v');
  batch.put("key", long_value);
  batch.erase("gone");
  batch.erase_range("a", "");
  LogOperationReader reader(batch.encoded());
  LogOperation operation;
  REQUIRE(reader.next(operation));
  CHECK(operation.kind == LogOperation::Kind::Put);
  CHECK(operation.key == "key");
  CHECK(operation.value == long_value);
  REQUIRE(reader.next(operation));
  CHECK(operation.kind == LogOperation::Kind::Erase);
  CHECK(operation.key == "gone");
  REQUIRE(reader.next(operation));
  CHECK(operation.kind == LogOperation::Kind::EraseRange);
  CHECK(operation.key == "a");
  CHECK(operation.value.empty());
  CHECK_FALSE(reader.next(operation));
  CHECK(reader.ok());

  for (std::size_t size = 1; size < batch.encoded().size(); ++size) {
    LogOperationReader cut(batch.encoded().substr(0, size));
    std::size_t count = 0;
    while (cut.next(operation)) ++count;
    CAPTURE(size);
    CHECK(count < 3);
  }
  LogOperationReader unknown("\x09");
  CHECK_FALSE(unknown.next(operation));
  CHECK_FALSE(unknown.ok());
}
