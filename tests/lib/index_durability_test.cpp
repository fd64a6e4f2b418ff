// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/checker.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/directory/child_process.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/model.hpp"
#include "tests/support/quick_retries.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/check.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using directory::SimulatedFileSystem;
using internal::SegmentIndexAccess;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;

std::size_t log_count(const SimulatedFileSystem& disk) {
  const auto files = disk.list();
  return static_cast<std::size_t>(std::count_if(
      files.begin(), files.end(), [](const auto& file) { return file.name.starts_with("log-"); }));
}

}  // namespace

TEST_CASE("a write survives the death of its process as its durability says",
          "[lib][lifecycle][durability]") {
  TemporaryDirectory temporary;
  const std::filesystem::path path = temporary.path() / "index";
  const auto durability = GENERATE(Durability::Buffered, Durability::Process, Durability::Synced);
  CAPTURE(to_string(durability));
  const auto die_after_writing = [&] {
    Options options = tiny_options();
    options.durability = durability;
    SegmentIndex index = SegmentIndex::open(path, options);
    for (int i = 0; i < 100; ++i) index.put(std::to_string(i), "v");
    index.flush();
    for (int i = 100; i < 120; ++i) index.put(std::to_string(i), "v");
    ::_exit(0);
    return 1;
  };
  REQUIRE(in_child(die_after_writing) == 0);
  CHECK(lock_status(path).left_open);
  SegmentIndex index = SegmentIndex::open(path, tiny_options());
  CHECK(index.statistics().recovered_after_crash);
  CHECK(scan_all(index).size() == (durability == Durability::Buffered ? 100 : 120));
  index.close();
  CHECK_FALSE(SegmentIndex::open(path, tiny_options()).statistics().recovered_after_crash);
}

TEST_CASE("buffered writes are lost in reverse order only, whatever flushed some of them",
          "[lib][lifecycle][durability]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  Options options = tiny_options();
  options.durability = Durability::Buffered;
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  // Scattered keys, so that a flush of some segments only would leave holes.
  const auto key_of = [](int i) { return std::to_string(i * 7919 % 10007); };
  for (int i = 0; i < 5000; ++i) {
    index.put(key_of(i), std::string(100, 'v'));
    if (i % 457 != 0) continue;
    if (i % 2 == 0) index.compact({.from = "3", .to = "5"});
    CAPTURE(i);
    const SegmentIndex recovered =
        SegmentIndexAccess::open(directory::make_posix_directory(disk->after_kill()), options);
    const std::size_t count = scan_all(recovered).size();
    for (int k = 0; k <= i; ++k) {
      if (recovered.contains(key_of(k)) != (static_cast<std::size_t>(k) < count)) {
        FAIL("write " << k << " of " << count);
      }
    }
  }
  index.sync();
  const SegmentIndex recovered =
      SegmentIndexAccess::open(directory::make_posix_directory(disk->after_kill()), options);
  CHECK(scan_all(recovered).size() == 5000);
}

TEST_CASE("synced writes and sync() survive power loss", "[lib][lifecycle][durability]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  SegmentIndex index =
      SegmentIndexAccess::open(directory::make_posix_directory(disk), tiny_options());
  const auto after_power_loss = [&] {
    return scan_all(SegmentIndexAccess::open(
                        directory::make_posix_directory(disk->after_reboot({})), tiny_options()))
        .size();
  };
  index.put("synced", "v", {.durability = Durability::Synced, .deadline = {}});
  index.put("lost", "v");
  CHECK(after_power_loss() == 1);
  index.sync();
  CHECK(after_power_loss() == 2);
  index.put("buffered", "v", {.durability = Durability::Buffered, .deadline = {}});
  CHECK(after_power_loss() == 2);
  index.sync();
  CHECK(after_power_loss() == 3);
}

