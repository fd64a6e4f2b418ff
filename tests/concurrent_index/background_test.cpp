// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "directory/thread_priority.hpp"
#include "lib/hooks.hpp"
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

using internal::SegmentIndexAccess;

Options background_options() {
  Options options = tiny_options();
  options.access = Access::Concurrent;
  options.tuning.maintenance_threads = 1;
  return options;
}

// Calls something in each thread that reaches a hook.
class AtHook final : private internal::HookListener {
 public:
  AtHook(std::string hook, std::function<void()> work)
      : hook_(std::move(hook)), work_(std::move(work)) {
    internal::hooks::listen(this);
  }
  AtHook(const AtHook&) = delete;
  AtHook& operator=(const AtHook&) = delete;
  ~AtHook() override { internal::hooks::listen(nullptr); }

 private:
  void reached(std::string_view hook) noexcept override {
    if (hook != hook_) return;
    const std::lock_guard lock(mutex_);
    work_();
  }
  const std::string hook_;
  const std::function<void()> work_;
  std::mutex mutex_;
};

std::string key_of(std::size_t i) {
  return std::to_string(i * 7919 % 1'000'003);
}

// Puts until `done`, in short waits: memory may be full.
void put_until(SegmentIndex& index, std::size_t& written, const std::function<bool()>& done) {
  WriteOptions in_time;
  in_time.deadline = std::chrono::milliseconds(20);
  for (int refused_count = 0; !done();) {
    try {
      index.put(key_of(written), std::string(500, 'v'), in_time);
      ++written;
    } catch (const Error& error) {
      REQUIRE(error.code() == ErrorCode::Busy);
      REQUIRE(++refused_count < 2'000);
    }
  }
}

TEST_CASE("maintenance threads are nicer than who opened the index", "[concurrent][jobs]") {
  const std::uint32_t by = GENERATE(0U, 3U, 19U);
  const int own = directory::thread_nice();
  Options options = background_options();
  options.tuning.maintenance_nice = by;
  const int expected = std::min(own + static_cast<int>(by), 19);
  std::atomic<bool> seen = false;
  {
    const AtHook at_hook("job.writing", [&] {
      if (directory::thread_nice() == expected) seen = true;
    });
    auto index = SegmentIndexAccess::open(directory::make_memory_directory(), options);
    std::size_t written = 0;
    put_until(index, written, [&] { return seen.load(); });
    index.close();
  }
  CHECK(directory::thread_nice() == own);
}

TEST_CASE("when memory is full a thread that is not nice helps", "[concurrent][jobs]") {
  const auto directory = directory::make_memory_directory();
  const Options options = background_options();
  std::size_t written = 0;
  {
    auto index = SegmentIndexAccess::open(directory, options);
    put_until(index, written, [&] { return index.statistics().segments.size() >= 6; });
    index.close();  // With nothing in the log, whose length would be a reason to flush everything.
  }
  {
    SegmentIndex index;  // Ends after the script, which holds threads that this waits for.
    Interleave script;
    auto& maintenance = script.stop("job.writing");
    auto& relief = script.stop("job.writing");
    index = SegmentIndexAccess::open(directory, options);
    // Enough for a maintenance thread, and too little for the one that helps, which could come
    // first.
    put_until(index, written,
              [&] { return index.statistics().memory_size * 10 >= options.memory_budget * 6; });
    maintenance.await();
    put_until(index, written, [&] { return relief.reached(); });
    relief.release();
    maintenance.release();
    index.close();
  }
  auto index = SegmentIndexAccess::open(directory, options);
  std::size_t missing = 0;
  for (std::size_t i = 0; i < written; ++i) missing += index.contains(key_of(i)) ? 0 : 1;
  CHECK(missing == 0);
}

directory::Fault refused_creation(std::string name_part) {
  directory::Fault fault;
  fault.operation = directory::Operation::Create;
  fault.error_number = EIO;
  fault.name_part = std::move(name_part);
  return fault;
}

// One segment with a main run, which a flush of the whole memory does not merge again.
void make_one_main_run(const std::shared_ptr<directory::Directory>& directory, Options options) {
  options.tuning.inline_maintenance = false;
  auto index = SegmentIndexAccess::open(directory, options);
  for (std::size_t i = 0; i < 1'000; ++i) index.put(key_of(i), std::string(500, 'm'));
  index.compact();
  REQUIRE(index.statistics().segments.size() == 1);
  index.close();
}

// Between the failure's notice and the notice of it to writers, the other thread ends a look at
// which the segment was still the failing job's. Were the failure forgotten then, nobody would try
// again, and a writer that was waiting already would wait on.
TEST_CASE("a job that fails during another thread's idle look is not forgotten when that ends",
          "[concurrent][jobs]") {
  const QuickRetries quick;
  const auto medium = std::make_shared<directory::SimulatedFileSystem>();
  const auto directory = directory::make_posix_directory(medium);
  Options options = background_options();
  options.memory_budget = 1 << 20;
  options.tuning.segment_size = 8 << 20;
  options.tuning.compaction_ratio = 4;
  options.tuning.maintenance_threads = 2;
  options.tuning.maintenance_nice = 0;  // No third thread.
  make_one_main_run(directory, options);
  auto index = SegmentIndexAccess::open(directory, options);
  std::atomic<bool> enough = false;
  std::atomic<std::size_t> written = 1'000;
  Interleave script;
  auto& writing = script.stop("job.writing");
  auto& looked = script.stop("job.ending");
  script.begin("writer", [&] {
    WriteOptions in_time;
    in_time.deadline = std::chrono::minutes(2);
    for (; !enough && written < 20'000; ++written)
      index.put(key_of(written), std::string(500, 'v'), in_time);
  });
  writing.await();
  looked.await();
  REQUIRE(becomes([&] { return index.statistics().stalled_write_count > 0; }));
  const std::size_t id = medium->add_fault(refused_creation("delta-"));
  auto& failed = script.stop("job.ended");
  writing.release();
  failed.await();
  CHECK(medium->fired(id) == 1);
  CHECK_FALSE(index.health());
  const std::uint64_t ended_count = script.reached_count("job.ended");
  looked.release();
  REQUIRE(becomes([&] { return script.reached_count("job.ended") > ended_count; }));
  enough = true;
  failed.release();
  // Told of the failure, or let in after the next attempt: either way not left to wait.
  const auto told = error_of([&] { script.join("writer"); });
  CHECK((!told || told == ErrorCode::Io));
  CHECK(becomes([&] { return index.health() && index.statistics().flush_count > 0; }));
  std::size_t missing = 0;
  for (std::size_t i = 0; i < written; ++i) missing += index.contains(key_of(i)) ? 0 : 1;
  CHECK(missing == 0);
}

// What a reader holds is no reason to stop writers: no flush would give it back. That is known from
// a look after each job; none comes to its end here once the reader has let go.
TEST_CASE("memory that a reader has let go of is not taken for held", "[concurrent][jobs]") {
  Options options = background_options();
  options.memory_budget = 2 << 20;
  options.tuning.segment_size = 8 << 20;
  options.tuning.compaction_ratio = 4;
  options.tuning.maintenance_nice = 0;
  SegmentIndex index;
  Interleave script;
  auto& measured = script.stop("job.ended");
  index = SegmentIndexAccess::open(directory::make_memory_directory(), options);
  measured.await();  // What was due from the time before: nothing.
  measured.release();
  std::size_t written = 0;
  put_until(index, written, [&] { return written == 500; });
  {
    auto scan = index.scan();
    REQUIRE(scan.next());
    auto& flushed = script.stop("job.ended");
    put_until(index, written, [&] { return flushed.reached(); });
    CHECK(index.statistics().flush_count == 1);
    CHECK(index.statistics().memory_size > options.memory_budget / 4);
    auto& looked = script.stop("job.ended");  // By itself, and once more since there was a job.
    auto& looked_again = script.stop("job.ended");
    flushed.release();
    looked.await();
    looked.release();
    looked_again.await();
    looked_again.release();
  }
  auto& writing = script.stop("job.writing");
  const auto refused = [&] {
    WriteOptions in_time;
    in_time.deadline = std::chrono::milliseconds(100);
    return error_of([&] { index.put(key_of(written++), std::string(500, 'v'), in_time); });
  };
  const auto busy = [&] { return refused() == ErrorCode::Busy; };
  for (int i = 0; i < 20'000 && !busy(); ++i) {
  }
  CHECK(writing.reached());
  CHECK(index.statistics().memory_size < options.memory_budget * 21 / 20);
  writing.release();
}

// By hand, so that the jobs are this thread's.
class Verifying {
 public:
  Verifying() {
    Options options = background_options();
    options.tuning.inline_maintenance = false;
    index_ = SegmentIndexAccess::open(directory::make_posix_directory(medium_), options);
    for (int i = 0; i < 200; ++i) index_.put(std::to_string(i), std::string(100, 'v'));
    index_.compact();
    index_.put("1", "new");
  }
  void read() const {
    for (int i = 0; i < 20'000; ++i) CHECK(index_.contains("2"));
  }
  [[nodiscard]] SegmentIndex& index() { return index_; }
  [[nodiscard]] directory::SimulatedFileSystem& medium() { return *medium_; }

 private:
  std::shared_ptr<directory::SimulatedFileSystem> medium_ =
      std::make_shared<directory::SimulatedFileSystem>();
  SegmentIndex index_;
};

TEST_CASE("what takes the place of a segment that is read is verified before it is shown",
          "[concurrent][jobs]") {
  const auto job = GENERATE(std::string("flush"), std::string("merge"));
  CAPTURE(job);
  const auto run = [&](SegmentIndex& index) { job == "flush" ? index.flush() : index.compact(); };
  Verifying unread;
  Interleave script;
  run(unread.index());
  CHECK(script.reached_count("job.verifying") == 0);
  Verifying verifying;
  verifying.read();
  run(verifying.index());
  CHECK(script.reached_count("job.verifying") == 1);
}

TEST_CASE("a job whose output is damaged fails, and its inputs stay", "[concurrent][jobs]") {
  Verifying verifying;
  SegmentIndex& index = verifying.index();
  verifying.read();
  {
    const AtHook at_hook("job.verifying", [&] {
      // The newest run is what the job has just written.
      std::string newest;
      for (const directory::FileInfo& file : verifying.medium().list()) {
        if (file.name.starts_with("main-")) newest = std::max(newest, file.name);
      }
      const auto file = verifying.medium().open(newest, true);
      char byte = 0;
      REQUIRE(file->read(100, {&byte, 1}) == 1);
      byte = static_cast<char>(byte ^ 0x10);
      file->write(100, {&byte, 1});
    });
    CHECK(error_of([&] { index.compact(); }) == ErrorCode::Corruption);
  }
  CHECK(index.get("1") == "new");
  CHECK(index.get("2") == std::string(100, 'v'));
  index.compact();
  CHECK(index.get("1") == "new");
  CHECK(index.statistics().runs.delta_run_count == 0);
}

}  // namespace
}  // namespace varve::test
