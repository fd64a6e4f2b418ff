// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/hooks.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/model.hpp"
#include "tests/support/quick_retries.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

// What the medium and the system refuse, but for space: space_test.cpp.
namespace varve::test {
namespace {

using directory::Fault;
using directory::Operation;
using directory::SimulatedFileSystem;
using internal::SegmentIndexAccess;

SegmentIndex open_on(const std::shared_ptr<SimulatedFileSystem>& disk, const Options& options) {
  return SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
}

Options buffered_options(Access access) {
  Options options = tiny_options();
  options.access = access;
  options.reads = Reads::Buffered;
  options.tuning.maintenance_threads = 2;
  return options;
}

std::string key_of(int number) {
  const std::string digits = std::to_string(number);
  return std::string(5 - digits.size(), '0') + digits;
}

// An index of several segments, with what it holds.
struct Store {
  explicit Store(const Options& chosen) : options(chosen), index(open_on(disk, options)) {
    put(0, 3000);
    index.compact();
  }
  void put(int from, int to, char with = 'v') {
    for (int i = from; i < to; ++i) {
      index.put(key_of(i), std::string(100, with));
      model.put(key_of(i), std::string(100, with));
    }
  }
  [[nodiscard]] std::string wrong() const { return difference(scan_all(index), model.scan()); }
  // The name of the main run that has the key.
  [[nodiscard]] std::string run_of(const std::string& key) {
    const std::size_t id = disk->add_fault({.operation = Operation::Read, .error_number = EIO});
    std::string found;
    try {
      static_cast<void>(index.get(key));
    } catch (const Error& error) {
      found = error.path().filename().string();
    }
    disk->clear_faults();
    CHECK(disk->fired(id) == 1);
    return found;
  }

  const std::shared_ptr<SimulatedFileSystem> disk = std::make_shared<SimulatedFileSystem>();
  const Options options;
  Model model;
  SegmentIndex index;
};

// How many keys can be read, and how many are an Io; anything else is a failure.
std::pair<int, int> read_all_keys(const Store& store) {
  int right = 0, refused = 0;
  for (const auto& [key, value] : store.model.entries()) {
    try {
      if (store.index.get(key) == value) ++right;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Io) ++refused;
    }
  }
  return {right, refused};
}

// A failure is latched: writes say so, reads go on, and so does the closing.
void check_read_only(SegmentIndex& index, int written) {
  CHECK(index.lifecycle() == Lifecycle::Failed);
  CHECK_FALSE(index.health());
  const Error later = thrown_by([&] { index.put("late", "v"); });
  CHECK(later.code() == ErrorCode::ReadOnly);
  CHECK(later.system() == std::errc::io_error);
  CHECK(std::string(later.what()).find("open it again") != std::string::npos);
  CHECK(error_of([&] { index.sync(); }) == ErrorCode::ReadOnly);
  CHECK(error_of([&] { index.flush(); }) == ErrorCode::ReadOnly);
  CHECK(error_of([&] { index.compact(); }) == ErrorCode::ReadOnly);
  CHECK(scan_all(index).size() >= static_cast<std::size_t>(written));
  CHECK(error_of([&] { index.close(); }) == ErrorCode::ReadOnly);
}

}  // namespace