TEST_CASE("what a dead process wrote is synced with the first sync of the next one",
          "[lib][lifecycle][durability]") {
  auto disk = std::make_shared<SimulatedFileSystem>();
  const auto open = [&](const std::shared_ptr<SimulatedFileSystem>& on) {
    return SegmentIndexAccess::open(directory::make_posix_directory(on), tiny_options());
  };
  const bool by_write = GENERATE(true, false);
  {
    SegmentIndex index = open(disk);
    for (int i = 0; i < 10; ++i) index.put("old " + std::to_string(i), "v");
    disk = disk->after_kill();
  }
  SegmentIndex index = open(disk);
  CHECK(index.statistics().recovered_operation_count == 10);
  const std::uint64_t unsynced_size = index.statistics().log.unsynced_size;
  CHECK(unsynced_size > 10 * 5);
  CHECK(scan_all(open(disk->after_reboot({}))).empty());  // As before the process died.
  index.put("new", "v");
  CHECK(index.statistics().log.unsynced_size > unsynced_size);
  CHECK(index.statistics().log_bytes_written < unsynced_size);
  if (by_write) {
    index.put("synced", "v", {.durability = Durability::Synced, .deadline = {}});
  } else {
    index.sync();
  }
  CHECK(index.statistics().log.unsynced_size == 0);
  CHECK(scan_all(open(disk->after_reboot({}))).size() == (by_write ? 12 : 11));
}

TEST_CASE("processes that die one after the other go on in one log",
          "[lib][lifecycle][durability]") {
  auto disk = std::make_shared<SimulatedFileSystem>();
  for (int process = 0; process < 5; ++process) {
    SegmentIndex index =
        SegmentIndexAccess::open(directory::make_posix_directory(disk), tiny_options());
    CHECK(scan_all(index).size() == static_cast<std::size_t>(3 * process));
    for (int i = 0; i < 3; ++i) index.put(std::to_string(process) + std::to_string(i), "v");
    CHECK(log_count(*disk) == 1);
    disk = disk->after_kill();
  }
  const auto next = disk->after_reboot({.data = directory::RebootPolicy::Data::Kept});
  SegmentIndex index =
      SegmentIndexAccess::open(directory::make_posix_directory(next), tiny_options());
  index.put("another", "v");  // Another run of the machine has a log of its own.
  CHECK(log_count(*next) == 2);
  CHECK(scan_all(index).size() == 16);
}

TEST_CASE("a record that its process died in is written over", "[lib][lifecycle][durability]") {
  auto disk = std::make_shared<SimulatedFileSystem>();
  const auto open = [&](const std::shared_ptr<SimulatedFileSystem>& on) {
    return SegmentIndexAccess::open(directory::make_posix_directory(on), tiny_options());
  };
  {
    SegmentIndex index = open(disk);
    index.put("whole", "v");
    index.put("half", std::string(500, 'h'));
    disk = disk->after_kill();
  }
  std::string bytes = disk->peek("log-1.varve").value();
  const std::size_t at = bytes.find("half");
  REQUIRE(at != std::string::npos);
  bytes.replace(at + 100, 500, std::string(500, '\0'));
  disk->plant("log-1.varve", bytes);
  const std::size_t size = GENERATE(std::size_t{0}, std::size_t{500}, std::size_t{900});
  SegmentIndex index = open(disk);
  CHECK(scan_all(index).size() == 1);
  index.put("next", std::string(size, 'n'));
  const SegmentIndex after = open(disk->after_kill());
  CHECK(scan_all(after) == Entries{{"next", std::string(size, 'n')}, {"whole", "v"}});
  CHECK(log_count(*disk) == 1);
  const auto dead = directory::make_posix_directory(disk->after_kill());
  CHECK(internal::check_directory(*dead, {.deep = true}).sound());
}

// It has the right tag, checksum and sequence to follow a record of the length of the lost one.
TEST_CASE("a record behind one that power loss took does not come back",
          "[lib][lifecycle][durability]") {
  auto disk = std::make_shared<SimulatedFileSystem>();
  const auto open = [&](const std::shared_ptr<SimulatedFileSystem>& on) {
    return SegmentIndexAccess::open(directory::make_posix_directory(on), tiny_options());
  };
  {
    SegmentIndex index = open(disk);
    for (const char* key : {"1 kept", "2 lost", "3 late"}) index.put(key, "value");
    disk = disk->after_reboot({.data = directory::RebootPolicy::Data::Kept});
  }
  std::string bytes = disk->peek("log-1.varve").value();
  const std::size_t at = bytes.find("2 lost");
  REQUIRE(at != std::string::npos);
  bytes.replace(at, 6, 6, '\0');
  disk->plant("log-1.varve", bytes);
  SegmentIndex index = open(disk);
  CHECK(scan_all(index) == Entries{{"1 kept", "value"}});
  index.put("4 next", "value");
  CHECK(scan_all(open(disk->after_kill())) == Entries{{"1 kept", "value"}, {"4 next", "value"}});
}

