// SPDX-License-Identifier: Apache-2.0
#include "varve/typed_index.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <type_traits>

#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace std::string_literals;
using varve::Error;
using varve::ErrorCode;
using varve::SegmentIndex;
using varve::TypedIndex;
using varve::test::thrown_by;

using Numbers = TypedIndex<std::int64_t, std::string>;
using Orders = TypedIndex<std::tuple<std::string, std::uint32_t>, double>;

template <class Range>
auto collect(Range cursor) {
  std::vector<typename Range::Entry> entries;
  for (const auto& entry : cursor) entries.push_back(entry);
  return entries;
}
template <class Range>
auto collect_keys(Range cursor) {
  std::vector<decltype(Range::Entry::first)> keys;
  for (const auto& [key, value] : cursor) keys.push_back(key);
  return keys;
}
bool mentions(const Error& error, std::string_view text) {
  return std::string_view(error.what()).find(text) != std::string_view::npos;
}

static_assert(std::is_nothrow_move_constructible_v<Numbers>);
static_assert(!std::is_copy_constructible_v<Numbers>);

}  // namespace

TEST_CASE("typed puts, gets and erases meet in the same keys", "[lib][typed_index]") {
  Numbers index = Numbers::open_in_memory();
  index.put(-5, "minus five");
  index.put(7, "seven");
  index.put(7, "SEVEN");
  CHECK(index.get(-5) == "minus five");
  CHECK(index.get(7) == "SEVEN");
  CHECK(index.get(5) == std::nullopt);
  CHECK(index.contains(7));
  index.erase(7);
  CHECK_FALSE(index.contains(7));
  const std::vector<std::int64_t> keys = {7, -5, 0};
  CHECK(index.multi_get(keys) ==
        std::vector<std::optional<std::string>>{std::nullopt, "minus five", std::nullopt});
}

TEST_CASE("a typed scan goes through keys in the order of their type", "[lib][typed_index][scan]") {
  Numbers index = Numbers::open_in_memory();
  std::map<std::int64_t, std::string> model;
  std::mt19937_64 random(11);
  for (int i = 0; i < 500; ++i) {
    const auto key = static_cast<std::int64_t>(random()) >> (random() % 60);
    model[key] = std::to_string(i);
    index.put(key, model[key]);
  }
  const std::vector<std::pair<std::int64_t, std::string>> all(model.begin(), model.end());
  CHECK(collect(index.scan()) == all);
  auto reversed = all;
  std::reverse(reversed.begin(), reversed.end());
  CHECK(collect(index.scan({.reverse = true})) == reversed);
  const std::vector<std::pair<std::int64_t, std::string>> middle(model.lower_bound(-100),
                                                                 model.lower_bound(1000));
  REQUIRE(middle.size() > 2);
  CHECK(collect(index.scan({.from = -100, .to = 1000})) == middle);
  CHECK(collect_keys(index.scan({.from = -100, .limit = 1})) ==
        std::vector<std::int64_t>{middle.front().first});
}

TEST_CASE("a typed scan goes on from a resume token", "[lib][typed_index][scan]") {
  Numbers index = Numbers::open_in_memory();
  for (int i = -5; i < 5; ++i) index.put(i, "");
  auto page = index.scan({.limit = 4});
  std::vector<std::int64_t> keys;
  while (page.next()) keys.push_back(page.key());
  CHECK(page.end_reason() == varve::ScanEnd::Limit);
  CHECK(keys == std::vector<std::int64_t>{-5, -4, -3, -2});
  const std::string token = page.resume_token();
  CHECK(collect_keys(index.scan({.limit = 3, .resume = token})) ==
        std::vector<std::int64_t>{-1, 0, 1});
}

