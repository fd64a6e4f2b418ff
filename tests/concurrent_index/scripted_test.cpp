// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/interleave.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/error.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using internal::SegmentIndexAccess;
using std::chrono::milliseconds;

Options concurrent_options() {
  Options options = tiny_options();
  options.access = Access::Concurrent;
  options.tuning.inline_maintenance = false;
  return options;
}

std::string value_of(SegmentIndex& index, const std::string& key) {
  return index.get(key).value_or("nothing");
}

TEST_CASE("a write whose segment stays locked gives up at its deadline", "[concurrent][locks]") {
  auto index = SegmentIndexAccess::open(directory::make_memory_directory(), concurrent_options());
  index.put("a", "before");
  Interleave script;
  auto& logged = script.stop("write.logged", "holder");
  script.begin("holder", [&] { index.put("a", "holder"); });
  logged.await();  // It has the segment's lock.

  WriteOptions in_time;
  in_time.deadline = milliseconds(5);
  CHECK(error_of([&] { index.put("a", "late", in_time); }) == ErrorCode::Busy);
  CHECK(error_of([&] { index.erase("b", in_time); }) == ErrorCode::Busy);
  WriteBatch batch;
  batch.put("a", "late");
  batch.put("c", "late");
  CHECK(error_of([&] { index.write(batch, in_time); }) == ErrorCode::Busy);
  CHECK(value_of(index, "a") == "before");  // Readers wait for nobody.

  logged.release();
  script.join("holder");
  CHECK(value_of(index, "a") == "holder");
  CHECK(value_of(index, "c") == "nothing");
  index.put("a", "in time", in_time);
  CHECK(value_of(index, "a") == "in time");
}

TEST_CASE("the lock report counts who waited, and contention is told once", "[concurrent][locks]") {
  std::atomic<int> alerts = 0;
  Options options = concurrent_options();
  options.lock_health.enabled = true;
  options.lock_health.wait_threshold = std::chrono::nanoseconds(1);
  options.lock_health.window_wait_count = 1;
  options.lock_health.on_alert = [&](const LockAlert& alert) {
    if (alert.kind == LockAlertKind::HighLockContention && alert.lock == "segment") ++alerts;
  };
  auto index = SegmentIndexAccess::open(directory::make_memory_directory(), options);
  Interleave script;
  auto& logged = script.stop("write.logged", "holder");
  script.begin("holder", [&] { index.put("a", "holder"); });
  logged.await();
  WriteOptions in_time;
  in_time.deadline = milliseconds(100);
  for (int i = 0; i < 2; ++i) {
    CHECK(error_of([&] { index.put("a", "late", in_time); }) == ErrorCode::Busy);
  }
  logged.release();
  script.join("holder");

  const LockReport report = index.lock_report();
  bool seen = false;
  for (const LockClassReport& one : report.classes) {
    if (one.name != "segment") continue;
    seen = true;
    CHECK(one.wait.count == 2);
    CHECK(one.timeout_count == 2);
    CHECK(one.wait.average >= milliseconds(20));
    CHECK(one.deadlock_count == 0);
  }
  CHECK(seen);
  REQUIRE(report.most_waited_for.size() == 1);
  CHECK(report.most_waited_for.front().wait_count == 2);
  CHECK(alerts == 1);
}

TEST_CASE("locks that nobody watches report nothing", "[concurrent][locks]") {
  auto index = SegmentIndexAccess::open(directory::make_memory_directory(), concurrent_options());
  index.put("a", "1");
  CHECK(index.lock_report().classes.empty());
  CHECK(index.lock_report().most_waited_for.empty());
}

TEST_CASE("a job of one segment does not keep those of others waiting", "[concurrent][jobs]") {
  auto directory = directory::make_memory_directory();
  Options options = concurrent_options();
  options.tuning.inline_maintenance = true;
  options.tuning.maintenance_threads = 2;
  std::size_t written = 0;
  const auto key_of = [](std::size_t i) { return std::to_string(i * 7919 % 1'000'003); };
  {
    auto index = SegmentIndexAccess::open(directory, options);
    const std::string value(500, 'v');
    while (index.statistics().segments.size() < 6) index.put(key_of(written++), value);
    Interleave script;
    auto& first = script.stop("job.writing");
    auto& second = script.stop("job.writing");
    WriteOptions in_time;
    in_time.deadline = milliseconds(20);
    // Until memory is due twice over; a writer that finds it full gives up and looks again.
    int refused_count = 0;
    while (!second.reached()) {
      try {
        index.put(key_of(written), value, in_time);
        ++written;
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::Busy);
        REQUIRE(++refused_count < 2'000);
      }
    }
    CHECK(first.reached());
    second.release();
    first.release();
    index.flush();
    index.close();
  }
  auto index = SegmentIndexAccess::open(directory, options);
  std::size_t missing = 0;
  for (std::size_t i = 0; i < written; ++i) missing += index.contains(key_of(i)) ? 0 : 1;
  CHECK(missing == 0);
}