TEST_CASE("a run that cannot be read costs its own keys only, and nothing for good",
          "[lib][refusals][reads]") {
  const QuickRetries quick;
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  CAPTURE(to_string(access));
  Store store(buffered_options(access));
  REQUIRE(store.index.statistics().segments.size() > 3);
  const std::string bad = store.run_of(key_of(1500));
  const std::size_t id = store.disk->add_fault(
      {.operation = Operation::Read, .name_part = bad, .sticky = true, .error_number = EIO});
  const Error error = thrown_by([&] { static_cast<void>(store.index.get(key_of(1500))); });
  CHECK(error.code() == ErrorCode::Io);
  CHECK(error.path().filename() == bad);
  CHECK(error.system() == std::errc::io_error);
  CHECK(std::string(error.what()).find("read byte ") != std::string::npos);
  const auto [right, refused] = read_all_keys(store);
  CHECK(refused > 0);
  CHECK(right + refused == 3000);
  CHECK(right > 2 * refused);
  // A scan shows what lies before, then the error; one that begins behind goes on.
  Cursor cursor = store.index.scan();
  Entries before;
  CHECK(error_of([&] { before = take_all(cursor); }) == ErrorCode::Io);
  Entries behind;
  std::string from = key_of(1500);
  for (int i = 1500; i < 3000 && behind.empty(); ++i) {
    from = key_of(i);
    static_cast<void>(error_of([&] { behind = scan_all(store.index, {.from = from}); }));
  }
  CHECK(difference(behind, store.model.scan({.from = from})) == "");
  CHECK(behind.size() > 500);
  // Writes go on everywhere, and maintenance too but for that segment.
  const Statistics at_first = store.index.statistics();
  for (int round = 0; round < 5; ++round) store.put(0, 3000, static_cast<char>('a' + round));
  CHECK(becomes([&] { return store.index.statistics().failed_job_count > 0; }));
  CHECK_FALSE(store.index.health());
  CHECK(store.index.lifecycle() == Lifecycle::Ready);
  CHECK(store.index.statistics().last_job_failure.find(bad) != std::string::npos);
  CHECK(store.index.statistics().compaction_count > at_first.compaction_count);
  CHECK(read_all_keys(store).first == 3000);  // They are newer than the run.
  CHECK(error_of([&] { store.index.compact(); }) == ErrorCode::Io);
  CHECK(store.disk->fired(id) < 20'000);  // Nobody tried for ever.
  store.disk->clear_faults();
  if (access == Access::Concurrent) {
    CHECK(becomes([&] { return store.index.health(); }));
  }
  store.index.compact();
  CHECK(store.index.health());
  CHECK(store.index.statistics().last_job_failure.empty());
  CHECK(store.wrong() == "");
  store.index.close();
  store.index = open_on(store.disk, store.options);
  CHECK(store.wrong() == "");
}

TEST_CASE("a read that is refused once or for good during an open leaves all as it was",
          "[lib][refusals][reads]") {
  const bool sticky = GENERATE(true, false);
  CAPTURE(sticky);
  Store store(buffered_options(Access::Bare));
  store.put(0, 100, 'n');
  store.index.flush();
  store.put(50, 150, 'm');
  const auto left = store.disk->after_kill();
  left->set_mappable(false);  // The log is read as well.
  constexpr auto kStray = "main-9999-9.varve";
  left->plant(kStray, "a stray");
  std::uint64_t nth = 0, untouched_count = 0;
  for (bool hit = true; hit; ++nth) {
    CAPTURE(nth);
    const auto disk = left->after_kill();
    const std::vector<directory::FileInfo> files = disk->list();
    const std::size_t id = disk->add_fault(
        {.operation = Operation::Read, .nth = nth, .sticky = sticky, .error_number = EIO});
    SegmentIndex index;
    const auto code = error_of([&] { index = open_on(disk, store.options); });
    hit = disk->fired(id) > 0;
    disk->clear_faults();
    CHECK(code == (hit ? std::optional(ErrorCode::Io) : std::nullopt));
    if (!hit) {
      CHECK(difference(scan_all(index), store.model.scan()) == "");
      break;
    }
    // Strays go once everything was read; before that, nothing does.
    if (disk->peek(kStray).has_value()) {
      ++untouched_count;
      for (const directory::FileInfo& file : files) CHECK(disk->peek(file.name).has_value());
    }
    CHECK(difference(scan_all(open_on(disk, store.options)), store.model.scan()) == "");
  }
  CHECK(untouched_count > 10);
  CHECK(nth > 10);
}

TEST_CASE("after a sync that failed nothing is acknowledged, and the next open finds a prefix",
          "[lib][refusals][syncs]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  const auto operation = GENERATE(Operation::Sync, Operation::SyncDirectory);
  CAPTURE(to_string(access), to_string(operation));
  Options options = tiny_options();
  options.access = access;
  std::uint64_t nth = 0;
  for (bool hit = true; hit; ++nth) {
    CAPTURE(nth);
    const auto disk = std::make_shared<SimulatedFileSystem>();
    SegmentIndex index = open_on(disk, options);
    // The pages count as clean afterwards: a later sync "succeeds", and the bytes are lost.
    const std::size_t id = disk->add_fault({.operation = operation,
                                            .nth = nth,
                                            .error_number = EIO,
                                            .drop_unsynced = operation == Operation::Sync});
    int synced = 0, written = 0;  // Up to these, exclusive.
    std::optional<Error> failure;
    const auto write_some = [&] {
      for (; written < 600; ++written) {
        index.put(key_of(written), std::string(200, 'v'));
        if (written % 100 != 99) continue;
        index.sync();
        synced = written + 1;
        index.compact();
      }
    };
    try {
      write_some();
      index.close();  // A thread of the index may have met the failure after the last write.
    } catch (const Error& error) {
      failure = error;
    }
    hit = disk->fired(id) > 0;
    REQUIRE(failure.has_value() == hit);
    if (!hit) break;
    CHECK((failure->code() == ErrorCode::Io || failure->code() == ErrorCode::ReadOnly));
    CHECK(failure->system() == std::errc::io_error);
    if (index.lifecycle() != Lifecycle::Closed) check_read_only(index, written);
    for (const auto& rebooted : {disk->after_reboot({}), disk->after_kill()}) {
      const Entries found = scan_all(open_on(rebooted, options));
      CHECK(found.size() >= static_cast<std::size_t>(synced));
      CHECK(found.size() <= static_cast<std::size_t>(written) + 1);
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i].first != key_of(static_cast<int>(i))) FAIL("a hole at " << i);
      }
    }
  }
  CHECK(nth > 10);
}

