// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/directory/child_process.hpp"
#include "tests/lib/every_call.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/model.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using internal::SegmentIndexAccess;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;

// Every file with its bytes.
std::map<std::string, std::string> contents(const std::filesystem::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    files[entry.path().filename().string()] = {std::istreambuf_iterator<char>(file), {}};
  }
  return files;
}

}  // namespace

TEST_CASE("an index goes from New to Ready to Closed, and every call outside Ready is refused",
          "[lib][lifecycle]") {
  SegmentIndex index;
  CHECK(index.lifecycle() == Lifecycle::New);
  CHECK_FALSE(index.health());
  CHECK(index.path().empty());
  CHECK(all_are(try_everything(index), ErrorCode::Closed));
  index.close();  // Nothing to close.
  index = SegmentIndex::open_in_memory(tiny_options());
  CHECK(index.lifecycle() == Lifecycle::Ready);
  CHECK(index.health());
  CHECK_FALSE(index.path().empty());
  for (const auto& code : try_everything(index)) CHECK(code == std::nullopt);
  index.close();
  index.close();
  CHECK(index.lifecycle() == Lifecycle::Closed);
  CHECK_FALSE(index.health());
  CHECK(all_are(try_everything(index), ErrorCode::Closed));
}

TEST_CASE("moving an index leaves New behind and closes what it overwrites", "[lib][lifecycle]") {
  TemporaryDirectory temporary;
  SegmentIndex a = SegmentIndex::open(temporary.path() / "a", tiny_options());
  SegmentIndex b = SegmentIndex::open(temporary.path() / "b", tiny_options());
  b.put("k", "of b");
  a = std::move(b);
  CHECK(b.lifecycle() == Lifecycle::New);
  CHECK(a.get("k") == "of b");
  CHECK(lock_status(temporary.path() / "a").state == LockState::Unlocked);
  CHECK(lock_status(temporary.path() / "b").state == LockState::LockedByUs);
  { const SegmentIndex gone = std::move(a); }
  CHECK(lock_status(temporary.path() / "b").state == LockState::Unlocked);
  CHECK_FALSE(lock_status(temporary.path() / "b").left_open);
  CHECK(SegmentIndex::open(temporary.path() / "b").get("k") == "of b");
}

