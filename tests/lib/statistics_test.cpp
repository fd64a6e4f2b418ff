// SPDX-License-Identifier: Apache-2.0
#include "varve/statistics.hpp"

#include <array>
#include <barrier>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/quick_retries.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

Options options_of(Access access) {
  Options options = tiny_options();
  options.access = access;
  return options;
}

std::string key_of(int number) {
  return "key" + std::to_string(100'000 + number);
}

}  // namespace

TEST_CASE("every kind of call is counted, in every access mode", "[lib][statistics]") {
  const Access access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  TemporaryDirectory temporary;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options_of(access));
  for (int i = 0; i < 10; ++i) index.put(key_of(i), "value");
  index.erase(key_of(0));
  index.erase_range(key_of(1), key_of(3));
  index.erase_prefix("nothing");
  WriteBatch batch;
  batch.put("batch1", "a");
  batch.put("batch2", "b");
  batch.erase("batch3");
  batch.erase_range("c", "d");
  index.write(batch);
  CHECK(index.get(key_of(5)));
  CHECK_FALSE(index.get(key_of(0)));
  CHECK(index.contains("batch1"));
  const std::array<std::string_view, 3> keys = {"batch1", "batch2", "absent"};
  CHECK(index.multi_get(keys).size() == 3);
  {
    Cursor cursor = index.scan({.prefix = "key"});
    while (cursor.next()) {
    }
  }
  index.sync();
  index.flush();
  index.compact();
  CHECK(error_of([&] { index.put("", "no key"); }) == ErrorCode::InvalidArgument);
  CHECK(error_of([&] { index.erase(""); }) == ErrorCode::InvalidArgument);
  CHECK(error_of([&] { static_cast<void>(index.scan({.resume = "bad"})); }) ==
        ErrorCode::InvalidArgument);

  const Statistics figures = index.statistics();
  const OperationsByKind& calls = figures.operations;
  CHECK(calls.put.success_count == 10);
  CHECK(calls.put.failure_count == 1);
  CHECK(calls.erase.success_count == 1);
  CHECK(calls.erase.failure_count == 1);
  CHECK(calls.erase_range.success_count == 2);
  CHECK(calls.batch.success_count == 1);
  CHECK(calls.get.success_count == 3);
  CHECK(calls.get.failure_count == 0);
  CHECK(calls.multi_get.success_count == 1);
  CHECK(calls.scan.success_count == 1);
  CHECK(calls.scan.failure_count == 1);
  CHECK(calls.sync.success_count == 1);
  CHECK(calls.flush.success_count == 1);
  CHECK(calls.compact.success_count == 1);
  // Rare calls are all timed.
  CHECK(calls.sync.latency_count == 1);
  CHECK(calls.compact.latency_count == 1);
  CHECK(calls.compact.max.count() > 0);
  CHECK(figures.put_count == 12);
  CHECK(figures.erase_count == 5);
  CHECK(figures.get_count == 6);
  CHECK(figures.get_hit_count == 4);
  CHECK(figures.scan_count == 1);
  CHECK(figures.scanned_entry_count == 7);
  CHECK(figures.user_bytes_written ==
        10 * 14 + 9 + 18 + 14 + batch.data_size());  // "nothing", "nothinh".
  CHECK(batch.data_size() == 7 + 7 + 6 + 2);
}

TEST_CASE("a sample of short calls is timed", "[lib][statistics]") {
  const Access access = GENERATE(Access::Bare, Access::Concurrent);
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(access));
  index.put("key", "value");
  constexpr std::uint64_t kCount = 64'000;
  for (std::uint64_t i = 0; i < kCount; ++i) static_cast<void>(index.contains("key"));
  const concurrent::OperationSnapshot get = index.statistics().operations.get;
  CHECK(get.success_count == kCount);
  CHECK(get.latency_count > kCount / 64 * 8 / 10);
  CHECK(get.latency_count < kCount / 64 * 12 / 10);
  CHECK(get.p50.count() > 0);
  CHECK(get.p50 <= get.p90);
  CHECK(get.p90 <= get.p99);
  CHECK(get.p99 <= get.p99_9);
  CHECK(get.p99_9 <= get.max);
  CHECK(get.latencies_below.back() <= get.latency_count);
}