TEST_CASE("an open that finds no descriptor is an error or is tried again, and nothing is latched",
          "[lib][refusals][descriptors]") {
  const QuickRetries quick;
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  const auto operation = GENERATE(Operation::Create, Operation::Open, Operation::List);
  const int error_number = GENERATE(EMFILE, ENFILE);
  CAPTURE(to_string(access), to_string(operation), error_number);
  Store store(buffered_options(access));
  const std::size_t id =
      store.disk->add_fault({.operation = operation, .sticky = true, .error_number = error_number});
  int refused = 0;
  for (int i = 0; i < 6000; ++i) {
    const auto code = error_of([&] { store.put(i % 3000, i % 3000 + 1, 'n'); });
    CHECK((!code || code == ErrorCode::Io));
    if (code) ++refused;
    if (refused > 20) break;
  }
  const auto code = error_of([&] { store.index.flush(); });
  CHECK((operation == Operation::List || code == ErrorCode::Io || store.disk->fired(id) > 0));
  CHECK(store.index.lifecycle() == Lifecycle::Ready);
  CHECK(store.wrong() == "");
  store.disk->clear_faults();
  if (access == Access::Concurrent) {
    const bool healthy = becomes([&] { return store.index.health(); });
    CAPTURE(store.index.statistics().last_job_failure, store.index.statistics().failed_job_count);
    CHECK(healthy);
  }
  // A job that met the fault may end only now, and its failure be told to a writer without room.
  CHECK(becomes([&] { return !error_of([&] { store.put(0, 3000, 'm'); }); }));
  store.index.compact();
  CHECK(becomes([&] { return store.index.health(); }));
  CHECK(store.wrong() == "");
  store.index.close();
  CHECK(store.disk->list().size() < 30);  // None was left behind.
  store.index = open_on(store.disk, store.options);
  CHECK(store.wrong() == "");
}

TEST_CASE("with fewer threads than wanted an index works, with none it is not opened",
          "[lib][refusals][threads]") {
  struct Limit {
    explicit Limit(int count) { internal::hooks::threads_left = count; }
    Limit(const Limit&) = delete;
    Limit& operator=(const Limit&) = delete;
    ~Limit() { internal::hooks::threads_left = std::numeric_limits<int>::max(); }
  };
  Options options = tiny_options();
  options.access = Access::Concurrent;
  options.tuning.maintenance_threads = 4;
  for (const int count : {0, 1, 2, 3}) {
    CAPTURE(count);
    const Limit limit(count);
    const auto disk = std::make_shared<SimulatedFileSystem>();
    const bool enough = count >= 2;  // One for the log, one for maintenance.
    if (!enough) {
      const Error error = thrown_by([&] { static_cast<void>(open_on(disk, options)); });
      CHECK(error.code() == ErrorCode::Io);
      CHECK(error.system() == std::errc::resource_unavailable_try_again);
      CHECK(std::string(error.what()).find("Synchronized") != std::string::npos);
      // It let go of everything.
      Options other = options;
      other.access = Access::Synchronized;
      SegmentIndex index = open_on(disk, other);
      index.put("k", "v");
      continue;
    }
    SegmentIndex index = open_on(disk, options);
    Model model;
    for (int i = 0; i < 5000; ++i) {
      index.put(key_of(i), std::string(100, 'v'));
      model.put(key_of(i), std::string(100, 'v'));
    }
    CHECK(index.statistics().flush_count > 0);
    CHECK(difference(scan_all(index), model.scan()) == "");
    index.close();
  }
}

}  // namespace varve::test