TEST_CASE("the log's next file is made ahead, and is nothing to a crash before it is needed",
          "[lib][lifecycle][durability]") {
  auto disk = std::make_shared<SimulatedFileSystem>();
  Options options = tiny_options();
  options.access = Access::Concurrent;
  options.sync_interval = 1ms;
  options.memory_budget = 1 << 20;  // Nothing is flushed.
  options.tuning.log_file_size = 64 << 10;
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  Options other = options;
  other.access = Access::Synchronized;  // Which makes none.
  const auto open = [&](const std::shared_ptr<SimulatedFileSystem>& on) {
    return SegmentIndexAccess::open(directory::make_posix_directory(on), other);
  };
  std::size_t count = 0;
  const auto put = [&] { index.put("key " + std::to_string(count++), std::string(1000, 'v')); };
  while (count < 50) put();
  // Where it is not made in time, a write makes it: so nothing here depends on time.
  REQUIRE(becomes([&] { return log_count(*disk) == 2; }));
  for (const auto& policy : directory::reboot_policies(8)) {
    const auto after = disk->after_reboot(policy);
    CHECK(scan_all(open(after)).size() <= count);
  }
  const auto dead = disk->after_kill();
  const SegmentIndex next = open(dead);
  CHECK(scan_all(next).size() == count);
  CHECK(log_count(*dead) == 1);  // It was a stray.

  while (count < 70) put();
  index.sync();
  CHECK(scan_all(open(disk->after_kill())).size() == count);
  for (const auto& policy : directory::reboot_policies(8)) {
    CHECK(scan_all(open(disk->after_reboot(policy))).size() == count);
  }
  index.close();
  CHECK(log_count(*disk) == 0);
}

TEST_CASE("compact() to the end leaves no log until the next write",
          "[lib][lifecycle][durability]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  const auto disk = std::make_shared<SimulatedFileSystem>();
  Options options = tiny_options();
  options.access = access;
  options.tuning.log_file_size = 64 << 10;
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  Model model;
  for (int i = 0; i < 500; ++i) {
    const std::string key = std::to_string(i * 7919 % 503);
    index.put(key, std::string(1000, 'v'));
    model.put(key, std::string(1000, 'v'));
  }
  index.flush();
  CHECK(log_count(*disk) > 1);
  index.compact({.from = {}, .to = "5"});
  CHECK(log_count(*disk) > 1);  // Not all of it.
  const auto check = [&](const std::shared_ptr<SimulatedFileSystem>& after) {
    const SegmentIndex opened =
        SegmentIndexAccess::open(directory::make_posix_directory(after), options);
    CHECK(difference(scan_all(opened), model.scan()) == "");
  };
  for (int i = 0; i < 3; ++i) {
    index.compact();
    CHECK(log_count(*disk) == 0);
    index.sync();  // Of no log.
    CHECK(index.statistics().log.live_size == 0);
    check(disk->after_kill());
    for (const auto& policy : directory::reboot_policies(4)) check(disk->after_reboot(policy));
    index.put("more", std::to_string(i));
    model.put("more", std::to_string(i));
    CHECK(log_count(*disk) == 1);
    CHECK(difference(scan_all(index), model.scan()) == "");
    check(disk->after_kill());
  }
  index.sync();
  for (const auto& policy : directory::reboot_policies(4)) check(disk->after_reboot(policy));
}

