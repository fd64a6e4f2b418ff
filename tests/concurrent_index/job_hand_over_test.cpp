// SPDX-License-Identifier: Apache-2.0
// What jobs hand over to writers and readers that come in the middle, and what a crash then leaves:
// one script per defect that there was, or that would show in nothing else.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/interleave.hpp"
#include "tests/support/quick_retries.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/error.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using directory::RebootPolicy;
using directory::SimulatedFileSystem;
using internal::SegmentIndexAccess;

constexpr WriteOptions kUnlogged{.durability = Durability::Buffered};

Options options_by_hand() {
  Options options = tiny_options();
  options.access = Access::Concurrent;
  options.memory_budget = 1 << 20;
  options.tuning.segment_size = 128
                                << 10;  // A quarter of it is more than an unflushed delta takes.
  options.tuning.inline_maintenance = false;
  return options;
}

SegmentIndex open_on(const std::shared_ptr<SimulatedFileSystem>& medium) {
  return SegmentIndexAccess::open(directory::make_posix_directory(medium), options_by_hand());
}

std::string value_of(SegmentIndex& index, const std::string& key) {
  return index.get(key).value_or("nothing");
}

// Compacts the segment that begins at `first_key`, which is not the last, and no other.
void compact_one(SegmentIndex& index, const std::string& first_key) {
  CancelToken cancel;
  CHECK(error_of([&] {
          index.compact({.from = first_key,
                         .progress = [&](const MaintenanceProgress&) { cancel.cancel(); },
                         .cancel = &cancel});
        }) == ErrorCode::Cancelled);
}

