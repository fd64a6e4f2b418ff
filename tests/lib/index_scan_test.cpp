// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/model.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using internal::SegmentIndexAccess;
using std::chrono_literals::operator""ms;

std::string key_of(int number) {
  return "key-" + std::to_string(100000 + number);
}

// `count` entries in several segments.
Model fill(SegmentIndex& index, int count = 1000) {
  Model model;
  for (int i = 0; i < count; ++i) {
    const std::string value(200, static_cast<char>('a' + i % 26));
    index.put(key_of(i), value);
    model.put(key_of(i), value);
  }
  index.compact();
  REQUIRE(index.statistics().segments.size() >= 3);
  return model;
}

Options options_of(Access access) {
  Options options = tiny_options();
  options.access = access;
  return options;
}

ScanOptions isolated(Isolation isolation) {
  ScanOptions options;
  options.isolation = isolation;
  return options;
}

}  // namespace

TEST_CASE("a snapshot scan sees one moment while writes, flushes and splits go on", "[lib][scan]") {
  const auto reverse = GENERATE(false, true);
  CAPTURE(reverse);
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  const Model then = fill(index);
  ScanOptions options;
  options.reverse = reverse;
  Cursor cursor = index.scan(options);
  Entries found;
  int step = 0;
  while (cursor.next()) {
    found.emplace_back(cursor.key(), cursor.value());
    ++step;
    index.put(key_of(step * 7 % 1000), std::string(400, 'n'));
    index.put(key_of(step) + "-new", std::string(100, 'n'));
    index.erase(key_of(999 - step));
    if (step % 100 == 0) index.erase_range(key_of(step), key_of(step + 50));
    if (step % 250 == 0) index.flush();
    if (step % 333 == 0) index.compact();
  }
  CHECK(index.statistics().split_count > 0);
  CHECK(difference(found, then.scan(options)) == "");
  CHECK(cursor.end_reason() == ScanEnd::End);
}

TEST_CASE("a fail-fast scan ends at a write to its segment, then throws", "[lib][scan]") {
  const auto reverse = GENERATE(false, true);
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  const Model model = fill(index);
  ScanOptions options = isolated(Isolation::FailFast);
  options.reverse = reverse;
  Cursor cursor = index.scan(options);
  for (int i = 0; i < 5; ++i) REQUIRE(cursor.next());
  const std::string key(cursor.key());
  SECTION("by a put") {
    index.put(key, "new");
  }
  SECTION("by an erase") {
    index.erase(key);
  }
  SECTION("by a range erase") {
    index.erase_range(key, key + "0");
  }
  SECTION("by a batch") {
    WriteBatch batch;
    batch.put(key, "new");
    index.write(batch);
  }
  CHECK_FALSE(cursor.next());
  CHECK(cursor.end_reason() == ScanEnd::Invalidated);
  CHECK(error_of([&] { static_cast<void>(cursor.next()); }) == ErrorCode::Invalidated);
  CHECK(error_of([&] { static_cast<void>(cursor.next()); }) == ErrorCode::Invalidated);
  // What is left is read from its token.
  ScanOptions rest;
  const std::string token = cursor.resume_token();
  rest.resume = token;
  CHECK(scan_all(index, rest).size() == model.entries().size() - 5);
}

TEST_CASE("a fail-fast scan does not mind writes to other segments", "[lib][scan]") {
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  const Model model = fill(index);
  Cursor cursor = index.scan(isolated(Isolation::FailFast));
  REQUIRE(cursor.next());
  index.put(key_of(999), "new");  // Ahead: will be seen.
  Entries found = {{std::string(cursor.key()), std::string(cursor.value())}};
  while (cursor.next()) {
    found.emplace_back(cursor.key(), cursor.value());
    if (found.size() == 990) index.put(key_of(0), "new");  // Behind: was seen.
  }
  CHECK(cursor.end_reason() == ScanEnd::End);
  Model expected = model;
  expected.put(key_of(999), "new");
  CHECK(difference(found, expected.scan()) == "");
}