TEST_CASE("tuple keys are scanned by their first components", "[lib][typed_index][scan]") {
  Orders index = Orders::open_in_memory();
  for (const std::string customer : {"a", "ab", "b"}) {
    for (const std::uint32_t number : {1U, 300U}) index.put({customer, number}, 0.5 * number);
  }
  index.put({"a\0"s, 2}, 1.0);
  using Keys = std::vector<std::tuple<std::string, std::uint32_t>>;
  CHECK(collect_keys(index.scan_prefix(std::tuple("a"))) == Keys{{"a", 1}, {"a", 300}});
  CHECK(collect_keys(index.scan_prefix(std::tuple("a"), {.reverse = true, .limit = 1})) ==
        Keys{{"a", 300}});
  CHECK(collect_keys(index.scan_prefix(std::tuple("a\0"s))) == Keys{{"a\0"s, 2}});
  CHECK(collect_keys(index.scan_prefix(std::tuple("c"))).empty());
}

TEST_CASE("an end bound that encodes to no bytes is the start of everything, not its end",
          "[lib][typed_index][scan]") {
  using Texts = TypedIndex<std::string, std::uint8_t>;
  Texts index = Texts::open_in_memory();
  index.put("\0"s, 1);
  index.put("b", 2);
  CHECK(collect_keys(index.scan({.to = ""})).empty());
  CHECK(collect_keys(index.scan({.from = ""})).size() == 2);
  index.erase_range(std::nullopt, "");
  CHECK(collect_keys(index.scan()).size() == 2);
  index.erase_range("", "b");
  CHECK(collect_keys(index.scan()) == std::vector<std::string>{"b"});
}

TEST_CASE("the empty string is refused as a key", "[lib][typed_index]") {
  using Texts = TypedIndex<std::string, std::string>;
  Texts index = Texts::open_in_memory();
  CHECK(thrown_by([&] { index.put("", "value"); }).code() == ErrorCode::InvalidArgument);
  index.put("key", "");
  CHECK(index.get("key") == "");
}

TEST_CASE("a typed erase_range erases from the first key up to the second", "[lib][typed_index]") {
  Numbers index = Numbers::open_in_memory();
  for (int i = -5; i < 5; ++i) index.put(i, "");
  index.erase_range(-2, 3);
  CHECK(collect_keys(index.scan()) == std::vector<std::int64_t>{-5, -4, -3, 3, 4});
  index.erase_range(std::nullopt, -4);
  CHECK(collect_keys(index.scan()) == std::vector<std::int64_t>{-4, -3, 3, 4});
  index.erase_range(-3, std::nullopt);
  CHECK(collect_keys(index.scan()) == std::vector<std::int64_t>{-4});
}

TEST_CASE("a typed batch takes effect as a whole and in order", "[lib][typed_index]") {
  Numbers index = Numbers::open_in_memory();
  index.put(1, "old");
  index.put(2, "old");
  Numbers::Batch batch;
  batch.put(3, "three");
  batch.erase(1);
  batch.erase_range(2, 3);
  batch.put(4, "four");
  CHECK(batch.count() == 4);
  CHECK(index.get(3) == std::nullopt);
  index.write(batch);
  CHECK(collect_keys(index.scan()) == std::vector<std::int64_t>{3, 4});
  batch.clear();
  CHECK(batch.empty());
}

TEST_CASE("typed reads through a snapshot see its moment", "[lib][typed_index]") {
  Numbers index = Numbers::open_in_memory();
  index.put(1, "before");
  const varve::Snapshot snapshot = index.index().snapshot();
  index.put(1, "after");
  index.put(2, "after");
  CHECK(index.get(1, &snapshot) == "before");
  CHECK_FALSE(index.contains(2, &snapshot));
  CHECK(collect_keys(index.scan({.snapshot = &snapshot})) == std::vector<std::int64_t>{1});
  CHECK(index.get(1) == "after");
}

