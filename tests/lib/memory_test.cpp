// SPDX-License-Identifier: Apache-2.0
// What an index reports of its memory, against what the process has really taken; the estimates
// against the report; the limit.
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lib/hooks.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/memory_meter.hpp"
#include "tests/support/quick_retries.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/memory_estimate.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

constexpr std::int64_t kKiB = 1024, kMiB = 1024 * kKiB;

Options options_of(Access access) {
  Options options;
  options.access = access;
  options.memory_budget = 8 * kMiB;
  options.tuning.segment_size = 4 * kMiB;
  options.tuning.log_file_size = 4 * kMiB;
  options.tuning.maintenance_threads = 2;
  return options;
}

// As good as random, each number another one: 16 hexadecimal digits.
std::string key_of(std::uint64_t number) {
  number *= 0x9e3779b97f4a7c15U;
  number ^= number >> 32;
  number *= 0xd6e8feb86659fd93U;
  std::string key(16, '0');
  for (char& digit : key) {
    digit = "0123456789abcdef"[number & 15];
    number >>= 4;
  }
  return key;
}

void put_entries(SegmentIndex& index, std::uint64_t from, std::uint64_t to) {
  const std::string value(100, 'v');
  for (std::uint64_t i = from; i < to; ++i) index.put(key_of(i), value);
}

// Until nothing is due, no job is left, and what was replaced is freed: a thread of the index may
// still stand in a view, or take for due what is held and no flush gives back.
void settle(SegmentIndex& index) {
  const bool has_threads = index.options().access == Access::Concurrent;
  CHECK(becomes([&] {
    while (index.maintain()) {
    }
    const Statistics now = index.statistics();
    return now.retired_view_count == 0 && now.memory.jobs_size == 0 &&
           (!has_threads || now.memory_size <= now.memory_budget / 2);
  }));
}

// What was taken since a moment before the index was opened.
class Meter {
 public:
  [[nodiscard]] std::int64_t size() const noexcept { return metered_memory() - before_; }

 private:
  const std::int64_t before_ = metered_memory();
};

// The report is right to a 33rd, and 128 KiB: threads, names, what is small and not worth counting.
void check_report(const SegmentIndex& index, const Meter& meter) {
  const auto reported = static_cast<std::int64_t>(index.statistics().memory.total_size());
  const std::int64_t real = meter.size();
  INFO("reported " << reported << ", taken " << real);
  CHECK(std::abs(reported - real) < real / 33 + 128 * kKiB);
}

void check_near(std::uint64_t estimated, std::uint64_t real, double tolerance) {
  INFO("estimated " << estimated << ", real " << real);
  CHECK(std::abs(static_cast<double>(estimated) - static_cast<double>(real)) <=
        tolerance * static_cast<double>(real));
}

// Holds the first job that comes to a hook, once it has come there so many times.
class Stop final : public internal::HookListener {
 public:
  Stop(std::string_view hook, int count) : hook_(hook), count_(count) {
    internal::hooks::listen(this);
  }
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;
  ~Stop() {
    let_go();
    internal::hooks::listen(nullptr);
  }
  void reached(std::string_view hook) noexcept override {
    if (hook != hook_) return;
    std::unique_lock lock(mutex_);
    if (--count_ != 0) return;
    arrived_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return gone_; });
  }
  [[nodiscard]] bool await() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [this] { return arrived_; });
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    changed_.notify_all();
  }

 private:
  const std::string_view hook_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_;
  bool arrived_ = false, gone_ = false;
};

}  // namespace

