// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/model.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"
#include "varve/typed_index.hpp"

namespace varve::test {
namespace {

using internal::SegmentIndexAccess;

// Fixed width, so that the keys' order is the numbers'.
std::string key_of(int number) {
  return "key-" + std::to_string(100000 + number);
}

constexpr int kCount = 1000;

// Even keys in runs of several segments, some keys of them in memory as well; odd ones are absent.
Model fill(SegmentIndex& index) {
  Model model;
  const auto put = [&](int i, const std::string& value) {
    index.put(key_of(i), value);
    model.put(key_of(i), value);
  };
  for (int i = 0; i < kCount; i += 2) put(i, std::string(300, static_cast<char>('a' + i % 26)));
  index.compact();
  REQUIRE(index.statistics().segments.size() >= 3);
  for (int i = 0; i < kCount; i += 10) put(i, "newer");
  index.flush();
  for (int i = 4; i < kCount; i += 14) put(i, "newest");
  return model;
}

Options options_of(Access access) {
  Options options = tiny_options();
  options.access = access;
  return options;
}

Entries take(Cursor& cursor, std::size_t count) {
  Entries found;
  while (found.size() < count && cursor.next()) found.emplace_back(cursor.key(), cursor.value());
  return found;
}

// What a scan with `options` gives from `key` on.
Entries expected_from(const Model& model, const ScanOptions& options, std::string_view key,
                      std::size_t count) {
  ScanOptions all = options;
  all.limit = ScanOptions().limit;
  Entries found;
  for (auto& entry : model.scan(all)) {
    if (options.reverse ? entry.first > key : entry.first < key) continue;
    if (found.size() == std::min<std::uint64_t>(count, options.limit)) break;
    found.push_back(std::move(entry));
  }
  return found;
}

}  // namespace

TEST_CASE("a cursor goes on from wherever it is sent, in both directions", "[lib][scan][seek]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  const auto reverse = GENERATE(false, true);
  const auto reads = GENERATE(Reads::Mapped, Reads::Buffered);
  CAPTURE(to_string(access), reverse, to_string(reads));
  const auto disk = std::make_shared<directory::SimulatedFileSystem>();
  Options options = options_of(access);
  options.reads = reads;
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  const Model model = fill(index);
  ScanOptions scan;
  scan.reverse = reverse;
  Cursor cursor = index.scan(scan);
  // Forwards and backwards, within a segment and to others, present and absent keys, both ends.
  for (int i = 0; i < 3 * kCount; ++i) {
    const int number = i * 769 % (kCount + 20) - 10;
    CAPTURE(number);
    cursor.seek(key_of(number));
    const std::size_t count = static_cast<std::size_t>(i % 7);
    REQUIRE(difference(take(cursor, count), expected_from(model, scan, key_of(number), count)) ==
            "");
  }
  cursor.seek("");
  CHECK(difference(take_all(cursor), reverse ? Entries() : model.scan()) == "");
  CHECK(cursor.end_reason() == ScanEnd::End);
  cursor.seek("z");
  CHECK(difference(take_all(cursor), reverse ? model.scan(scan) : Entries()) == "");
}

TEST_CASE("a seek stays within the scan's range, and the limit counts anew", "[lib][scan][seek]") {
  const auto reverse = GENERATE(false, true);
  CAPTURE(reverse);
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  const Model model = fill(index);
  const std::string from = key_of(201), to = key_of(700);
  ScanOptions scan;
  scan.from = from;
  scan.to = to;
  scan.reverse = reverse;
  scan.limit = 5;
  Cursor cursor = index.scan(scan);
  CHECK(take_all(cursor).size() == 5);
  CHECK(cursor.end_reason() == ScanEnd::Limit);
  for (const int number : {0, 200, 201, 202, 455, 690, 698, 699, 700, 900}) {
    CAPTURE(number);
    cursor.seek(key_of(number));
    CHECK(cursor.end_reason() == ScanEnd::None);
    const Entries expected = expected_from(model, scan, key_of(number), 100);
    CHECK(difference(take_all(cursor), expected) == "");
    CHECK(cursor.end_reason() == (expected.size() == 5 ? ScanEnd::Limit : ScanEnd::End));
  }
}

TEST_CASE("a cursor that seeks sees one moment", "[lib][scan][seek]") {
  const auto access = GENERATE(Access::Bare, Access::Concurrent);
  const auto reverse = GENERATE(false, true);
  CAPTURE(to_string(access), reverse);
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(access));
  const Model then = fill(index);
  ScanOptions scan;
  scan.reverse = reverse;
  Cursor cursor = index.scan(scan);
  for (int i = 0; i < 600; ++i) {
    const int number = i * 7 % kCount;
    index.put(key_of(number), std::string(400, 'n'));
    index.put(key_of(number + 1) + "-new", std::string(100, 'n'));
    index.erase(key_of(kCount - number));
    if (i % 100 == 7) index.erase_range(key_of(number), key_of(number + 50));
    if (i % 50 == 3) index.flush();
    if (i % 150 == 149) index.compact();  // Splits and merges, also of the segment it is in.
    cursor.seek(key_of(number - 3));
    REQUIRE(difference(take(cursor, 5), expected_from(then, scan, key_of(number - 3), 5)) == "");
  }
  CHECK(index.statistics().split_count > 0);
  cursor.seek(reverse ? "z" : "");
  CHECK(difference(take_all(cursor), then.scan(scan)) == "");
}