TEST_CASE("compact() keeps the log of what was written beside it", "[lib][lifecycle][durability]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  Options options = tiny_options();
  options.access = GENERATE(Access::Bare, Access::Concurrent);
  options.memory_budget = 4 << 20;
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  for (int i = 0; i < 500; ++i) {
    index.put(std::to_string(i * 7919 % 503), std::string(1000, 'v'));
  }
  index.flush();
  REQUIRE(index.statistics().runs.segment_count > 2);
  int late = 0;
  CompactOptions compaction;
  // Into the first segment, which is done; not behind the last one, when the log has been seen to.
  compaction.progress = [&](const MaintenanceProgress& now) {
    if (now.segments_done < now.segments_total) index.put("0 late", std::to_string(++late));
  };
  index.compact(compaction);
  REQUIRE(late > 1);
  CHECK(index.get("0 late") == std::to_string(late));
  const SegmentIndex after =
      SegmentIndexAccess::open(directory::make_posix_directory(disk->after_kill()), options);
  CHECK(after.get("0 late") == std::to_string(late));
}

// Runs of more than one write chunk, while writers wait for memory: then a job has a thread write
// behind it.
TEST_CASE("a load in order that is faster than its flushes is all there",
          "[lib][lifecycle][durability]") {
  const TemporaryDirectory temporary;
  Options options;
  options.memory_budget = 8 << 20;
  options.tuning.segment_size = 16 << 20;
  constexpr int kBatchCount = 300, kBatchSize = 200;
  const auto key = [](int number) { return "key" + std::to_string(1'000'000 + number); };
  {
    SegmentIndex index = SegmentIndex::open(temporary.path() / "index", options);
    for (int i = 0; i < kBatchCount; ++i) {
      WriteBatch batch;
      for (int k = 0; k < kBatchSize; ++k) {
        const int number = i * kBatchSize + k;
        batch.put(key(number), std::string(400, static_cast<char>('a' + number % 26)));
      }
      index.write(batch);
    }
    index.close();
  }
  CHECK(check(temporary.path() / "index", {.deep = true}).sound());
  SegmentIndex index = SegmentIndex::open(temporary.path() / "index", options);
  int count = 0;
  bool right = true;
  for (const auto& [found, value] : scan_all(index)) {
    right = right && found == key(count) &&
            value == std::string(400, static_cast<char>('a' + count % 26));
    ++count;
  }
  CHECK(right);
  CHECK(count == kBatchCount * kBatchSize);
}

TEST_CASE("a sync interval syncs by the first write behind it", "[lib][lifecycle][durability]") {
  Options options = tiny_options();
  options.sync_interval = 1ms;
  SegmentIndex index = SegmentIndex::open_in_memory(options);
  const std::uint64_t before = index.statistics().log_sync_count;
  const auto start = std::chrono::steady_clock::now();
  while (index.statistics().log_sync_count == before &&
         std::chrono::steady_clock::now() - start < std::chrono::minutes(1)) {
    index.put("k", "v");
  }
  CHECK(index.statistics().log_sync_count > before);
  SegmentIndex never = SegmentIndex::open_in_memory(tiny_options());
  never.put("k", "v");
  CHECK(never.statistics().log_sync_count == 0);
}

TEST_CASE("damage in the middle of a log is refused, not taken for its end",
          "[lib][lifecycle][durability]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  SegmentIndex index =
      SegmentIndexAccess::open(directory::make_posix_directory(disk), tiny_options());
  for (int i = 0; i < 10; ++i) index.put("key " + std::to_string(i), "value");
  const auto dead = disk->after_kill();
  std::string name;
  for (const directory::FileInfo& file : dead->list()) {
    if (file.name.starts_with("log-")) name = file.name;
  }
  std::string bytes = dead->peek(name).value();
  const std::size_t at = bytes.find("key 3");
  REQUIRE(at != std::string::npos);
  bytes[at] ^= 1;
  dead->plant(name, bytes);
  const Error error = thrown_by([&] {
    static_cast<void>(
        SegmentIndexAccess::open(directory::make_posix_directory(dead), tiny_options()));
  });
  CHECK(error.code() == ErrorCode::Corruption);
  CHECK_THAT(error.what(), Catch::Matchers::Contains(name));
  CHECK(dead->peek(name) == bytes);  // Whoever can mend it must find it as it was.
}

}  // namespace varve::test
