// SPDX-License-Identifier: Apache-2.0
//
// Scans whose steps mostly have nothing to merge (MergingSource::next_straight()), and the places
// where they must not take it for granted.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/model.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

constexpr int kCount = 1200;
constexpr int kThird = kCount / 3;

enum class Layer : std::uint8_t { Memory, Slice, Main };

std::string key_of(int number) {
  return "key-" + std::to_string(100000 + number);
}

Options options_of(Access access, Reads reads = Reads::Mapped) {
  Options options = tiny_options();
  options.access = access;
  options.reads = reads;
  options.tuning.inline_maintenance = false;  // A job would end a fail-fast scan.
  return options;
}

// An index and what it must hold.
struct Pair {
  explicit Pair(const Options& options) : index(SegmentIndex::open_in_memory(options)) {
    for (int i = 0; i < kCount; i += 2) put(i, std::string(200, static_cast<char>('a' + i % 26)));
    index.compact();
    REQUIRE(index.statistics().segments.size() >= 3);
  }
  void put(int number, const std::string& value) {
    index.put(key_of(number), value);
    model.put(key_of(number), value);
  }
  void erase(int number) {
    index.erase(key_of(number));
    model.erase(key_of(number));
  }
  SegmentIndex index;
  Model model;
};

// The last two thirds get further layers: stretches of new keys, so that each layer stays ahead for
// a while, single ones between older keys, new versions and erasures.
void add_layers(Pair& pair) {
  for (int i = kThird; i < kThird + 100; ++i) pair.put(i, "slice" + std::to_string(i));
  for (int i = 2 * kThird; i < kCount; i += 6) pair.put(i, "newer");
  for (int i = kThird + 120; i < kCount; i += 32) pair.erase(i);
  pair.index.flush();
  for (int i = kThird + 51; i < kThird + 250; ++i) pair.put(i, "memory" + std::to_string(i));
  for (int i = 2 * kThird + 1; i < kCount; i += 40) pair.put(i, "single");
  for (int i = kThird + 40; i < kCount; i += 34) pair.erase(i);
}

Entries take(Cursor& cursor, std::size_t count) {
  Entries found;
  while (found.size() < count && cursor.next()) found.emplace_back(cursor.key(), cursor.value());
  return found;
}

}  // namespace

TEST_CASE("a scan from a segment of one layer into others of several gives what a map does",
          "[lib][scan][straight]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  const auto reads = GENERATE(Reads::Mapped, Reads::Buffered);
  const auto isolation = GENERATE(Isolation::Snapshot, Isolation::FailFast, Isolation::Exclusive);
  CAPTURE(to_string(access), to_string(reads), static_cast<int>(isolation));
  Pair pair(options_of(access, reads));
  add_layers(pair);
  ScanOptions scan;
  scan.isolation = isolation;
  {
    Cursor all = pair.index.scan(scan);
    CHECK(difference(take_all(all), pair.model.scan(scan)) == "");
    CHECK(all.end_reason() == ScanEnd::End);
  }
  // Ends in the middle of a block, of a leaf, at absent keys, and by the number of entries.
  for (int i = 0; i < kCount; i += 37) {
    const std::string from = key_of(i), to = key_of(i + 1 + i % 90);
    ScanOptions part = scan;
    part.from = from;
    part.to = to;
    part.limit = i % 3 == 0 ? static_cast<std::uint64_t>(i % 50) : part.limit;
    CAPTURE(from, to, part.limit);
    Cursor cursor = pair.index.scan(part);
    REQUIRE(difference(take_all(cursor), pair.model.scan(part)) == "");
  }
}

TEST_CASE("a range erase that a scan sees is seen in a segment of one layer too",
          "[lib][scan][straight]") {
  Pair pair(options_of(Access::Concurrent));
  Cursor before = pair.index.scan();
  const Entries then = pair.model.scan();
  Entries found = take(before, 20);
  pair.index.erase_range(key_of(30), key_of(90));
  pair.model.erase_range(key_of(30), key_of(90));
  Cursor after = pair.index.scan();
  CHECK(difference(take_all(after), pair.model.scan()) == "");
  const Entries rest = take_all(before);
  found.insert(found.end(), rest.begin(), rest.end());
  CHECK(difference(found, then) == "");
}

TEST_CASE("a scan goes on from its token wherever it was left", "[lib][scan][straight]") {
  Pair pair(options_of(Access::Concurrent));
  add_layers(pair);
  const Entries expected = pair.model.scan();
  Cursor cursor = pair.index.scan();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    REQUIRE(cursor.next());
    REQUIRE(cursor.key() == expected[i].first);
    const std::string token = cursor.resume_token();
    ScanOptions rest;
    rest.resume = token;
    rest.limit = 2;
    Cursor next = pair.index.scan(rest);
    const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    const auto count = std::min<std::ptrdiff_t>(2, expected.end() - begin);
    REQUIRE(difference(take_all(next), Entries(begin, begin + count)) == "");
  }
}

