// SPDX-License-Identifier: Apache-2.0
// Segments that one job has while it writes are no other job's.
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/interleave.hpp"
#include "tests/support/model.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/error.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using internal::SegmentIndexAccess;

constexpr std::size_t kLargeSize = 8 << 20;

// An index with two maintenance threads, each of whose segments is concerned by the one job that
// is due first.
struct OneJob {
  explicit OneJob(const std::string& job) {
    options.access = Access::Concurrent;
    options.tuning.maintenance_threads = 2;
    options.tuning.maintenance_nice = 0;  // No third thread.
    options.tuning.tier_fanout = 2;
    if (job != "neighbours") options.tuning.segment_size = kLargeSize;
    options.tuning.inline_maintenance = false;
    open();
    for (int i = 0; i < 650; ++i) put(std::string(100, 'm'));
    index.compact();
    if (job == "merge") make_delta_runs();
    if (job == "neighbours") make_neighbours();
    index.close();
    options.tuning.inline_maintenance = true;
  }
  void open() { index = SegmentIndexAccess::open(directory, options); }
  void put(const std::string& value, const WriteOptions& how = {}) {
    const std::string key = std::to_string(1'000 + next * 7919 % 1'000);
    index.put(key, value, how);
    model.put(key, value);
    ++next;
  }
  // Puts until `done`, which needs a look by a thread of the index: memory is full then.
  void put_until(const std::function<bool()>& done) {
    WriteOptions in_time;
    in_time.deadline = std::chrono::milliseconds(20);
    for (int refused_count = 0; !done();) {
      try {
        put(std::string(100, 'v'), in_time);
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::Busy);
        REQUIRE(++refused_count < 2'000);
      }
    }
  }
  void make_delta_runs() {
    for (int i = 0; i < 2; ++i) {
      put("in a delta run");
      index.flush();
    }
    REQUIRE(index.statistics().runs.delta_run_count == 2);
  }
  // Two segments that count as small, and as large as they were made.
  void make_neighbours() {
    index.close();
    options.tuning.segment_size = kLargeSize;
    open();
    while (index.statistics().segments.size() > 2) REQUIRE(index.maintain());
    REQUIRE(index.statistics().segments.size() == 2);
  }

  const std::shared_ptr<directory::SimulatedFileSystem> medium =
      std::make_shared<directory::SimulatedFileSystem>();
  const std::shared_ptr<directory::Directory> directory = directory::make_posix_directory(medium);
  Options options = tiny_options();
  SegmentIndex index;
  Model model;
  int next = 0;
};

}  // namespace

TEST_CASE("segments that a job has are left alone by all others", "[concurrent][jobs]") {
  const auto job = GENERATE(as<std::string>(), "flush", "merge", "neighbours");
  CAPTURE(job);
  OneJob on(job);
  Interleave script;
  auto& writing = script.stop("job.writing");
  on.open();
  // What is due already is begun without a write. With writes a flush of one of the two neighbours
  // could come first.
  if (job == "flush") on.put_until([&] { return writing.reached(); });
  writing.await();
  // The second, because the other thread may be in a look that began before.
  auto& looked = script.stop("job.ending", {}, 2);
  on.put_until([&] { return looked.reached() || script.reached_count("job.writing") > 1; });
  CHECK(script.reached_count("job.writing") == 1);
  looked.release();
  writing.release();
  on.index.flush();
  CHECK(difference(scan_all(on.index), on.model.scan()) == "");
  on.index.close();
  on.open();
  CHECK(difference(scan_all(on.index), on.model.scan()) == "");
}

TEST_CASE("a job gives its segments back, also when it fails", "[concurrent][jobs]") {
  const bool fails = GENERATE(false, true);
  CAPTURE(fails);
  OneJob on("flush");
  on.options.tuning.inline_maintenance = false;
  on.open();
  const auto fill = [&] {
    while (on.index.statistics().memory_size < on.options.memory_budget / 2) {
      on.put(std::string(100, 'v'));
    }
  };
  fill();
  if (fails) {
    on.medium->add_fault(
        {.operation = directory::Operation::Create, .sticky = true, .error_number = EIO});
    CHECK(error_of([&] { static_cast<void>(on.index.maintain()); }) == ErrorCode::Io);
    on.medium->clear_faults();
  } else {
    CHECK(on.index.maintain());
    fill();
  }
  CHECK(on.index.maintain());
  CHECK(on.index.statistics().memory_size < on.options.memory_budget / 2);
}

}  // namespace varve::test