TEST_CASE("a scan of a snapshot that was let go still sees its moment", "[lib][scan]") {
  SegmentIndex index = SegmentIndex::open_in_memory(
      options_of(GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent)));
  const Model then = fill(index);
  ScanOptions options;
  std::optional<Snapshot> snapshot = index.snapshot();
  options.snapshot = &*snapshot;
  options.reverse = GENERATE(false, true);
  Cursor cursor = index.scan(options);
  snapshot.reset();
  for (int i = 0; i < 1000; i += 10) index.put(key_of(i), "new");
  index.compact();
  Entries found;
  while (cursor.next()) found.emplace_back(cursor.key(), cursor.value());
  options.snapshot = nullptr;
  CHECK(difference(found, then.scan(options)) == "");
}

TEST_CASE("a scan of a snapshot cannot have another isolation", "[lib][scan]") {
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  const Snapshot snapshot = index.snapshot();
  ScanOptions options = isolated(GENERATE(Isolation::FailFast, Isolation::Exclusive));
  options.snapshot = &snapshot;
  CHECK(error_of([&] { static_cast<void>(index.scan(options)); }) == ErrorCode::InvalidArgument);
  index.put("k", "no scan was left open");
}

TEST_CASE("an exclusive scan refuses the writes of its own thread until it is gone",
          "[lib][scan]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  CAPTURE(to_string(access));
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(access));
  const Model model = fill(index);
  {
    Cursor cursor = index.scan(isolated(Isolation::Exclusive));
    REQUIRE(cursor.next());
    WriteBatch batch;
    batch.put("k", "v");
    CHECK(error_of([&] { index.put("k", "v"); }) == ErrorCode::Busy);
    CHECK(error_of([&] { index.erase(key_of(1)); }) == ErrorCode::Busy);
    CHECK(error_of([&] { index.erase_range("a", "z"); }) == ErrorCode::Busy);
    CHECK(error_of([&] { index.write(batch); }) == ErrorCode::Busy);
    CHECK(error_of([&] { static_cast<void>(index.scan(isolated(Isolation::Exclusive))); }) ==
          ErrorCode::Busy);
    CHECK(index.get(key_of(1)).has_value());
    index.flush();
    index.compact();
    CHECK(take_all(cursor).size() == model.entries().size() - 1);
    CHECK(error_of([&] { index.put("k", "v"); }) == ErrorCode::Busy);  // Until it is destroyed.
  }
  CHECK(difference(scan_all(index), model.scan()) == "");
  index.put("k", "v");
  CHECK(index.get("k") == "v");
}

TEST_CASE("an exclusive scan makes other threads wait until it is gone", "[lib][scan][threads]") {
  const auto access = GENERATE(Access::Synchronized, Access::Concurrent);
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(access));
  const Model model = fill(index);
  std::optional<Cursor> cursor(index.scan(isolated(Isolation::Exclusive)));
  REQUIRE(cursor->next());
  // With a deadline, another thread gives up; that it did shows that it was held off.
  std::optional<ErrorCode> code;
  std::thread([&] {
    code = error_of([&] { index.put("late", "v", {.durability = {}, .deadline = 1ms}); });
  }).join();
  CHECK(code == ErrorCode::Busy);
  std::atomic<bool> destroyed = false, early = false;
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&, i] {
      index.put("by a waiting thread " + std::to_string(i), "v");
      if (!destroyed) early = true;
    });
  }
  Entries found = {{std::string(cursor->key()), std::string(cursor->value())}};
  while (cursor->next()) found.emplace_back(cursor->key(), cursor->value());
  CHECK(difference(found, model.scan()) == "");
  destroyed = true;
  cursor.reset();
  for (std::thread& writer : writers) writer.join();
  CHECK_FALSE(early);
  CHECK(scan_all(index).size() == model.entries().size() + 4);
}