TEST_CASE("an index keeps its codec names and refuses others, naming both",
          "[lib][typed_index][mismatch]") {
  const varve::test::TemporaryDirectory directory;
  const auto path = directory.path() / "index";
  { Numbers::open(path).put(1, "one"); }
  const Error by_key = thrown_by([&] { (void)TypedIndex<std::string, std::string>::open(path); });
  CHECK(by_key.code() == ErrorCode::Mismatch);
  CHECK(mentions(by_key, "i64"));
  CHECK(mentions(by_key, "str"));
  const Error by_value = thrown_by([&] { (void)TypedIndex<std::int64_t, double>::open(path); });
  CHECK(by_value.code() == ErrorCode::Mismatch);
  CHECK(mentions(by_value, "f64"));
  SegmentIndex bytes = SegmentIndex::open(path);
  using Unsigned = TypedIndex<std::uint64_t, std::string>;
  const Error over_bytes = thrown_by([&] { Unsigned typed(bytes); });
  CHECK(over_bytes.code() == ErrorCode::Mismatch);
  CHECK(mentions(over_bytes, "i64"));
  CHECK(mentions(over_bytes, "u64"));
  CHECK(over_bytes.path() == path);
  const Error other_values = thrown_by([&] { TypedIndex<std::int64_t, bool> typed(bytes); });
  CHECK(other_values.code() == ErrorCode::Mismatch);
  CHECK(mentions(other_values, "its values were written by codec str"));
  CHECK(mentions(other_values, "codec bool"));
  CHECK(Numbers(bytes).get(1) == "one");
}

TEST_CASE("a typed open puts its own codec names into the options", "[lib][typed_index]") {
  varve::Options options;
  options.key_codec = "left over";
  options.value_codec = "left over";
  const Numbers index = Numbers::open_in_memory(options);
  CHECK(index.index().options().key_codec == "i64");
  CHECK(index.index().options().value_codec == "str");
}

TEST_CASE("the first typed handle names the codecs of an index that has none",
          "[lib][typed_index][mismatch]") {
  const varve::test::TemporaryDirectory directory;
  const auto path = directory.path() / "index";
  {
    SegmentIndex bytes = SegmentIndex::open(path);
    Numbers typed(bytes);
    typed.put(1, "one");
    CHECK(bytes.options().key_codec == "i64");
    CHECK(bytes.options().value_codec == "str");
  }
  CHECK(thrown_by([&] { (void)Orders::open(path); }).code() == ErrorCode::Mismatch);
  CHECK(Numbers::open(path).get(1) == "one");
}

TEST_CASE("bytes that a codec refuses are reported with the key and the codec",
          "[lib][typed_index][malformed]") {
  using Integers = TypedIndex<std::uint16_t, std::uint32_t>;
  SegmentIndex bytes = SegmentIndex::open_in_memory();
  const Integers typed(bytes);
  bytes.put("\x01\x02", "abc");
  const Error by_value = thrown_by([&] { (void)typed.get(0x0102); });
  CHECK(by_value.code() == ErrorCode::Corruption);
  CHECK(mentions(by_value, "value of key 0102 as u32: codec u32: 4 bytes expected, 3 found"));
  const std::vector<std::uint16_t> keys = {0x0102};
  CHECK(thrown_by([&] { (void)typed.multi_get(keys); }).code() == ErrorCode::Corruption);
  CHECK(thrown_by([&] { (void)collect(typed.scan()); }).code() == ErrorCode::Corruption);
  bytes.put("\x01\x02", "abcd");
  bytes.put("\x01\x02\x03", "abcd");
  const Error by_key = thrown_by([&] { (void)collect(typed.scan()); });
  CHECK(mentions(by_key, "key 010203 as u16: codec u16: 2 bytes expected, 3 found"));
}

TEST_CASE("a moved typed index goes on", "[lib][typed_index]") {
  Numbers first = Numbers::open_in_memory();
  first.put(1, "one");
  Numbers second = std::move(first);
  CHECK(second.get(1) == "one");
  second.put(2, "two");
  CHECK(second.index().get("\x80\0\0\0\0\0\0\x02"s) == "two");
}