TEST_CASE("a cursor that seeks reads what a merge has made since", "[lib][scan][seek]") {
  const auto disk = std::make_shared<directory::SimulatedFileSystem>();
  Options options = options_of(Access::Bare);
  options.reads = Reads::Buffered;
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  const Model model = fill(index);
  index.flush();
  Cursor cursor = index.scan();
  REQUIRE(cursor.next());
  const std::vector<directory::FileInfo> before = disk->list();
  index.compact();
  for (const directory::FileInfo& file : before) {  // Those that are gone can still be open.
    if (disk->exists(file.name)) continue;
    directory::Fault fault;
    fault.operation = directory::Operation::Read;
    fault.name_part = file.name;
    fault.sticky = true;
    disk->add_fault(fault);
  }
  cursor.seek(key_of(0));
  CHECK(difference(take_all(cursor), model.scan()) == "");
}

TEST_CASE("a resume token after a seek goes on from there", "[lib][scan][seek]") {
  const auto reverse = GENERATE(false, true);
  const auto taken = GENERATE(0, 3);
  CAPTURE(reverse, taken);
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  const Model model = fill(index);
  ScanOptions scan;
  scan.reverse = reverse;
  Cursor cursor = index.scan(scan);
  CHECK(take(cursor, 20).size() == 20);
  cursor.seek(key_of(501));
  CHECK(take(cursor, static_cast<std::size_t>(taken)).size() == static_cast<std::size_t>(taken));
  const std::string token = cursor.resume_token();
  Entries expected = expected_from(model, scan, key_of(501), kCount);
  expected.erase(expected.begin(), expected.begin() + taken);
  ScanOptions rest;
  rest.resume = token;
  CHECK(difference(scan_all(index, rest), expected) == "");
}

TEST_CASE("a seek takes a fail-fast scan out of a segment, but not back to life",
          "[lib][scan][seek]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized);
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(access));
  fill(index);
  ScanOptions scan;
  scan.isolation = Isolation::FailFast;
  Cursor cursor = index.scan(scan);
  REQUIRE(cursor.next());
  index.put(key_of(1), "written");
  cursor.seek(key_of(1));  // The scan was in that segment before; now it reads it anew.
  REQUIRE(cursor.next());
  CHECK(cursor.value() == "written");
  index.put(key_of(3), "written");
  CHECK_FALSE(cursor.next());
  CHECK(cursor.end_reason() == ScanEnd::Invalidated);
  cursor.seek(key_of(500));
  CHECK(cursor.end_reason() == ScanEnd::Invalidated);
  CHECK(error_of([&] { static_cast<void>(cursor.next()); }) == ErrorCode::Invalidated);
}

TEST_CASE("a scan that could not read can be sent elsewhere", "[lib][scan][seek][faults]") {
  const auto disk = std::make_shared<directory::SimulatedFileSystem>();
  Options options = options_of(Access::Bare);
  options.reads = Reads::Buffered;
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  const Model model = fill(index);
  Cursor cursor = index.scan();
  REQUIRE(cursor.next());
  directory::Fault fault;
  fault.operation = directory::Operation::Read;
  fault.sticky = true;
  disk->add_fault(fault);
  CHECK(error_of([&] { static_cast<void>(take_all(cursor)); }) == ErrorCode::Io);
  disk->clear_faults();
  cursor.seek(key_of(600));
  CHECK(difference(take(cursor, 50), expected_from(model, {}, key_of(600), 50)) == "");
}

TEST_CASE("a typed cursor seeks by keys", "[lib][scan][seek][typed]") {
  auto index = TypedIndex<std::int64_t, std::string>::open_in_memory(tiny_options());
  for (std::int64_t i = -50; i < 50; ++i) index.put(2 * i, std::to_string(2 * i));
  auto cursor = index.scan();
  cursor.seek(-7);
  REQUIRE(cursor.next());
  CHECK(cursor.key() == -6);
  cursor.seek(98);
  REQUIRE(cursor.next());
  CHECK(cursor.value() == "98");
  CHECK_FALSE(cursor.next());
}

}  // namespace varve::test