TEST_CASE("threads may use an index at the same time", "[lib][scan][threads]") {
  const auto access = GENERATE(Access::Synchronized, Access::Concurrent);
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(access));
  constexpr int kThreads = 4, kWrites = 400;
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kWrites; ++i) {
        const std::string key = std::to_string(i) + "-" + std::to_string(thread);
        index.put(key, std::string(200, 'v'));
        if (index.get(key) != std::string(200, 'v')) ++failures;
        if (i % 100 == 7 * thread) {
          const Snapshot snapshot = index.snapshot();
          ScanOptions options;
          options.snapshot = &snapshot;
          if (scan_all(index, options) != scan_all(index, options)) ++failures;
        }
        if (i % 150 == 11 * thread) index.flush();
        if (i == 300 + thread) index.compact();
        if (i % 90 == 0) static_cast<void>(index.statistics());
        if (i % 50 == 3) index.erase(key);
        if (i % 200 == 5) {
          Cursor cursor = index.scan(isolated(Isolation::Exclusive));
          const bool found = cursor.next();
          if (!found) ++failures;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(scan_all(index).size() == kThreads * (kWrites - kWrites / 50));
}

TEST_CASE("windows of a scan are disjoint and complete", "[lib][scan]") {
  const auto reverse = GENERATE(false, true);
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  const Model model = fill(index);
  const std::vector<SegmentStatistics> segments = index.statistics().segments;
  const std::string fence = segments[1].first_key;
  const std::string from = key_of(10), to = key_of(980);
  const std::vector<ScanOptions> ranges = {
      {}, {.from = fence}, {.to = fence}, {.from = from, .to = to}};
  for (ScanOptions options : ranges) {
    options.reverse = reverse;
    CAPTURE(options.from, options.to, reverse);
    Entries found;
    for (std::size_t offset = 0; offset < segments.size(); ++offset) {
      options.window = {.offset = offset, .limit = 1};
      const Entries part = scan_all(index, options);
      found.insert(reverse ? found.begin() : found.end(), part.begin(), part.end());
    }
    CHECK(difference(found, model.scan(options)) == "");
  }
  ScanOptions none;
  none.window = {.offset = segments.size(), .limit = 1};
  CHECK(scan_all(index, none).empty());
  none.window = {.offset = 0, .limit = 0};
  CHECK(scan_all(index, none).empty());
  ScanOptions first;
  first.window = {.offset = 0, .limit = 1};
  CHECK(scan_all(index, first).size() < model.entries().size());
  CHECK(scan_all(index, first).back().first < fence);
}

TEST_CASE("a scan goes on from its token, also in a later process", "[lib][scan]") {
  const auto reverse = GENERATE(false, true);
  const auto limit = GENERATE(0u, 1u, 500u, 999u, 1000u);
  CAPTURE(reverse, limit);
  const auto directory = directory::make_memory_directory();
  SegmentIndex index = SegmentIndexAccess::open(directory, tiny_options());
  const Model model = fill(index);
  ScanOptions options;
  options.reverse = reverse;
  options.limit = limit;
  std::string token;
  Entries found;
  {
    Cursor cursor = index.scan(options);
    found = take_all(cursor);
    CHECK(cursor.end_reason() == ScanEnd::Limit);
    token = cursor.resume_token();
  }
  CHECK(found.size() == limit);
  index.close();
  index = SegmentIndexAccess::open(directory, tiny_options());
  index.compact();
  ScanOptions rest;
  rest.resume = token;
  const Entries tail = scan_all(index, rest);
  found.insert(found.end(), tail.begin(), tail.end());
  options.limit = ScanOptions().limit;
  CHECK(difference(found, model.scan(options)) == "");
}

TEST_CASE("a scan that has ended has nothing to go on with", "[lib][scan]") {
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  index.put("a", "1");
  Cursor cursor = index.scan();
  CHECK(cursor.end_reason() == ScanEnd::None);
  CHECK(take_all(cursor).size() == 1);
  CHECK(cursor.end_reason() == ScanEnd::End);
  CHECK_FALSE(cursor.next());
  index.put("b", "2");
  const std::string token = cursor.resume_token();
  ScanOptions rest;
  rest.resume = token;
  CHECK(scan_all(index, rest).empty());
}

TEST_CASE("a resume token that was changed, or is another index's, is refused", "[lib][scan]") {
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  SegmentIndex other = SegmentIndex::open_in_memory(tiny_options());
  for (const char* const key : {"a", "b", "c"}) index.put(key, "v");
  Cursor cursor = index.scan();
  REQUIRE(cursor.next());
  const std::string token = cursor.resume_token();
  const auto scan_from = [](SegmentIndex& at, const std::string& text) {
    ScanOptions options;
    options.resume = text;
    return error_of([&] { static_cast<void>(at.scan(options)); });
  };
  CHECK(scan_from(index, token) == std::nullopt);
  CHECK(scan_from(other, token) == ErrorCode::InvalidArgument);
  for (std::size_t i = 0; i < token.size(); ++i) {
    CAPTURE(i);
    std::string changed = token;
    changed[i] = changed[i] == '0' ? '1' : '0';
    CHECK(scan_from(index, changed) == ErrorCode::InvalidArgument);
    changed[i] = 'g';
    CHECK(scan_from(index, changed) == ErrorCode::InvalidArgument);
    if (i > 0) CHECK(scan_from(index, token.substr(0, i)) == ErrorCode::InvalidArgument);
  }
  CHECK(scan_from(index, token + "00") == ErrorCode::InvalidArgument);
}

TEST_CASE("a cursor and a snapshot that outlive close() throw Closed", "[lib][scan]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(access));
  fill(index);
  std::optional<Cursor> cursor(index.scan());
  std::optional<Snapshot> snapshot(index.snapshot());
  REQUIRE(cursor->next());
  index.close();
  CHECK(error_of([&] { static_cast<void>(cursor->next()); }) == ErrorCode::Closed);
  CHECK(error_of([&] { static_cast<void>(cursor->resume_token()); }) == ErrorCode::Closed);
  CHECK(error_of([&] { cursor->seek("k"); }) == ErrorCode::Closed);
  CHECK(error_of([&] { static_cast<void>(index.get("k", &*snapshot)); }) == ErrorCode::Closed);
  index = SegmentIndex();
  CHECK(error_of([&] { static_cast<void>(cursor->next()); }) == ErrorCode::Closed);
  cursor.reset();
  snapshot.reset();
}

TEST_CASE("a snapshot of another index is refused", "[lib][scan]") {
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  SegmentIndex other = SegmentIndex::open_in_memory(tiny_options());
  const Snapshot snapshot = other.snapshot();
  ScanOptions options;
  options.snapshot = &snapshot;
  CHECK(error_of([&] { static_cast<void>(index.get("k", &snapshot)); }) ==
        ErrorCode::InvalidArgument);
  CHECK(error_of([&] { static_cast<void>(index.scan(options)); }) == ErrorCode::InvalidArgument);
}

TEST_CASE("a cursor reads on after compaction has removed its files", "[lib][scan]") {
  const auto reads = GENERATE(Reads::Mapped, Reads::Buffered);
  CAPTURE(to_string(reads));
  const auto disk = std::make_shared<directory::SimulatedFileSystem>();
  Options options = tiny_options();
  options.reads = reads;
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  const Model then = fill(index);
  for (int i = 0; i < 1000; i += 3) index.put(key_of(i), "in a delta run");
  index.flush();
  Model expected = then;
  for (int i = 0; i < 1000; i += 3) expected.put(key_of(i), "in a delta run");
  const std::vector<directory::FileInfo> before = disk->list();
  Cursor cursor = index.scan();
  REQUIRE(cursor.next());
  Entries found = {{std::string(cursor.key()), std::string(cursor.value())}};
  index.erase_prefix("");
  index.compact();
  std::size_t removed = 0;
  for (const directory::FileInfo& file : before) removed += disk->exists(file.name) ? 0 : 1;
  CHECK(removed > 0);
  while (cursor.next()) found.emplace_back(cursor.key(), cursor.value());
  CHECK(difference(found, expected.scan()) == "");
  CHECK(scan_all(index).empty());
}

TEST_CASE("a scan that could not read throws that again and never skips", "[lib][scan][faults]") {
  const auto reverse = GENERATE(false, true);
  const auto disk = std::make_shared<directory::SimulatedFileSystem>();
  Options options = tiny_options();
  options.reads = Reads::Buffered;
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  const Model model = fill(index);
  ScanOptions scan;
  scan.reverse = reverse;
  Cursor cursor = index.scan(scan);
  for (int i = 0; i < 20; ++i) REQUIRE(cursor.next());
  directory::Fault fault;
  fault.operation = directory::Operation::Read;
  fault.sticky = true;
  disk->add_fault(fault);
  Entries found;
  const auto read_on = [&] {
    while (cursor.next()) found.emplace_back(cursor.key(), cursor.value());
  };
  CHECK(error_of(read_on) == ErrorCode::Io);
  const std::string token = cursor.resume_token();
  const std::size_t count = found.size();
  CHECK(error_of(read_on) == ErrorCode::Io);
  disk->clear_faults();
  CHECK(error_of(read_on) == ErrorCode::Io);
  CHECK(found.size() == count);
  ScanOptions rest;
  rest.resume = token;
  CHECK(scan_all(index, rest).size() == model.entries().size() - 20 - count);
}

}  // namespace varve::test