TEST_CASE("open, create and try_open each say what is in the way", "[lib][lifecycle]") {
  TemporaryDirectory temporary;
  const std::filesystem::path path = temporary.path() / "index";
  Options existing = tiny_options();
  existing.create_if_missing = false;
  CHECK(error_of([&] { static_cast<void>(SegmentIndex::open(path, existing)); }) ==
        ErrorCode::NotFound);
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(SegmentIndex::try_open(path, existing).refusal == OpenRefusal::NotFound);
  CHECK(error_of([&] {
          static_cast<void>(SegmentIndex::open(temporary.path() / "no" / "parent"));
        }) == ErrorCode::NotFound);
  Options reader = tiny_options();
  reader.read_only = true;
  CHECK(error_of([&] { static_cast<void>(SegmentIndex::open(path, reader)); }) ==
        ErrorCode::NotFound);
  CHECK_FALSE(std::filesystem::exists(path));
  std::ofstream(temporary.path() / "file") << "not a directory";
  CHECK(error_of([&] {
          static_cast<void>(SegmentIndex::open(temporary.path() / "file"));
        }).has_value());

  Options options = tiny_options();
  options.lock_wait = 0ms;
  SegmentIndex index = SegmentIndex::create(path, options);
  CHECK(error_of([&] { static_cast<void>(SegmentIndex::create(path, options)); }) ==
        ErrorCode::Locked);
  const TryOpen refused = SegmentIndex::try_open(path, options);
  CHECK_FALSE(refused.index.has_value());
  CHECK(refused.refusal == OpenRefusal::Locked);
  try {
    static_cast<void>(SegmentIndex::open(path, options));
    FAIL("a second handle was opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::Locked);
    CHECK(std::string(error.what()).find(std::to_string(::getpid())) != std::string::npos);
  }
  index.put("k", "v");  // The refusals took nothing from the owner.
  index.close();
  CHECK(error_of([&] { static_cast<void>(SegmentIndex::create(path, options)); }) ==
        ErrorCode::AlreadyExists);
  TryOpen opened = SegmentIndex::try_open(path, existing);
  REQUIRE(opened.index.has_value());
  CHECK(opened.refusal == OpenRefusal::None);
  CHECK(opened.index->get("k") == "v");
}

TEST_CASE("readers share an index, write nothing and keep writers out", "[lib][lifecycle]") {
  const auto clean = GENERATE(true, false);
  CAPTURE(clean);
  TemporaryDirectory temporary;
  const std::filesystem::path path = temporary.path() / "index";
  Model model;
  const auto write = [&] {
    SegmentIndex index = SegmentIndex::open(path, tiny_options());
    for (int i = 0; i < 300; ++i) index.put(std::to_string(i), std::string(200, 'v'));
    if (!clean) ::_exit(0);
    return 0;
  };
  REQUIRE(in_child(write) == 0);
  for (int i = 0; i < 300; ++i) model.put(std::to_string(i), std::string(200, 'v'));
  const auto before = contents(path);
  {
    Options options = tiny_options();
    options.lock_wait = 0ms;
    Options reading = options;
    reading.read_only = true;
    SegmentIndex first = SegmentIndex::open(path, reading);
    SegmentIndex second = SegmentIndex::open(path, reading);
    CHECK(difference(scan_all(first), model.scan()) == "");
    CHECK(second.get("299").has_value());
    CHECK(error_of([&] { static_cast<void>(SegmentIndex::open(path, options)); }) ==
          ErrorCode::Locked);
    CHECK(error_of([&] { first.put("k", "v"); }) == ErrorCode::ReadOnly);
    CHECK(error_of([&] { first.erase("k"); }) == ErrorCode::ReadOnly);
    CHECK(error_of([&] { first.erase_prefix("k"); }) == ErrorCode::ReadOnly);
    CHECK(error_of([&] { first.write(WriteBatch()); }) == ErrorCode::ReadOnly);
    CHECK(error_of([&] { first.compact(); }) == ErrorCode::ReadOnly);
    CHECK(error_of([&] { first.set_codecs("str", "str"); }) == ErrorCode::ReadOnly);
    first.flush();
    first.sync();
    CHECK_FALSE(first.maintain());
    first.close();
  }
  CHECK(contents(path) == before);
}

TEST_CASE("every option is checked at both ends", "[lib][lifecycle]") {
  struct Bound {
    const char* name;
    std::function<void(Options&)> set;
    bool ok;
  };
  constexpr std::size_t kKiB = 1024, kGiB = 1024 * 1024 * kKiB;
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Bound> bounds = {
      {"memory_budget", [](Options& o) { o.memory_budget = 256 * kKiB - 1; }, false},
      {"memory_budget", [](Options& o) { o.memory_budget = 1024 * kGiB; }, true},
      {"memory_budget", [](Options& o) { o.memory_budget = 1024 * kGiB + 1; }, false},
      {"sync_interval", [](Options& o) { o.sync_interval = -1ms; }, false},
      {"lock_wait", [](Options& o) { o.lock_wait = -1ms; }, false},
      {"reader_age_limit", [](Options& o) { o.reader_age_limit = -1ms; }, false},
      {"reader_age_limit", [](Options& o) { o.reader_age_limit = 86'400'001ms; }, false},
      {"key_codec", [](Options& o) { o.key_codec = std::string(255, 'c'); }, true},
      {"key_codec", [](Options& o) { o.key_codec = std::string(256, 'c'); }, false},
      {"value_codec", [](Options& o) { o.value_codec = std::string(256, 'c'); }, false},
      {"segment_size", [](Options& o) { o.tuning.segment_size = 64 * kKiB - 1; }, false},
      {"segment_size", [](Options& o) { o.tuning.segment_size = 16 * kGiB; }, true},
      {"segment_size", [](Options& o) { o.tuning.segment_size = 16 * kGiB + 1; }, false},
      {"block_size", [](Options& o) { o.tuning.block_size = 511; }, false},
      {"block_size", [](Options& o) { o.tuning.block_size = 64 * kKiB; }, true},
      {"block_size", [](Options& o) { o.tuning.block_size = 64 * kKiB + 1; }, false},
      {"filter_bits", [](Options& o) { o.tuning.filter_bits_per_key = -0.1; }, false},
      {"filter_bits", [](Options& o) { o.tuning.filter_bits_per_key = 0; }, true},
      {"filter_bits", [](Options& o) { o.tuning.filter_bits_per_key = 32; }, true},
      {"filter_bits", [](Options& o) { o.tuning.filter_bits_per_key = 32.1; }, false},
      {"filter_bits", [](Options& o) { o.tuning.filter_bits_per_key = kNaN; }, false},
      {"compaction_ratio", [](Options& o) { o.tuning.compaction_ratio = 0.04; }, false},
      {"compaction_ratio", [](Options& o) { o.tuning.compaction_ratio = 4.1; }, false},
      {"compaction_ratio", [](Options& o) { o.tuning.compaction_ratio = kNaN; }, false},
      {"hot_path_size", [](Options& o) { o.tuning.hot_path_size = 0; }, true},
      {"hot_path_size", [](Options& o) { o.tuning.hot_path_size = kGiB; }, true},
      {"hot_path_size", [](Options& o) { o.tuning.hot_path_size = kGiB + 1; }, false},
      {"tier_fanout", [](Options& o) { o.tuning.tier_fanout = 1; }, false},
      {"tier_fanout", [](Options& o) { o.tuning.tier_fanout = 16; }, true},
      {"tier_fanout", [](Options& o) { o.tuning.tier_fanout = 17; }, false},
      {"delta_runs_max", [](Options& o) { o.tuning.delta_runs_max = 1; }, false},
      {"delta_runs_max", [](Options& o) { o.tuning.delta_runs_max = 65; }, false},
      {"log_file_size", [](Options& o) { o.tuning.log_file_size = 64 * kKiB - 1; }, false},
      {"log_file_size", [](Options& o) { o.tuning.log_file_size = kGiB + 1; }, false},
  };
  for (const Bound& bound : bounds) {
    CAPTURE(bound.name);
    Options options = tiny_options();
    bound.set(options);
    try {
      static_cast<void>(SegmentIndex::open_in_memory(options));
      CHECK(bound.ok);
    } catch (const Error& error) {
      CHECK_FALSE(bound.ok);
      CHECK(error.code() == ErrorCode::InvalidArgument);
      CHECK(std::string(error.what()).find(bound.name) != std::string::npos);
    }
  }
}

TEST_CASE("codec names are kept, and others are refused", "[lib][lifecycle]") {
  const auto directory = directory::make_memory_directory();
  Options options = tiny_options();
  options.key_codec = "u64";
  {
    SegmentIndex index = SegmentIndexAccess::open(directory, options);
    CHECK(index.options().key_codec == "u64");
    CHECK(index.options().value_codec.empty());
    index.set_codecs("u64", "str");
    CHECK(error_of([&] { index.set_codecs("u32", ""); }) == ErrorCode::Mismatch);
    CHECK(error_of([&] { index.set_codecs("", "u32"); }) == ErrorCode::Mismatch);
  }
  {
    const SegmentIndex index = SegmentIndexAccess::open(directory, tiny_options());
    CHECK(index.options().key_codec == "u64");
    CHECK(index.options().value_codec == "str");
  }
  options.key_codec = "i64";
  CHECK(error_of([&] { static_cast<void>(SegmentIndexAccess::open(directory, options)); }) ==
        ErrorCode::Mismatch);
  CHECK_NOTHROW(SegmentIndexAccess::open(directory, tiny_options()));
}

TEST_CASE("an index may be reopened with any other tuning", "[lib][lifecycle]") {
  const auto directory = directory::make_memory_directory();
  Model model;
  Workload workload(Workload::Shape::Decimal, 5);
  for (int round = 0; round < 8; ++round) {
    Options options = tiny_options();
    options.tuning.block_size = round % 2 == 0 ? 512 : 16384;
    options.tuning.segment_size = round % 3 == 0 ? 64 << 10 : 1 << 20;
    options.tuning.filter_bits_per_key = round % 4 == 1 ? 0 : 10;
    options.tuning.log_file_size = round % 2 == 0 ? 64 << 10 : 256 << 10;
    options.tuning.delta_runs_max = round % 2 == 0 ? 2 : 12;
    options.reads = round % 2 == 0 ? Reads::Mapped : Reads::Buffered;
    SegmentIndex index = SegmentIndexAccess::open(directory, options);
    CHECK(difference(scan_all(index), model.scan()) == "");
    for (int i = 0; i < 700; ++i) {
      const std::string key = workload.key(), value = workload.value();
      index.put(key, value);
      model.put(key, value);
    }
    CHECK(difference(scan_all(index), model.scan()) == "");
  }
}

TEST_CASE("a write that cannot meet its deadline says Busy and has no effect", "[lib][lifecycle]") {
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  CHECK(error_of([&] { index.put("k", "v", {.durability = {}, .deadline = 0ns}); }) ==
        ErrorCode::Busy);
  CHECK_FALSE(index.contains("k"));
  index.put("k", "v", {.durability = {}, .deadline = std::chrono::minutes(1)});
  CHECK(index.contains("k"));
}

TEST_CASE("without inline maintenance writes stop at the memory budget until the caller acts",
          "[lib][lifecycle]") {
  Options options = tiny_options();
  options.tuning.inline_maintenance = false;
  SegmentIndex index = SegmentIndex::open_in_memory(options);
  int count = 0;
  const auto fill = [&] {
    while (count < 100000) index.put(std::to_string(count), std::string(500, 'v')), ++count;
  };
  CHECK(error_of(fill) == ErrorCode::Busy);
  CHECK(index.statistics().flush_count == 0);
  CHECK(index.statistics().memory_size <= options.memory_budget + (64 << 10));
  CHECK_FALSE(index.contains(std::to_string(count)));
  const int stopped_at = count;
  SECTION("by maintain()") {
    int jobs = 0;
    while (index.maintain()) ++jobs;
    CHECK(jobs > 0);
    CHECK_FALSE(index.maintain());
  }
  SECTION("by flush()") {
    index.flush();
  }
  CHECK(error_of(fill) == ErrorCode::Busy);
  CHECK(count > stopped_at);
  CHECK(scan_all(index).size() == static_cast<std::size_t>(count));
}

TEST_CASE("compaction reports its progress and can be cancelled from there", "[lib][lifecycle]") {
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  Model model;
  const auto write = [&] {
    for (int i = 0; i < 2000; ++i) {
      const std::string key = std::to_string(i);
      index.put(key, std::string(150, 'v'));
      model.put(key, std::string(150, 'v'));
    }
  };
  write();
  index.compact();
  write();
  const std::size_t segments = index.statistics().segments.size();
  REQUIRE(segments >= 3);
  CancelToken cancel;
  std::uint64_t calls = 0;
  CompactOptions options;
  options.cancel = &cancel;
  options.progress = [&](const MaintenanceProgress& progress) {
    ++calls;
    CHECK(progress.segments_done == calls);
    CHECK(progress.segments_done <= progress.segments_total);
    if (calls == 2) cancel.cancel();
  };
  CHECK(error_of([&] { index.compact(options); }) == ErrorCode::Cancelled);
  CHECK(calls == 2);
  CHECK(difference(scan_all(index), model.scan()) == "");
  CHECK(index.health());
  write();  // So that there is something to merge, however much the threads have done.
  MaintenanceProgress last;
  index.compact({.from = {}, .to = {}, .progress = [&](const auto& now) { last = now; }});
  CHECK(last.segments_done == last.segments_total);
  CHECK(last.bytes_written > 0);
  for (const SegmentStatistics& segment : index.statistics().segments) {
    CHECK(segment.delta_run_count == 0);
    CHECK(segment.memory_entry_count == 0);
  }
  CHECK(difference(scan_all(index), model.scan()) == "");
  CancelToken before;
  before.cancel();
  CHECK(error_of([&] {
          index.compact({.from = {}, .to = {}, .progress = {}, .cancel = &before});
        }) == ErrorCode::Cancelled);
}

TEST_CASE("snapshots and scans that are older than the limit are counted", "[lib][lifecycle]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  Options options = tiny_options();
  options.access = access;
  options.reader_age_limit = GENERATE(0ms, 1ms, 86'400'000ms);
  CAPTURE(static_cast<int>(access), options.reader_age_limit.count());
  SegmentIndex index = SegmentIndex::open_in_memory(options);
  index.put("k", "v");
  CHECK(index.statistics().oldest_snapshot_microseconds == 0);
  {
    const Snapshot snapshot = index.snapshot();
    const Cursor cursor = index.scan();
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < 3ms) {
    }
    const Statistics figures = index.statistics();
    CHECK(figures.live_snapshot_count == 2);
    CHECK(figures.oldest_snapshot_microseconds >= 3000);
    CHECK(figures.aged_reader_count == (options.reader_age_limit == 1ms ? 2 : 0));
    CHECK(index.health());
  }
  CHECK(index.statistics().oldest_snapshot_microseconds == 0);
  CHECK(index.statistics().aged_reader_count == 0);
}