// At least `at` + 3 segments, of which that at `at` and the next are so small that they are merged
// next; the first key of the second.
std::string make_small_neighbours(SegmentIndex& index, std::size_t at = 0) {
  const int count = at == 0 ? 2'400 : 4'800;
  for (int i = 0; i < count; ++i) index.put(std::to_string(10'000 + i), std::string(60, 'v'));
  index.compact();
  const auto segments = index.statistics().segments;
  REQUIRE(segments.size() >= at + 3);
  index.erase_range(at == 0 ? "10010" : segments[at].first_key + "0", segments[at + 2].first_key);
  compact_one(index, segments[at].first_key);
  compact_one(index, segments[at + 1].first_key);
  REQUIRE(index.statistics().segments.size() == segments.size());
  return segments[at + 1].first_key;
}

TEST_CASE("progress ends with all segments, also when two become one on the way",
          "[concurrent][jobs]") {
  const auto medium = std::make_shared<SimulatedFileSystem>();
  auto index = open_on(medium);
  make_small_neighbours(index, 1);
  const std::uint64_t segment_count = index.statistics().segments.size();
  MaintenanceProgress last;
  index.compact({.progress = [&](const MaintenanceProgress& now) {
    CHECK(last.segments_total <= segment_count);
    CHECK(now.segments_done == last.segments_done + 1);
    last = now;
    while (index.maintain()) {  // As others' threads do between the segments.
    }
  }});
  CHECK(last.segments_done == segment_count - 1);
  CHECK(last.segments_total == last.segments_done);
}

TEST_CASE("a merge that leaves out memory leaves it its range erases", "[concurrent][jobs]") {
  const auto medium = std::make_shared<SimulatedFileSystem>();
  auto index = open_on(medium);
  index.put("a", "of a run");
  index.flush();
  index.put("b", "1", kUnlogged);  // So that the merge flushes first, and then looks again.
  Interleave script;
  auto& flushed = script.stop("flush.committed", "job");
  script.begin("job", [&] { index.compact(); });
  flushed.await();
  index.put("k", "erased", kUnlogged);
  index.erase_range("a", "m", kUnlogged);
  flushed.release();
  script.join("job");
  CHECK(value_of(index, "k") == "nothing");
  CHECK(value_of(index, "a") == "nothing");
  index.flush();
  CHECK(value_of(index, "k") == "nothing");
  CHECK(value_of(index, "a") == "nothing");
}

TEST_CASE("a merge that leaves out memory leaves it to the log", "[concurrent][jobs]") {
  const auto medium = std::make_shared<SimulatedFileSystem>();
  auto index = open_on(medium);
  index.put("a", "of a run");
  index.flush();
  index.put("b", "1", kUnlogged);
  Interleave script;
  auto& flushed = script.stop("flush.committed", "job");
  script.begin("job", [&] { index.compact(); });
  flushed.await();
  index.put("c", "without a record", kUnlogged);
  index.put("d", "with a record");
  flushed.release();
  script.join("job");
  auto recovered = open_on(medium->after_kill());
  CHECK(value_of(recovered, "b") == "1");
  CHECK(value_of(recovered, "d") == "with a record");
}

TEST_CASE("neighbours that are merged keep what is written and flushed meanwhile",
          "[concurrent][jobs]") {
  const auto medium = std::make_shared<SimulatedFileSystem>();
  auto index = open_on(medium);
  const std::string right = make_small_neighbours(index) + "x";
  const std::uint64_t segment_count = index.statistics().runs.segment_count;
  index.put("10001", "before", kUnlogged);
  Interleave script;
  auto& flushed = script.stop("flush.committed", "job");
  script.begin("job", [&] { static_cast<void>(index.maintain()); });
  flushed.await();
  index.put("10002", "left", kUnlogged);
  index.put(right, "right", kUnlogged);
  flushed.release();
  script.join("job");
  REQUIRE(index.statistics().runs.segment_count == segment_count - 1);
  CHECK(value_of(index, "10001") == "before");
  CHECK(value_of(index, "10002") == "left");
  CHECK(value_of(index, right) == "right");
  // Each flush takes all unlogged writes of its moment: the last two went together or not at all.
  auto recovered = open_on(medium->after_kill());
  CHECK(value_of(recovered, "10001") == "before");
  CHECK((value_of(recovered, "10002") == "left") == (value_of(recovered, right) == "right"));
}

TEST_CASE("a merge of delta runs does not apply a range erase that power loss may take back",
          "[concurrent][jobs][power]") {
  Options options = options_by_hand();
  options.tuning.tier_fanout = 2;
  const auto medium = std::make_shared<SimulatedFileSystem>();
  auto index = SegmentIndexAccess::open(directory::make_posix_directory(medium), options);
  for (int i = 0; i < 500; ++i) index.put(std::to_string(1'000 + i), std::string(60, 'v'));
  index.compact();
  index.put("1001", "first");
  index.flush();
  index.put("1002", "second");
  index.flush();
  index.erase_range("1000", "1003");  // In the log's mapping only.
  REQUIRE(index.statistics().runs.delta_run_count == 2);
  REQUIRE(index.maintain());
  CHECK(index.statistics().runs.delta_run_count == 1);
  CHECK(value_of(index, "1001") == "nothing");
  const RebootPolicy lost{.data = RebootPolicy::Data::Lost, .names = RebootPolicy::Names::Lost};
  auto recovered = open_on(medium->after_reboot(lost));
  CHECK(value_of(recovered, "1000") == std::string(60, 'v'));
  CHECK(value_of(recovered, "1001") == "first");
  CHECK(value_of(recovered, "1002") == "second");
}

TEST_CASE("a write that was routed before a split goes to the segment that owns its key now",
          "[concurrent][jobs]") {
  const auto medium = std::make_shared<SimulatedFileSystem>();
  auto index = open_on(medium);
  for (int i = 0; i < 2'400; ++i) index.put(std::to_string(10'000 + i), std::string(60, 'v'));
  REQUIRE(index.statistics().segments.size() == 1);
  Interleave script;
  auto& routed = script.stop("write.routed", "writer");
  script.begin("writer", [&] { index.put("12399", "late"); });
  routed.await();
  index.compact();
  REQUIRE(index.statistics().segments.size() >= 2);
  index.put("10001", "meanwhile");  // Without a log the late write would find its way anew anyway.
  routed.release();
  script.join("writer");
  CHECK(value_of(index, "12399") == "late");
  auto recovered = open_on(medium->after_kill());
  CHECK(value_of(recovered, "12399") == "late");
}

TEST_CASE("a batch that was routed before a split goes to the segments that own its keys now",
          "[concurrent][jobs]") {
  const auto medium = std::make_shared<SimulatedFileSystem>();
  auto index = open_on(medium);
  for (int i = 0; i < 2'400; ++i) index.put(std::to_string(10'000 + i), std::string(60, 'v'));
  REQUIRE(index.statistics().segments.size() == 1);
  WriteBatch batch;
  batch.put("10000", "late");
  batch.put("12399", "late");
  Interleave script;
  auto& routed = script.stop("batch.routed", "writer");
  script.begin("writer", [&] { index.write(batch); });
  routed.await();
  index.compact();
  REQUIRE(index.statistics().segments.size() >= 2);
  index.put("10001", "meanwhile");  // Without a log the late write would find its way anew anyway.
  routed.release();
  script.join("writer");
  CHECK(value_of(index, "10000") == "late");
  CHECK(value_of(index, "12399") == "late");
}

TEST_CASE("a write returns when all earlier ones can be seen", "[concurrent][publish]") {
  const auto medium = std::make_shared<SimulatedFileSystem>();
  auto index = open_on(medium);
  const std::string right = make_small_neighbours(index) + "x";
  Interleave script;
  auto& logged = script.stop("write.logged", "first");
  script.begin("first", [&] { index.put("10001", "first"); });
  logged.await();  // It has the lower sequence, and is in no delta yet.
  script.begin("second", [&] { index.put(right, "second"); });
  CHECK_FALSE(script.ends_within("second", std::chrono::milliseconds(20)));
  logged.release();
  script.join("second");
  CHECK(value_of(index, "10001") == "first");
  CHECK(value_of(index, right) == "second");
  script.join("first");
}

// What comes while the merge is tried goes into the run that is written in its place. So the log
// has to be on the device up to there, and not up to where the merge began.
TEST_CASE("memory that could not be merged is not flushed ahead of what was written before it",
          "[concurrent][jobs][durability]") {
  const auto medium = std::make_shared<SimulatedFileSystem>();
  auto index = open_on(medium);
  for (int i = 0; i < 2'400; ++i) index.put(std::to_string(10'000 + i), std::string(60, 'v'));
  index.compact();
  const Statistics before = index.statistics();
  REQUIRE(before.segments.size() >= 2);
  const std::string key = before.segments.back().first_key;
  for (int i = 0; index.statistics().memory_size < options_by_hand().memory_budget / 2; ++i) {
    index.put(key + std::to_string(i), std::string(200, 'w'));
  }
  medium->add_fault({.operation = directory::Operation::Create, .name_part = "main"});
  Interleave script;
  auto& writing = script.stop("job.writing", "job");
  script.begin("job", [&] { CHECK(index.maintain()); });
  writing.await();
  index.put("0", "before");
  index.put(key, "after");
  writing.release();
  script.join("job");
  const Statistics now = index.statistics();
  REQUIRE(now.compaction_count == before.compaction_count);  // As the merge failed.
  REQUIRE(now.segments.back().memory_entry_count == 0);
  REQUIRE(now.segments.front().memory_entry_count == 1);
  auto recovered = open_on(medium->after_reboot({}));
  CHECK(value_of(recovered, key) == "after");
  CHECK(value_of(recovered, "0") == "before");
}

TEST_CASE("what a read has pinned stays while views are published, and is told of",
          "[concurrent][epoch]") {
  Options options = options_by_hand();
  options.reader_age_limit = std::chrono::milliseconds(1);
  auto index = SegmentIndexAccess::open(directory::make_memory_directory(), options);
  index.put("a", "old");
  std::string seen;  // Before the script, which waits for its threads.
  Interleave script;
  auto& found = script.stop("read.view_found", "reader");
  script.begin("reader", [&] { seen = value_of(index, "a"); });
  found.await();
  // The delta that the reader stands in is flushed, its run merged away, its file removed.
  index.flush();
  index.put("a", "new");
  index.compact();
  index.compact();
  const Statistics held = index.statistics();
  CHECK(held.retired_view_count > 0);
  CHECK(held.memory.held_by_readers_size > 0);
  CHECK(held.oldest_reader_thread_id != 0);
  // Beyond its age limit it is counted, and that is all.
  CHECK(becomes([&] { return index.statistics().aged_reader_count == 1; }));
  CHECK(index.health());
  found.release();
  script.join("reader");
  CHECK(seen == "old");  // It began before "new" was written, and ended after it.
  CHECK(value_of(index, "a") == "new");
  index.put("b", "1");
  index.flush();  // Every job lets go of what nobody is in any more.
  const Statistics after = index.statistics();
  CHECK(after.oldest_reader_thread_id == 0);
  CHECK(after.aged_reader_count == 0);
  CHECK(after.memory.held_by_readers_size == 0);
}

TEST_CASE("close() waits for a read that has begun", "[concurrent][close]") {
  auto index = SegmentIndexAccess::open(directory::make_memory_directory(), options_by_hand());
  index.put("a", "1");
  std::string seen;  // Before the script, which waits for its threads.
  Interleave script;
  auto& found = script.stop("read.view_found", "reader");
  script.begin("reader", [&] { seen = value_of(index, "a"); });
  found.await();
  script.begin("closer", [&] { index.close(); });
  CHECK_FALSE(script.ends_within("closer", std::chrono::milliseconds(20)));
  found.release();
  script.join("reader");
  script.join("closer");
  CHECK(seen == "1");
}

}  // namespace
}  // namespace varve::test
