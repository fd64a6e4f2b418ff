// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/model.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using internal::SegmentIndexAccess;

struct InMemory {
  std::shared_ptr<directory::Directory> directory() { return directory_; }
  std::shared_ptr<directory::Directory> directory_ = directory::make_memory_directory();
};
struct InFiles {
  std::shared_ptr<directory::Directory> directory() {
    return directory::make_posix_directory(temporary_.path() / "index");
  }
  TemporaryDirectory temporary_;
};

template <Access kAccess, Reads kReads, typename Medium>
struct Kind {
  [[nodiscard]] static Options options() {
    Options options = tiny_options();
    options.access = kAccess;
    options.reads = kReads;
    return options;
  }
  SegmentIndex open() { return SegmentIndexAccess::open(medium.directory(), options()); }
  Medium medium;
};

// clang-format off
using Kinds = std::tuple<
    Kind<Access::Bare, Reads::Mapped, InMemory>, Kind<Access::Bare, Reads::Buffered, InMemory>,
    Kind<Access::Synchronized, Reads::Mapped, InMemory>,
    Kind<Access::Synchronized, Reads::Buffered, InMemory>,
    Kind<Access::Bare, Reads::Mapped, InFiles>, Kind<Access::Bare, Reads::Buffered, InFiles>,
    Kind<Access::Synchronized, Reads::Mapped, InFiles>,
    Kind<Access::Synchronized, Reads::Buffered, InFiles>,
    Kind<Access::Concurrent, Reads::Mapped, InMemory>,
    Kind<Access::Concurrent, Reads::Buffered, InMemory>,
    Kind<Access::Concurrent, Reads::Mapped, InFiles>,
    Kind<Access::Concurrent, Reads::Buffered, InFiles>>;
// clang-format on

// Where what was written may be when it is read back.
enum class Stage { Written, Flushed, Compacted, Reopened };

template <typename Kind>
void bring_to(Stage stage, Kind& kind, SegmentIndex& index) {
  if (stage == Stage::Flushed) index.flush();
  if (stage == Stage::Compacted) index.compact();
  if (stage == Stage::Reopened) {
    index.close();
    index = kind.open();
  }
}

Stage any_stage() {
  return GENERATE(Stage::Written, Stage::Flushed, Stage::Compacted, Stage::Reopened);
}