TEST_CASE("sync() waits for the flush that another thread does of buffered writes",
          "[concurrent][durability]") {
  const auto medium = std::make_shared<directory::SimulatedFileSystem>();
  auto index =
      SegmentIndexAccess::open(directory::make_posix_directory(medium), concurrent_options());
  index.put("k", "v", {.durability = Durability::Buffered});
  Interleave script;
  auto& frozen = script.stop("flush.frozen", "flusher");
  script.begin("flusher", [&] { index.flush(); });
  frozen.await();  // The write counts as flushed, and is nowhere but in memory.
  script.begin("syncer", [&] { index.sync(); });
  CHECK_FALSE(script.ends_within("syncer", milliseconds(20)));
  frozen.release();
  script.join("syncer");
  const auto after_kill = medium->after_kill();
  script.join("flusher");
  auto recovered =
      SegmentIndexAccess::open(directory::make_posix_directory(after_kill), concurrent_options());
  CHECK(value_of(recovered, "k") == "v");
}

TEST_CASE("a job with a small share of the time rests, and close() does not wait for that",
          "[concurrent][jobs]") {
  auto directory = directory::make_memory_directory();
  Options options = concurrent_options();
  options.memory_budget = 4 << 20;
  options.tuning.segment_size = 8 << 20;
  options.tuning.inline_maintenance = true;
  options.tuning.maintenance_share = 0.05;
  constexpr int kCount = 40'000;
  {
    auto index = SegmentIndexAccess::open(directory, options);
    Interleave script;
    auto& resting = script.stop("job.resting");
    for (int i = 0; i < kCount; ++i) index.put(std::to_string(i), std::string(40, 'v'));
    resting.await();
    resting.release();
    index.close();
  }
  auto index = SegmentIndexAccess::open(directory, options);
  int missing = 0;
  for (int i = 0; i < kCount; ++i) missing += index.contains(std::to_string(i)) ? 0 : 1;
  CHECK(missing == 0);
}

TEST_CASE("of the segments that are due, the one whose reads cost most is merged first",
          "[concurrent][jobs]") {
  Options options = concurrent_options();
  options.tuning.tier_fanout = 2;
  options.tuning.merge_for_reads = false;  // It would leave no runs to be merged by tiers.
  auto index = SegmentIndexAccess::open(directory::make_memory_directory(), options);
  for (int i = 0; i < 2'000; ++i) index.put(std::to_string(10'000 + i), std::string(60, 'v'));
  index.compact();
  REQUIRE(index.statistics().segments.size() >= 2);
  for (int flush = 0; flush < 2; ++flush) {
    index.put("10000", "new");
    index.put("11999", "new");
    index.flush();
  }
  const auto runs = [&](bool last) {
    const auto segments = index.statistics().segments;
    return (last ? segments.back() : segments.front()).delta_run_count;
  };
  REQUIRE(runs(false) == 2);
  REQUIRE(runs(true) == 2);
  const bool last = GENERATE(false, true);
  for (int i = 0; i < 20'000; ++i) CHECK(index.contains(last ? "11999" : "10000"));
  REQUIRE(index.maintain());
  CHECK(runs(last) == 1);
  CHECK(runs(!last) == 2);
  REQUIRE(index.maintain());
  CHECK(runs(!last) == 1);
}

// Some segments, of which two or more have a delta run beside their main run.
SegmentIndex open_with_two_runs(const Options& options) {
  auto index = SegmentIndexAccess::open(directory::make_memory_directory(), options);
  for (int i = 10'000; i < 12'000; ++i) index.put(std::to_string(i), std::string(60, 'v'));
  index.compact();
  for (int i = 10'000; i < 12'000; i += 20) index.put(std::to_string(i), "new");
  index.flush();
  REQUIRE(index.statistics().runs.delta_run_count >= 2);
  return index;
}

// Seeks and short scans all over it; how many of the entries were wrong.
int scan_everywhere(SegmentIndex& index, int count) {
  int wrong_count = 0;
  for (int i = 0; i < count; ++i) {
    const int number = 10'000 + i % 1'990;
    auto cursor = index.scan({.from = std::to_string(number)});
    for (int k = number; k < number + 10; ++k) {
      const std::size_t size = k % 20 == 0 ? 3 : 60;
      wrong_count += cursor.next() && cursor.value().size() == size ? 0 : 1;
    }
  }
  return wrong_count;
}