TEST_CASE("a scan that steps along a block or a leaf shows its moment while others write",
          "[lib][scan][straight][threads]") {
  const bool in_memory = GENERATE(false, true);
  CAPTURE(in_memory);
  Pair pair(options_of(Access::Concurrent));
  if (in_memory) add_layers(pair);
  const Entries then = pair.model.scan();
  Cursor cursor = pair.index.scan();
  Entries found;
  for (int i = 0; i < kCount; i += 3) {
    CAPTURE(i);
    // Behind and in front of the cursor: new keys, newer versions, erasures; then whole jobs.
    pair.put((i + 1) % kCount, "later");
    pair.put((i + 20) % kCount, "later");
    pair.erase((i + 8) % kCount);
    if (i % 240 == 90) pair.index.flush();
    if (i % 240 == 210) pair.index.compact();
    const Entries some = take(cursor, 2);
    found.insert(found.end(), some.begin(), some.end());
  }
  const Entries rest = take_all(cursor);
  found.insert(found.end(), rest.begin(), rest.end());
  CHECK(difference(found, then) == "");
  Cursor now = pair.index.scan();
  CHECK(difference(take_all(now), pair.model.scan()) == "");
}

TEST_CASE("a scan of one delta does not show what is written into it meanwhile",
          "[lib][scan][straight]") {
  const auto access = GENERATE(Access::Bare, Access::Concurrent);
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(access));
  Model model;
  const auto put = [&](int i, const std::string& value) {
    index.put(key_of(i), value);
    model.put(key_of(i), value);
  };
  for (int i = 0; i < 600; i += 2) put(i, "then");
  const Entries then = model.scan();
  Cursor cursor = index.scan();
  Entries found = take(cursor, 3);
  for (int i = 0; i < 600; i += 5) put(i, "later");
  for (int i = 0; i < 600; i += 14) index.erase(key_of(i));
  const Entries rest = take_all(cursor);
  found.insert(found.end(), rest.begin(), rest.end());
  CHECK(difference(found, then) == "");
}

TEST_CASE("of a key with several versions in one layer a scan gives one", "[lib][scan][straight]") {
  const auto access = GENERATE(Access::Bare, Access::Concurrent);
  const auto layer = GENERATE(Layer::Memory, Layer::Slice, Layer::Main);
  CAPTURE(to_string(access), static_cast<int>(layer));
  Pair pair(options_of(access));
  if (layer == Layer::Memory) {  // Of new keys, in front of all others.
    for (int i = -200; i < 0; ++i) pair.put(i, "first");
  }
  const Model then = pair.model;
  const Snapshot snapshot = pair.index.snapshot();
  for (int i = 0; i < kCount; i += 10) pair.put(i, "newer");
  for (int i = 4; i < kCount; i += 50) pair.erase(i);
  if (layer == Layer::Memory) {
    for (int i = -200; i < 0; i += 3) pair.put(i, "newer");
  }
  if (layer == Layer::Slice) pair.index.flush();
  if (layer == Layer::Main) pair.index.compact();  // Keeps both versions.
  Cursor now = pair.index.scan();
  CHECK(difference(take_all(now), pair.model.scan()) == "");
  ScanOptions old;
  old.snapshot = &snapshot;
  Cursor before = pair.index.scan(old);
  CHECK(difference(take_all(before), then.scan()) == "");
}

TEST_CASE("a fail-fast scan of one layer ends at the next step after a write",
          "[lib][scan][straight]") {
  Pair pair(options_of(Access::Concurrent));
  ScanOptions scan;
  scan.isolation = Isolation::FailFast;
  Cursor cursor = pair.index.scan(scan);
  CHECK(take(cursor, 3).size() == 3);
  pair.put(1, "later");
  CHECK_FALSE(cursor.next());
  CHECK(cursor.end_reason() == ScanEnd::Invalidated);
}

TEST_CASE("a scan that steps along a block or a leaf throws Closed after close()",
          "[lib][scan][straight]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  const bool in_memory = GENERATE(false, true);
  Pair pair(options_of(access));
  if (in_memory) add_layers(pair);
  Cursor cursor = pair.index.scan();
  cursor.seek(key_of(in_memory ? kThird + 100 : 10));
  CHECK(take(cursor, 5).size() == 5);
  pair.index.close();
  CHECK(error_of([&] { static_cast<void>(cursor.next()); }) == ErrorCode::Closed);
}

TEST_CASE("keys longer than what a cursor has room for are scanned in whole",
          "[lib][scan][straight]") {
  const auto access = GENERATE(Access::Bare, Access::Concurrent);
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(access));
  Model model;
  // Sizes around what steps copy at once, and what keys are copied into; long ones among short.
  for (int i = 0; i < 400; ++i) {
    std::string key = key_of(i);
    key.append(static_cast<std::size_t>(i * 7 % 400), static_cast<char>('a' + i % 3));
    const std::string value(static_cast<std::size_t>(i % 50), 'v');
    index.put(key, value);
    model.put(key, value);
  }
  const bool compacted = GENERATE(false, true);
  if (compacted) index.compact();
  Cursor cursor = index.scan();
  CHECK(difference(take_all(cursor), model.scan()) == "");
}

}  // namespace varve::test