TEST_CASE("no call of any thread is lost", "[lib][statistics]") {
  const Access access = GENERATE(Access::Synchronized, Access::Concurrent);
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(access));
  constexpr int kThreadCount = 8, kCount = 500;
  std::barrier begin(kThreadCount);
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreadCount; ++number) {
    threads.emplace_back([&, number] {
      begin.arrive_and_wait();
      std::string value;
      for (int i = 0; i < kCount; ++i) {
        index.put(key_of(number * kCount + i), "value");
        static_cast<void>(index.get(key_of(i), value));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Statistics figures = index.statistics();
  CHECK(figures.put_count == kThreadCount * kCount);
  CHECK(figures.user_bytes_written == kThreadCount * kCount * 14);
  CHECK(figures.get_count == kThreadCount * kCount);
  CHECK(figures.operations.get.success_count == figures.get_count);
}

TEST_CASE("a closed index counts the call that it refused, and no figures are had of it",
          "[lib][statistics]") {
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  index.close();
  CHECK(error_of([&] { static_cast<void>(index.get("key")); }) == ErrorCode::Closed);
  CHECK(error_of([&] { static_cast<void>(index.statistics()); }) == ErrorCode::Closed);
}

TEST_CASE("memory is told by owner", "[lib][statistics]") {
  const Access access = GENERATE(Access::Bare, Access::Concurrent);
  TemporaryDirectory temporary;
  Options options = options_of(access);
  options.memory_budget = std::size_t{16} << 20;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
  const std::string value(100, 'v');
  for (int i = 0; i < 5'000; ++i) index.put(key_of(i), value);
  Statistics figures = index.statistics();
  CHECK(figures.memory.active_deltas_size + figures.memory.frozen_deltas_size ==
        figures.memory_size);
  CHECK(figures.memory.held_by_readers_size == 0);
  CHECK(figures.memory.pool_size >= figures.memory_size);
  CHECK(figures.memory.filters_size == 0);
  CHECK(figures.memory.statistics_size > 0);
  CHECK(figures.memory_budget == options.memory_budget);
  {
    Cursor cursor = index.scan();
    REQUIRE(cursor.next());
    index.flush();
    figures = index.statistics();
    CHECK(figures.memory.held_by_readers_size > 500'000);
    CHECK(figures.memory.held_by_readers_size + figures.memory.active_deltas_size +
              figures.memory.frozen_deltas_size ==
          figures.memory_size);
  }
  index.compact();
  CHECK(becomes([&] {  // A thread of the index may still stand in a view.
    static_cast<void>(index.maintain());
    return index.statistics().memory.held_by_readers_size == 0;
  }));
  figures = index.statistics();
  CHECK(figures.memory.filters_size >= 5'000);  // 12 bits a key.
  CHECK(figures.memory.filters_size + figures.memory.sparse_indexes_size ==
        figures.table_memory_size);
  CHECK(figures.memory.mapped_runs_size ==
        figures.runs.main_runs_size + figures.runs.delta_runs_size);
}

TEST_CASE("runs, and what merges have yet to do", "[lib][statistics]") {
  Options options = tiny_options();
  options.access = Access::Bare;
  options.tuning.inline_maintenance = false;
  options.tuning.segment_size = std::size_t{16} << 20;
  options.memory_budget = std::size_t{16} << 20;
  SegmentIndex index = SegmentIndex::open_in_memory(options);
  const std::string value(100, 'v');
  for (int i = 0; i < 5'000; ++i) index.put(key_of(i), value);
  CHECK(index.statistics().runs.space_amplification() == 0);
  index.compact();
  Statistics figures = index.statistics();
  CHECK(figures.runs.segment_count == 1);
  CHECK(figures.runs.read_amplification() == 1);
  CHECK(figures.runs.space_amplification() == 1);
  CHECK(figures.runs.run_entry_count == 5'000);
  CHECK(figures.runs.memory_entry_count == 0);
  CHECK(figures.compaction.due_segment_count == 0);
  CHECK(figures.compaction.unmerged_size == 0);
  for (std::uint32_t round = 1; round <= options.tuning.tier_fanout; ++round) {
    CHECK(index.statistics().compaction.due_segment_count == 0);
    for (int i = 0; i < 100; ++i) index.put(key_of(i), value);
    CHECK(index.statistics().runs.memory_entry_count == 100);
    index.flush();
    figures = index.statistics();
    CHECK(figures.runs.delta_run_count == round);
    CHECK(figures.runs.run_count == round + 1);
    CHECK(figures.runs.run_count_max == round + 1);
    CHECK(figures.runs.run_entry_count == 5'000 + 100 * round);
  }
  // A tier is full: its runs are to become one.
  CHECK(figures.compaction.due_segment_count == 1);
  CHECK(figures.compaction.due_size == figures.runs.delta_runs_size);
  CHECK(figures.compaction.unmerged_size == figures.runs.delta_runs_size);
  CHECK(figures.runs.space_amplification() > 1);
  CHECK(index.maintain());
  figures = index.statistics();
  CHECK(figures.runs.delta_run_count == 1);
  CHECK(figures.compaction.due_segment_count == 0);
  CHECK(figures.compaction.due_size == 0);
}

TEST_CASE("the log's figures follow writes, syncs and flushes", "[lib][statistics]") {
  TemporaryDirectory temporary;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options_of(Access::Concurrent));
  index.put("first", "begins a log file");
  index.sync();
  const Statistics before = index.statistics();
  CHECK(before.log.unsynced_size == 0);
  index.put("key", "value");
  Statistics figures = index.statistics();
  CHECK(figures.log.unsynced_size == figures.log_bytes_written - before.log_bytes_written);
  CHECK(figures.log.unsynced_size > 8);
  CHECK(figures.log.live_size == before.log.live_size + figures.log.unsynced_size);
  index.sync();
  figures = index.statistics();
  CHECK(figures.log.unsynced_size == 0);
  CHECK(figures.log.device_flush.success_count == figures.log_sync_count);
  CHECK(figures.log.device_flush.success_count == before.log_sync_count + 1);
  CHECK(figures.log.device_flush.failure_count == 0);
  CHECK(figures.log.device_flush.latency_count == figures.log_sync_count);
  CHECK(figures.log.device_flush.max.count() > 0);
}

TEST_CASE("a write that does the jobs itself is a stall", "[lib][statistics]") {
  SegmentIndex index = SegmentIndex::open_in_memory(options_of(Access::Bare));
  const std::string value(1000, 'v');
  for (int i = 0; i < 1'000; ++i) index.put(key_of(i), value);
  const Statistics figures = index.statistics();
  CHECK(figures.flush_count > 0);
  CHECK(figures.stalled_write_count > 0);
  CHECK(figures.stalled_write_count <= 1'000);
  CHECK(figures.stalled_microseconds_max > 0);
}

TEST_CASE("the rate of false positives is that of the filters", "[lib][statistics]") {
  const Access access = GENERATE(Access::Bare, Access::Concurrent);
  Options options = options_of(access);
  options.memory_budget = std::size_t{16} << 20;
  options.tuning.segment_size = std::size_t{16} << 20;
  options.tuning.filter_bits_per_key = 5;  // Bad filters, so that there is something to count.
  SegmentIndex index = SegmentIndex::open_in_memory(options);
  for (int i = 0; i < 5'000; ++i) index.put(key_of(2 * i), "value");
  index.compact();
  for (int i = 0; i < 1'000'000; ++i) static_cast<void>(index.contains(key_of(i % 10'000)));
  const FilterStatistics filters = index.statistics().filters;
  // About 1,000 of the gets, half of them of absent keys.
  CHECK(filters.probe_count > 600);
  CHECK(filters.probe_count < 1'600);
  CHECK(filters.negative_count > 0);
  CHECK(filters.false_positive_count > 0);
  CHECK(filters.false_positive_count + filters.negative_count < filters.probe_count);
  CHECK(filters.false_positive_rate() > 0.1);
  CHECK(filters.false_positive_rate() < 0.35);
  CHECK(FilterStatistics().false_positive_rate() == 0);
}

}  // namespace varve::test