void put_numbers(SegmentIndex& index, Model& model, int from, int to, std::size_t value_size) {
  for (int i = from; i < to; ++i) {
    const std::string key = "key-" + std::to_string(100000 + i);
    const std::string value(value_size, static_cast<char>('a' + i % 26));
    index.put(key, value);
    model.put(key, value);
  }
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a batch in order over many segments puts each key where it belongs",
                        "[lib][conformance]", Kinds) {
  TestType kind;
  SegmentIndex index = kind.open();
  Model model;
  const auto key = [](int number) { return "key" + std::to_string(100'000 + number); };
  for (int i = 0; i < 3000; ++i) {
    index.put(key(i), std::string(100, 'v'));
    model.put(key(i), std::string(100, 'v'));
  }
  index.compact();
  REQUIRE(index.statistics().segments.size() >= 4);
  const int step = GENERATE(1, -1, 701);  // The last: scattered.
  WriteBatch batch;
  for (int i = 0; i < 3000; ++i) {
    const int number = ((i * step) % 3000 + 3000) % 3000;
    if (number % 5 == 0) {
      batch.erase(key(number));
      model.erase(key(number));
    } else {
      batch.put(key(number), std::to_string(i));
      model.put(key(number), std::to_string(i));
    }
  }
  index.write(batch);
  for (int i = 0; i < 3000; ++i) CHECK(index.get(key(i)) == model.get(key(i)));
  CHECK(difference(scan_all(index), model.scan()) == "");
  index.compact();
  CHECK(difference(scan_all(index), model.scan()) == "");
}

TEMPLATE_LIST_TEST_CASE("what was put is got, what was erased is absent", "[lib][conformance]",
                        Kinds) {
  TestType kind;
  SegmentIndex index = kind.open();
  index.put("a", "1");
  index.put("b", "");
  index.put("c", "old");
  index.put("c", "new");
  index.put("d", "gone");
  index.erase("d");
  index.erase("never there");
  bring_to(any_stage(), kind, index);
  CHECK(index.get("a") == "1");
  CHECK(index.get("b") == "");
  CHECK(index.get("c") == "new");
  CHECK(index.get("d") == std::nullopt);
  CHECK(index.contains("b"));
  CHECK_FALSE(index.contains("d"));
  CHECK_FALSE(index.contains("ab"));
  std::string value = "kept memory";
  CHECK(index.get("c", value));
  CHECK(value == "new");
  CHECK_FALSE(index.get("d", value));
  const std::vector<std::string_view> keys = {"d", "a", "a", "zz", "b"};
  const std::vector<std::optional<std::string>> expected = {std::nullopt, "1", "1", std::nullopt,
                                                            ""};
  CHECK(index.multi_get(keys) == expected);
  CHECK(index.multi_get({}).empty());
  // More than are looked up side by side.
  std::vector<std::string_view> many_keys;
  std::vector<std::optional<std::string>> many_expected;
  for (std::size_t i = 0; i < 19; ++i) {
    many_keys.push_back(keys[i * i % keys.size()]);
    many_expected.push_back(expected[i * i % keys.size()]);
  }
  CHECK(index.multi_get(many_keys) == many_expected);
}

TEMPLATE_LIST_TEST_CASE("multi_get replaces what its caller's values held", "[lib][conformance]",
                        Kinds) {
  TestType kind;
  SegmentIndex index = kind.open();
  constexpr std::size_t kCount = 100;  // Several groups.
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kCount; ++i) names.push_back("key" + std::to_string(i));
  std::vector<std::optional<std::string>> expected(kCount);
  for (std::size_t i = 0; i < kCount; i += 2) {
    index.put(names[i], expected[i].emplace("value " + std::string(i, 'v')));
  }
  bring_to(any_stage(), kind, index);
  const std::vector<std::string_view> keys(names.begin(), names.end());
  std::vector<std::optional<std::string>> values(kCount);
  for (std::size_t i = 0; i < kCount; i += 3) values[i] = "of a call before this one";
  CHECK(index.multi_get(keys, values) == kCount / 2);
  CHECK(values == expected);

  const char* const memory = values[90]->data();
  CHECK(index.multi_get(keys, values) == kCount / 2);
  CHECK(values == expected);
  CHECK(values[90]->data() == memory);

  const Snapshot snapshot = index.snapshot();
  index.erase(names[90]);
  CHECK(index.multi_get(keys, values, &snapshot) == kCount / 2);
  CHECK(values == expected);
  CHECK(index.multi_get(keys, values) == kCount / 2 - 1);
  CHECK_FALSE(values[90]);

  values.pop_back();
  CHECK(error_of([&] { index.multi_get(keys, values); }) == ErrorCode::InvalidArgument);
}

TEMPLATE_LIST_TEST_CASE("a batch takes effect as a whole and in order", "[lib][conformance]",
                        Kinds) {
  TestType kind;
  SegmentIndex index = kind.open();
  index.put("k1", "before");
  index.put("k2", "before");
  WriteBatch batch;
  batch.put("k1", "overwritten");
  batch.put("k3", "erased by the range");
  batch.erase("k2");
  batch.put("k2", "put after its erase");
  batch.erase_range("k1", "k2");
  batch.erase_range("k3", "");
  batch.put("k4", "put after the range erase");
  batch.put("k5", "to be erased");
  batch.erase("k5");
  index.write(batch);
  index.write(WriteBatch());
  bring_to(any_stage(), kind, index);
  const Entries expected = {{"k2", "put after its erase"}, {"k4", "put after the range erase"}};
  CHECK(difference(scan_all(index), expected) == "");
  CHECK(index.get("k1") == std::nullopt);
  CHECK(index.get("k3") == std::nullopt);
  CHECK(index.get("k4") == "put after the range erase");
}

TEMPLATE_LIST_TEST_CASE("erasing a range erases what is in it and nothing else",
                        "[lib][conformance]", Kinds) {
  TestType kind;
  SegmentIndex index = kind.open();
  Model model;
  put_numbers(index, model, 0, 600, 150);
  index.compact();  // Several segments.
  put_numbers(index, model, 300, 320, 20);
  const auto erase = [&](std::string_view from, std::string_view to) {
    index.erase_range(from, to);
    model.erase_range(from, to);
  };
  erase("key-100100", "key-100450");
  erase("key-100500", "key-100500");  // Empty.
  erase("key-100520", "key-100510");  // The wrong way round.
  put_numbers(index, model, 200, 210, 30);
  erase("key-100590", "");
  index.erase_prefix("key-10000");
  model.erase_prefix("key-10000");
  bring_to(any_stage(), kind, index);
  CHECK(difference(scan_all(index), model.scan()) == "");
  CHECK(index.get("key-100205").has_value());
  CHECK_FALSE(index.get("key-100300").has_value());
  CHECK_FALSE(index.contains("key-100599"));
  index.erase_prefix("");
  CHECK(scan_all(index).empty());
  bring_to(any_stage(), kind, index);
  CHECK(scan_all(index).empty());
}

TEMPLATE_LIST_TEST_CASE("scans give the range that was asked for, in both directions",
                        "[lib][conformance]", Kinds) {
  TestType kind;
  SegmentIndex index = kind.open();
  Model model;
  put_numbers(index, model, 0, 500, 150);
  index.compact();
  put_numbers(index, model, 250, 260, 10);
  bring_to(any_stage(), kind, index);
  const std::vector<ScanOptions> scans = {
      {},
      {.from = "key-100100"},
      {.to = "key-100100"},
      {.from = "key-1001", .to = "key-1002"},
      {.from = "x"},
      {.to = "a"},
      {.from = "key-100200", .to = "key-100100"},
      {.prefix = "key-10025"},
      {.from = "key-100255", .to = "key-100258", .prefix = "key-10025"},
      {.prefix = "nothing"},
      {.limit = 0},
      {.limit = 7},
      {.from = "key-100490", .limit = 100},
  };
  for (ScanOptions options : scans) {
    for (const bool reverse : {false, true}) {
      options.reverse = reverse;
      CAPTURE(options.from, options.to, options.prefix, options.limit, reverse);
      CHECK(difference(scan_all(index, options), model.scan(options)) == "");
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a snapshot goes on showing its moment", "[lib][conformance]", Kinds) {
  TestType kind;
  SegmentIndex index = kind.open();
  Model model;
  put_numbers(index, model, 0, 300, 150);
  const Model then = model;
  const Snapshot snapshot = index.snapshot();
  CHECK(index.statistics().live_snapshot_count == 1);
  put_numbers(index, model, 100, 500, 40);
  index.erase_range("key-100000", "key-100150");
  model.erase_range("key-100000", "key-100150");
  index.erase("key-100200");
  model.erase("key-100200");
  const auto stage = GENERATE(Stage::Written, Stage::Flushed, Stage::Compacted);
  bring_to(stage, kind, index);
  ScanOptions options;
  options.snapshot = &snapshot;
  CHECK(difference(scan_all(index, options), then.scan()) == "");
  CHECK(difference(scan_all(index), model.scan()) == "");
  for (const char* const key : {"key-100000", "key-100149", "key-100200", "key-100400"}) {
    CHECK(index.get(key, &snapshot) == then.get(key));
    CHECK(index.contains(key, &snapshot) == then.get(key).has_value());
    CHECK(index.get(key) == model.get(key));
  }
}

TEMPLATE_LIST_TEST_CASE("values up to megabytes and keys up to the limit are kept",
                        "[lib][conformance]", Kinds) {
  TestType kind;
  SegmentIndex index = kind.open();
  Model model;
  for (const std::size_t size : {0, 1, 511, 512, 4096, 65536, 300000, 3000000}) {
    const std::string key = "value of " + std::to_string(size);
    index.put(key, std::string(size, 'v'));
    model.put(key, std::string(size, 'v'));
  }
  for (const std::size_t size : {std::size_t{1}, std::size_t{600}, kKeySizeMax}) {
    for (const char last : {'\0', '\xff'}) {
      std::string key(size, 'k');
      key.back() = last;
      index.put(key, "by its key");
      model.put(key, "by its key");
    }
  }
  bring_to(any_stage(), kind, index);
  CHECK(difference(scan_all(index), model.scan()) == "");
  for (const auto& [key, value] : model.entries()) CHECK((index.get(key) == value));
}

}  // namespace varve::test