TEST_CASE("what an index reports of its memory adds up to what it has taken", "[lib][memory]") {
  const Access access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  const Reads reads = GENERATE(Reads::Mapped, Reads::Buffered);
  const TemporaryDirectory temporary;
  Options options = options_of(access);
  options.reads = reads;
  const Meter meter;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
  check_report(index, meter);
  put_entries(index, 0, 200'000);
  settle(index);
  check_report(index, meter);
  put_entries(index, 0, 20'000);
  settle(index);
  check_report(index, meter);
  index.compact();
  settle(index);
  check_report(index, meter);
  const MemoryStatistics memory = index.statistics().memory;
  CHECK(memory.filters_size > 200'000);
  CHECK(memory.held_runs_size == 0);
  CHECK(memory.jobs_size == 0);
  CHECK((memory.mapped_runs_size > 0) == (reads == Reads::Mapped));
}

TEST_CASE("tables that lie in huge pages are reported with the holes between them",
          "[lib][memory]") {
  const TemporaryDirectory temporary;
  Options options = options_of(GENERATE(Access::Bare, Access::Concurrent));
  options.tuning.filter_bits_per_key = 24;
  const Meter meter;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
  constexpr std::uint64_t kCount = 1'800'000, kStep = 1000;
  for (std::uint64_t from = 0; from < kCount; from += kStep) {
    WriteBatch batch;
    for (std::uint64_t i = from; i < from + kStep; ++i) batch.put(key_of(i), "v");
    index.write(batch);
  }
  settle(index);
  check_report(index, meter);
  const MemoryStatistics loaded = index.statistics().memory;
  CHECK(loaded.filters_size > static_cast<std::uint64_t>(4 * kMiB));
  CHECK(loaded.tables_free_size > 0);
  index.compact();
  settle(index);
  check_report(index, meter);
  const MemoryStatistics compacted = index.statistics().memory;
  CHECK(compacted.tables_free_size > 0);
  index.close();
  const MemoryEstimate estimate = estimate_memory(temporary.path() / "i", options);
  options.tuning.inline_maintenance = false;
  index = SegmentIndex::open(temporary.path() / "i", options);
  const MemoryStatistics opened = index.statistics().memory;
  INFO("holes: " << loaded.tables_free_size << ", " << compacted.tables_free_size << ", "
                 << opened.tables_free_size << ", estimated " << estimate.at_open.tables_free_size
                 << " and " << estimate.at_most.tables_free_size);
  const auto without_holes = [](const MemoryStatistics& memory) {
    return memory.total_size() - memory.tables_free_size;
  };
  check_near(without_holes(estimate.at_open), without_holes(opened), 0.05);
  CHECK(std::abs(static_cast<std::int64_t>(estimate.at_open.tables_free_size) -
                 static_cast<std::int64_t>(opened.tables_free_size)) <= kMiB);  // Half a region.
  CHECK(estimate.at_most.tables_free_size >= loaded.tables_free_size);
  CHECK(estimate.at_most.tables_free_size >= compacted.tables_free_size);
  CHECK(estimate.at_most.tables_free_size >= opened.tables_free_size);
}

TEST_CASE("what open scans hold is reported", "[lib][memory]") {
  const Access access = GENERATE(Access::Bare, Access::Concurrent);
  const TemporaryDirectory temporary;
  Options options = options_of(access);
  options.reads = GENERATE(Reads::Mapped, Reads::Buffered);
  const Meter meter;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
  put_entries(index, 0, 100'000);
  index.compact();  // One run in each segment, whatever the threads had done.
  put_entries(index, 100'000, 110'000);
  settle(index);
  const auto before = static_cast<std::int64_t>(index.statistics().memory.total_size());
  std::vector<Cursor> cursors;
  cursors.reserve(1000);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    cursors.push_back(index.scan({.from = key_of(i)}));
    REQUIRE(cursors.back().next());
  }
  const std::int64_t list_size = static_cast<std::int64_t>(cursors.capacity() * sizeof(Cursor));
  const Statistics scanning = index.statistics();
  CHECK(scanning.open_scan_count == 1000);
  {
    const auto reported = static_cast<std::int64_t>(scanning.memory.total_size()) - before;
    const std::int64_t real = meter.size() - before - list_size;
    INFO("reported " << reported << ", taken " << real);
    // Each as if it was in the segment with the most runs.
    CHECK(reported > real * 8 / 10 - 64 * kKiB);
    CHECK(reported < real * 14 / 10 + 64 * kKiB);
  }
  // Deltas and runs that nothing but the scans still have: every segment has something to merge,
  // however much maintenance had merged before.
  put_entries(index, 0, 20'000);
  index.flush();
  index.compact();
  const MemoryStatistics held = index.statistics().memory;
  CHECK(held.held_by_readers_size > 0);
  CHECK(held.held_runs_size > static_cast<std::uint64_t>(50 * kKiB));
  const auto reported = static_cast<std::int64_t>(held.total_size());
  const std::int64_t real = meter.size() - list_size;
  INFO("reported " << reported << ", taken " << real);
  CHECK(std::abs(reported - real) < real / 8);
  cursors.clear();
  put_entries(index, 0, 1);
  index.flush();
  CHECK(index.statistics().open_scan_count == 0);
  CHECK(index.statistics().memory.cursors_size == 0);
}

#if defined(VARVE_ENABLE_DCHECK)
TEST_CASE("what a merge takes while it writes is reported", "[lib][memory]") {
  const TemporaryDirectory temporary;
  Options options = options_of(Access::Concurrent);
  options.memory_budget = 64 * kMiB;
  options.tuning.segment_size = 64 * kMiB;
  options.tuning.inline_maintenance = false;
  const Meter meter;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
  put_entries(index, 0, 100'000);
  Stop stop("run.writing", 20);  // Of 25 times.
  std::thread merging([&] { index.compact(); });
  const bool arrived = stop.await();
  CHECK(arrived);
  if (arrived) {
    check_report(index, meter);
    CHECK(index.statistics().memory.jobs_size > 3 * kMiB);  // 2 MiB to write from, and the hashes.
  }
  stop.let_go();
  merging.join();
  CHECK(index.statistics().memory.jobs_size == 0);
}
#endif

TEST_CASE("an estimate from the files is what the opened index reports", "[lib][memory]") {
  const Access access = GENERATE(Access::Bare, Access::Concurrent);
  const bool read_only = GENERATE(false, true);
  const TemporaryDirectory temporary;
  Options options = options_of(access);
  {
    SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
    put_entries(index, 0, 200'000);
    index.close();
  }
  options.read_only = read_only;
  const MemoryEstimate estimate = estimate_memory(temporary.path() / "i", options);
  options.tuning.inline_maintenance = false;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
  const MemoryStatistics real = index.statistics().memory;
  check_near(estimate.at_open.sparse_indexes_size, real.sparse_indexes_size, 0.03);
  CHECK(estimate.at_open.filters_size == real.filters_size);
  CHECK(estimate.at_open.mapped_runs_size == real.mapped_runs_size);
  CHECK(estimate.at_open.hot_path_size == real.hot_path_size);
  check_near(estimate.at_open.structure_size, real.structure_size, 0.03);
  CHECK(estimate.at_open.active_deltas_size == 0);
  check_near(estimate.at_open.total_size(), real.total_size(), 0.03);
  CHECK(estimate.at_most.total_size() >= real.total_size());
  CHECK((estimate.at_most.active_deltas_size == 0) == read_only);
}

TEST_CASE("an estimate of an index that was not closed covers its replay", "[lib][memory]") {
  const TemporaryDirectory temporary;
  Options options = options_of(Access::Bare);
  options.tuning.inline_maintenance = false;
  // Of a log that is full it is known how much is in it.
  const bool full_logs = GENERATE(true, false);
  options.tuning.log_file_size = full_logs ? 256 * kKiB : 5 * kMiB;
  const std::filesystem::path copy = temporary.path() / "copy";
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
  put_entries(index, 0, 20'000);
  // Also beside the process that has it open.
  const MemoryEstimate estimate = estimate_memory(temporary.path() / "i", options);
  std::filesystem::copy(temporary.path() / "i", copy);
  SegmentIndex replayed = SegmentIndex::open(copy, options);
  const MemoryStatistics real = replayed.statistics().memory;
  CHECK(real.frozen_deltas_size > 2 * kMiB);
  CHECK(estimate.at_open.frozen_deltas_size >= real.frozen_deltas_size);
  CHECK(estimate.at_open.frozen_deltas_size <= 8 * kMiB);
  if (full_logs) check_near(estimate.at_open.frozen_deltas_size, real.frozen_deltas_size, 0.5);
  // The last one is gone on with.
  CHECK(real.mapped_log_size == options.tuning.log_file_size);
  CHECK(estimate.at_open.mapped_log_size == real.mapped_log_size);
  options.read_only = true;
  replayed.close();
  CHECK(estimate_memory(temporary.path() / "i", options).at_open.mapped_log_size == 0);
}

TEST_CASE("an estimate of planned data is what comes of it", "[lib][memory]") {
  const TemporaryDirectory temporary;
  const Options options = options_of(Access::Bare);
  constexpr std::uint64_t kCount = 300'000;
  const MemoryEstimate estimate = estimate_memory(PlannedData{kCount, 16, 100}, options);
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
  put_entries(index, 0, kCount);
  index.compact();
  const MemoryStatistics real = index.statistics().memory;
  check_near(estimate.at_open.sparse_indexes_size, real.sparse_indexes_size, 0.2);
  check_near(estimate.at_open.filters_size, real.filters_size, 0.02);
  check_near(estimate.at_open.mapped_runs_size, real.mapped_runs_size, 0.1);
  INFO("segments: " << index.statistics().runs.segment_count);
  // Of how many segments there are, that knows least.
  check_near(estimate.at_open.structure_size, real.structure_size, 0.5);

  CHECK(error_of([] {
          static_cast<void>(estimate_memory(PlannedData{1, 0, 1}));
        }) == ErrorCode::InvalidArgument);
  CHECK(error_of([] {
          static_cast<void>(estimate_memory(PlannedData{~0ULL, 100, 1e9}));
        }) == ErrorCode::InvalidArgument);
  // Nothing at all is fine.
  CHECK(estimate_memory(PlannedData{0, 16, 100}).at_open.filters_size == 0);
}

TEST_CASE("an estimate says when there is no index, or when files are missing", "[lib][memory]") {
  const TemporaryDirectory temporary;
  CHECK(error_of([&] { static_cast<void>(estimate_memory(temporary.path())); }) ==
        ErrorCode::NotFound);
  {
    SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options_of(Access::Bare));
    put_entries(index, 0, 1000);
    index.close();
  }
  std::filesystem::path removed;
  for (const auto& file : std::filesystem::directory_iterator(temporary.path() / "i")) {
    const std::string name = file.path().filename().string();
    if (name.starts_with("main-") || name.starts_with("delta-")) removed = file.path();
  }
  REQUIRE(std::filesystem::remove(removed));
  CHECK(error_of([&] { static_cast<void>(estimate_memory(temporary.path() / "i")); }) ==
        ErrorCode::Corruption);
}

TEST_CASE("all that an index holds stays within its memory limit", "[lib][memory]") {
  const Access access = GENERATE(Access::Bare, Access::Concurrent);
  const TemporaryDirectory temporary;
  Options options = options_of(access);
  options.memory_budget = 64 * kMiB;
  options.memory_limit = 32 * kMiB;
  options.tuning.hot_path_size = 1 * kMiB;
  options.tuning.maintenance_threads = 1;
  const Meter meter;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
  std::int64_t most = 0;
  std::uint64_t most_reported = 0, most_held = 0;
  for (std::uint64_t i = 0; i < 400'000; i += 1000) {
    put_entries(index, i, i + 1000);
    most = std::max(most, meter.size());
    const MemoryStatistics now = index.statistics().memory;
    most_reported = std::max(most_reported, now.total_size());
    most_held = std::max(most_held, now.held_by_readers_size);
  }
  if (access == Access::Bare) CHECK(most_held == 0);
  // What a thread holds that lost its processor within a view cannot be given back meanwhile.
  const std::uint64_t limit = options.memory_limit + most_held;
  CHECK(most_reported <= limit);
  CHECK(most <= static_cast<std::int64_t>(limit));
  CHECK(most_reported > options.memory_limit / 2);  // It is used, too.
  const Statistics figures = index.statistics();
  CHECK(figures.memory_limit == options.memory_limit);
  // Without what the runs have, and what a job may want to write with.
  CHECK(figures.memory_budget + figures.table_memory_size + 8 * kMiB < options.memory_limit);
}

TEST_CASE("a limit below what the data needs leaves deltas the least", "[lib][memory]") {
  const Access access = GENERATE(Access::Bare, Access::Concurrent);
  const TemporaryDirectory temporary;
  Options options = options_of(access);
  options.memory_limit = 1;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "i", options);
  put_entries(index, 0, 20'000);
  settle(index);
  const Statistics figures = index.statistics();
  CHECK(figures.memory_budget == 256 * kKiB);
  CHECK(figures.memory_size <= 256 * kKiB);
  CHECK(figures.flush_count > 5);
}

}  // namespace varve::test