TEST_CASE("runs that are scanned again and again are merged", "[concurrent][jobs]") {
  Options options = concurrent_options();
  options.tuning.inline_maintenance = true;
  auto index = open_with_two_runs(options);
  const auto limit = std::chrono::steady_clock::now() + Interleave::kLimit;
  while (index.statistics().runs.delta_run_count != 0) {
    REQUIRE(std::chrono::steady_clock::now() < limit);
    REQUIRE(scan_everywhere(index, 2'000) == 0);
  }
  CHECK(scan_everywhere(index, 2'000) == 0);
}

// Gets all over it, one after the other or many by one call; how many of the answers were wrong.
int get_everywhere(SegmentIndex& index, bool together, int count) {
  constexpr int kTogether = 50;
  int wrong_count = 0;
  std::vector<std::string> keys(kTogether);
  std::vector<std::optional<std::string>> values(kTogether);
  for (int i = 0; i < count; i += kTogether) {
    for (int k = 0; k < kTogether; ++k) keys[k] = std::to_string(10'000 + (i + k) % 2'000);
    if (together) {
      const std::vector<std::string_view> views(keys.begin(), keys.end());
      index.multi_get(views, values);
    } else {
      for (int k = 0; k < kTogether; ++k) values[k] = index.get(keys[k]);
    }
    for (int k = 0; k < kTogether; ++k) {
      const std::size_t size = (i + k) % 20 == 0 ? 3 : 60;
      wrong_count += values[k] && values[k]->size() == size ? 0 : 1;
    }
  }
  return wrong_count;
}

TEST_CASE("runs that are asked for keys again and again are merged", "[concurrent][jobs]") {
  Options options = concurrent_options();
  options.tuning.inline_maintenance = true;
  auto index = open_with_two_runs(options);
  const bool together = GENERATE(false, true);
  const auto limit = std::chrono::steady_clock::now() + Interleave::kLimit;
  while (index.statistics().runs.delta_run_count != 0) {
    REQUIRE(std::chrono::steady_clock::now() < limit);
    REQUIRE(get_everywhere(index, together, 2'000) == 0);
  }
  CHECK(get_everywhere(index, together, 2'000) == 0);
}

TEST_CASE("runs that are read are left alone where that is not wanted", "[concurrent][jobs]") {
  Options options = concurrent_options();
  options.tuning.merge_for_reads = false;
  auto index = open_with_two_runs(options);
  REQUIRE(scan_everywhere(index, 100'000) == 0);
  REQUIRE(get_everywhere(index, false, 100'000) == 0);
  CHECK(index.statistics().compaction.due_segment_count == 0);
  CHECK_FALSE(index.maintain());
}

TEST_CASE("without threads of the index scans have to pay all of a merge", "[jobs]") {
  Options options = concurrent_options();
  options.access = GENERATE(Access::Bare, Access::Synchronized);
  auto index = open_with_two_runs(options);
  const std::size_t count = index.statistics().runs.delta_run_count;
  // A merge of this little costs five milliseconds and a visit here 250 ns: 20,000 visits each.
  REQUIRE(scan_everywhere(index, 5'000) == 0);
  CHECK_FALSE(index.maintain());
  REQUIRE(scan_everywhere(index, static_cast<int>(count) * 40'000) == 0);
  CHECK(index.statistics().compaction.due_segment_count == count);
  while (index.maintain()) {
  }
  CHECK(index.statistics().runs.delta_run_count == 0);
  CHECK(scan_everywhere(index, 2'000) == 0);
}

TEST_CASE("memory that is only read any more is flushed", "[concurrent][jobs]") {
  Options options = concurrent_options();
  options.memory_budget = 4 << 20;
  options.tuning.inline_maintenance = true;
  auto index = SegmentIndexAccess::open(directory::make_memory_directory(), options);
  for (int i = 0; i < 4'000; ++i) index.put(std::to_string(i), std::string(60, 'v'));
  REQUIRE(index.statistics().flush_count == 0);  // Far from a reason to flush for writers.
  const auto limit = std::chrono::steady_clock::now() + Interleave::kLimit;
  const bool scans = GENERATE(false, true);
  std::size_t wrong = 0;
  for (int i = 0; index.statistics().memory_size != 0; i = (i + 1) % 4'000) {
    REQUIRE(std::chrono::steady_clock::now() < limit);
    for (int k = 0; k < 100; ++k) {
      if (scans) {
        auto cursor = index.scan({.from = std::to_string(i)});
        wrong += cursor.next() ? 0 : 1;
      } else {
        wrong += index.contains(std::to_string(i)) ? 0 : 1;
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(index.statistics().flush_count == 1);
  CHECK(index.statistics().runs.run_entry_count == 4'000);
}

}  // namespace
}  // namespace varve::test