TEST_CASE("statistics tell what was done and what is there", "[lib][lifecycle]") {
  TemporaryDirectory temporary;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", tiny_options());
  for (int i = 0; i < 100; ++i) index.put("key" + std::to_string(100 + i), "value");
  index.erase("key100");
  static_cast<void>(index.get("key101"));
  static_cast<void>(index.get("absent"));
  static_cast<void>(scan_all(index));
  Statistics figures = index.statistics();
  CHECK(figures.uuid.size() == 36);
  CHECK(figures.writer_epoch == 1);
  CHECK(figures.last_sequence == 101);
  CHECK(figures.put_count == 100);
  CHECK(figures.erase_count == 1);
  CHECK(figures.get_count == 2);
  CHECK(figures.get_hit_count == 1);
  CHECK(figures.scan_count == 1);
  CHECK(figures.user_bytes_written == 100 * 11 + 6);
  CHECK(figures.log_bytes_written > figures.user_bytes_written);
  CHECK(figures.memory_size > figures.user_bytes_written);
  CHECK(figures.run_bytes_written == 0);
  REQUIRE(figures.segments.size() == 1);
  CHECK(figures.segments[0].memory_entry_count == 101);
  CHECK(figures.log_disk_size >= tiny_options().tuning.log_file_size);
  index.compact();
  figures = index.statistics();
  CHECK(figures.segments[0].run_entry_count == 99);
  CHECK(figures.segments[0].main_run_size > 99 * 11);
  CHECK(figures.run_bytes_written >= figures.segments[0].main_run_size);
  CHECK(figures.table_memory_size > 0);
  CHECK(figures.disk_size > figures.log_disk_size);
  CHECK(figures.write_amplification() > 1);
  index.close();
  CHECK(SegmentIndex::open(temporary.path() / "i").statistics().writer_epoch == 2);
}

}  // namespace varve::test
