// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log.hpp"

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/lib/faulty_directory.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "varve/error.hpp"

namespace varve::internal {
namespace {

using directory::Directory;
using test::FaultyDirectory;
using test::thrown_by;
using Tail = LogScan::Tail;

constexpr std::size_t kFileSize = 8192;
const directory::LockClass kSyncClass("log sync", 70);
const std::string kUuid = "01234567-89ab-4def-8123-456789abcdef";

struct Read {
  LogScan scan;
  std::vector<Sequence> sequences;
  std::string operations;
};
Read read(const Directory& directory, std::uint64_t number, LogRecordEntry entry = {}) {
  Read result;
  const std::string bytes = directory.read_all(log_file_name(number), 1 << 30);
  result.scan = scan_log(bytes,
                         {.uuid = kUuid,
                          .number = number,
                          .sealed_end = entry.sealed_end,
                          .synced_end = entry.synced_end,
                          .boot_id = directory::machine_boot_id()},
                         log_file_name(number), [&](const LogRecordView& record) {
                           result.sequences.push_back(record.sequence);
                           result.operations += record.operations;
                         });
  return result;
}

// Number 4, with two records, as by a process that died.
void leave_log(Directory& directory) {
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(4, 1, 0);
  log.append_operation(1, OperationKind::Put, "k", "v");
  log.append_operation(2, OperationKind::Put, "k", "w");
}

TEST_CASE("what was appended is in the file at once", "[lib][write_log]") {
  const auto durability = GENERATE(Durability::Process, Durability::Synced);
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  CHECK_FALSE(log.fits(0));
  log.rotate(3, 10, 0);
  std::string batch;
  append_operation(batch, OperationKind::Put, "a", "1");
  append_operation(batch, OperationKind::Erase, "b", {});
  std::string expected = batch;
  log.append(10, batch, durability);
  const std::vector<Operation> operations = {{OperationKind::Put, "key", "value"},
                                             {OperationKind::Erase, "key", {}},
                                             {OperationKind::EraseRange, "", ""},
                                             {OperationKind::EraseRange, "f", "t"},
                                             {OperationKind::Put, "k", ""}};
  Sequence sequence = 20;
  for (const Operation& operation : operations) {
    log.append_operation(sequence++, operation.kind, operation.key, operation.value, durability);
    append_operation(expected, operation.kind, operation.key, operation.value);
  }
  const Read result = read(directory, 3);
  CHECK(result.sequences == std::vector<Sequence>{10, 20, 21, 22, 23, 24});
  CHECK(result.operations == expected);
  CHECK(result.scan.tail == Tail::Clean);
  CHECK(result.scan.header.first_sequence == 10);
  CHECK(result.scan.end == log.live_size());
  CHECK(result.scan.end == kLogHeaderSize + log.bytes_appended());
}

TEST_CASE("payload sizes are told before anything is written", "[lib][write_log]") {
  for (const std::size_t size : {0, 1, 127, 128, 16383, 16384}) {
    const std::string bytes(size, 'x');
    std::string encoded;
    append_operation(encoded, OperationKind::Put, bytes, bytes);
    CHECK(WriteLog::operation_payload_size(bytes, bytes) == encoded.size());
  }
}

TEST_CASE("a file is filled to its last byte and not beyond", "[lib][write_log]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 0);
  const std::size_t most = kFileSize - kLogHeaderSize - kLogRecordHeaderSize;
  CHECK(log.fits(most));
  CHECK_FALSE(log.fits(most + 1));
  CHECK_FALSE(log.fits(SIZE_MAX));
  CHECK_FALSE(log.fits(SIZE_MAX - kLogRecordHeaderSize - 1));
  const std::string value(most - 5, 'v');  // Kind, key size and key, two bytes of value size.
  REQUIRE(WriteLog::operation_payload_size("k", value) == most);
  log.append_operation(1, OperationKind::Put, "k", value);
  CHECK_FALSE(log.fits(0));
  CHECK(read(directory, 1).sequences == std::vector<Sequence>{1});

  log.rotate(2, 2, 100'000);  // Larger than a file usually is.
  CHECK(log.fits(100'000));
  log.append_operation(2, OperationKind::Put, "k", std::string(99'990, 'v'));
  CHECK(read(directory, 2).sequences == std::vector<Sequence>{2});
}

TEST_CASE("rotation makes a file durable before there is the next one, and seals it",
          "[lib][write_log]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 0);
  CHECK(log.live() == std::vector<LogRecordEntry>{{1, 0, kLogHeaderSize}});
  log.append_operation(1, OperationKind::Put, "k", "v");
  const std::uint64_t end = log.live_size();
  directory.faults.steps.clear();
  log.rotate(2, 2, 0);
  CHECK(directory.faults.steps ==
        std::vector<std::string>{"sync log-1.varve", "create log-2.varve", "sync log-2.varve"});
  CHECK(log.live() == std::vector<LogRecordEntry>{{1, end, end}, {2, 0, kLogHeaderSize}});
  CHECK(log.live_size() == end + kLogHeaderSize);
  CHECK(read(directory, 1, log.live()[0]).scan.tail == Tail::Clean);
}

TEST_CASE("sync flushes the device once for what is new, and not at all for nothing",
          "[lib][write_log]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.sync();  // Before there is any file.
  log.rotate(1, 1, 0);
  directory.faults.sync_count = 0;
  log.sync();
  CHECK(directory.faults.sync_count == 0);
  log.append_operation(1, OperationKind::Put, "k", "v");
  CHECK(log.live().back().synced_end == kLogHeaderSize);
  log.sync();
  log.sync();
  CHECK(directory.faults.sync_count == 1);
  CHECK(log.sync_count() == 1);
  CHECK(log.live().back().synced_end == log.live_size());
}

TEST_CASE("after a failed sync nothing is written or synced any more", "[lib][write_log][fault]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 0);
  log.append_operation(1, OperationKind::Put, "k", "v");
  const std::uint64_t synced_end = log.live().back().synced_end;
  directory.faults.fail_sync = true;
  CHECK(test::error_of([&] { log.sync(); }) == ErrorCode::Io);
  directory.faults.fail_sync = false;  // The kernel would say "done" now, and lie.
  directory.faults.sync_count = 0;
  CHECK(test::error_of([&] { log.sync(); }) == ErrorCode::Io);
  CHECK(test::error_of([&] { log.append_operation(2, OperationKind::Put, "k", "w"); }) ==
        ErrorCode::Io);
  CHECK(test::error_of([&] { log.append(2, ""); }) == ErrorCode::Io);
  CHECK(test::error_of([&] { log.rotate(2, 3, 0); }) == ErrorCode::Io);
  CHECK(directory.faults.sync_count == 0);
  CHECK(log.live().back().synced_end == synced_end);
  CHECK(read(directory, 1).sequences == std::vector<Sequence>{1});
}

TEST_CASE("a record that could not be published poisons the log", "[lib][write_log][fault]") {
  const auto durability = GENERATE(Durability::Process, Durability::Synced);
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 0);
  directory.faults.fail_publish = true;
  CHECK(test::error_of([&] {
          log.append_operation(1, OperationKind::Put, "k", "v", durability);
        }) == ErrorCode::Io);
  directory.faults.fail_publish = false;
  CHECK(test::error_of([&] { log.append_operation(2, OperationKind::Put, "k", "v"); }) ==
        ErrorCode::Io);
  CHECK(test::error_of([&] { log.sync(); }) == ErrorCode::Io);
}

TEST_CASE("a rotation without space changes nothing and may be tried again",
          "[lib][write_log][fault]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 0);
  log.append_operation(1, OperationKind::Put, "k", "v");
  directory.faults.fail_create = true;
  CHECK(test::error_of([&] { log.rotate(2, 2, 0); }) == ErrorCode::NoSpace);
  CHECK(log.live().size() == 1);
  CHECK(log.live().back().sealed_end == 0);
  log.append_operation(2, OperationKind::Put, "k", "w");
  directory.faults.fail_create = false;
  log.rotate(2, 3, 0);
  log.append_operation(3, OperationKind::Put, "k", "x");
  CHECK(read(directory, 1, log.live()[0]).sequences == std::vector<Sequence>{1, 2});
  CHECK(read(directory, 2).sequences == std::vector<Sequence>{3});
}

TEST_CASE("a new file whose header could not be synced is gone, and the log poisoned",
          "[lib][write_log][fault]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  directory.faults.fail_sync = true;
  CHECK(test::error_of([&] { log.rotate(1, 1, 0); }) == ErrorCode::Io);
  directory.faults.fail_sync = false;
  CHECK(directory.names().empty());
  CHECK(log.live().empty());
  CHECK(test::error_of([&] { log.rotate(2, 1, 0); }) == ErrorCode::Io);
}

TEST_CASE("files are released up to the checkpoint, but never the current one",
          "[lib][write_log]") {
  constexpr std::uint64_t kSpares = WriteLog::kSpareCountMax, kCount = kSpares + 3;
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  for (std::uint64_t number = 1; number <= kCount; ++number) {
    log.rotate(number, number * 10, 0);
    log.append_operation(number * 10, OperationKind::Put, "k", "v");
    log.append_operation(number * 10 + 1, OperationKind::Put, "k", "w");
  }
  log.release_through(20);  // Log 2 still has 21.
  CHECK(log.live().front().number == 2);
  CHECK(directory.names().size() == kCount);  // The manifest may still name it.
  log.release_through(1000);
  CHECK(log.live().size() == 1);
  CHECK(log.live().front().number == kCount);
  log.remove_released();
  CHECK(directory.names().size() == 1 + kSpares);
  const std::uint64_t last = kCount + kSpares + 1;
  for (std::uint64_t number = kCount + 1; number <= last; ++number) log.rotate(number, 1000, 0);
  CHECK(directory.faults.recycle_count == kSpares);
  CHECK(directory.faults.create_count == kCount + 1);
  CHECK(read(directory, kCount + 1, log.live()[1]).sequences.empty());
  log.append_operation(1000, OperationKind::Put, "k", "v");
  CHECK(read(directory, last).sequences == std::vector<Sequence>{1000});
}

TEST_CASE("a sealed file is durable, and the last one until there is another", "[lib][write_log]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.seal(0);  // There is none.
  CHECK(log.live().empty());
  log.rotate(1, 1, 0);
  log.append(1, std::string(100, 'b'));  // Of a batch whose last operation is 5.
  const std::uint64_t end = log.live_size();
  directory.faults.steps.clear();
  log.seal(5);
  log.seal(5);
  CHECK(directory.faults.steps == std::vector<std::string>{"sync log-1.varve"});
  CHECK(log.live() == std::vector<LogRecordEntry>{{1, end, end}});
  CHECK(log.live_size() == end);
  CHECK(log.bytes_unsynced() == 0);
  CHECK(log.mapped_size() == 0);
  CHECK_FALSE(log.fits(0));
  CHECK_FALSE(log.wants_next());
  log.sync();
  CHECK(log.live_after(4).size() == 1);
  CHECK(log.live_after(5).empty());

  SECTION("which may come before it is released") {
    log.rotate(2, 6, 0);
    log.append_operation(6, OperationKind::Put, "k", "v");
    CHECK(log.live().size() == 2);
    log.release_through(5);
    CHECK(log.live().size() == 1);
  }
  SECTION("or after") {
    log.release_through(5);
    log.remove_released();
    CHECK(log.live().empty());
    CHECK(log.live_size() == 0);
    log.rotate(2, 6, 0);
    CHECK(directory.faults.recycle_count == 1);
    log.append_operation(6, OperationKind::Put, "k", "v");
  }
  CHECK(read(directory, 2).sequences == std::vector<Sequence>{6});
}

TEST_CASE("a file whose sync fails is not sealed, and the log poisoned",
          "[lib][write_log][fault]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 0);
  log.append_operation(1, OperationKind::Put, "k", "v");
  directory.faults.fail_sync = true;
  CHECK(test::error_of([&] { log.seal(1); }) == ErrorCode::Io);
  directory.faults.fail_sync = false;
  CHECK(log.live().back().sealed_end == 0);
  CHECK(test::error_of([&] { log.seal(1); }) == ErrorCode::Io);
  CHECK(log.failed());
}

TEST_CASE("a recycled file shows nothing of what it held", "[lib][write_log][damage]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 0);
  for (Sequence sequence = 1; sequence <= 60; ++sequence) {
    log.append_operation(sequence, OperationKind::Put, "key", "value");
  }
  log.rotate(2, 61, 0);
  log.release_through(60);
  log.remove_released();
  log.rotate(3, 61, 0);
  CHECK(directory.faults.recycle_count == 1);
  CHECK(read(directory, 3).sequences.empty());
  CHECK(read(directory, 3).scan.tail == Tail::Clean);
  for (Sequence sequence = 61; sequence <= 70; ++sequence) {
    log.append_operation(sequence, OperationKind::Put, "key", "value");
    CHECK(read(directory, 3).sequences.back() == sequence);
    CHECK(read(directory, 3).scan.end + kLogHeaderSize == log.live_size());
  }
}

TEST_CASE("files made for a huge record, and spares at a close, are removed", "[lib][write_log]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 100'000);
  log.append_operation(1, OperationKind::Put, "k", std::string(90'000, 'v'));
  log.rotate(2, 2, 0);
  log.append_operation(2, OperationKind::Put, "k", "v");
  log.rotate(3, 3, 0);
  log.release_through(2);
  log.remove_released();
  CHECK(directory.names() == std::vector<std::string>{"log-2.varve", "log-3.varve"});
  log.remove_spares();
  CHECK(directory.names() == std::vector<std::string>{"log-3.varve"});
}

TEST_CASE("a recovered log is cut to what was recovered, sealed, and released in its turn",
          "[lib][write_log]") {
  FaultyDirectory directory;
  leave_log(directory);
  const Read before = read(directory, 4);
  const std::string bytes = directory.read_all(log_file_name(4), 1 << 20);
  const RecoveredLog recovered = seal_recovered_log(directory, bytes, before.scan, 0);
  CHECK(directory.faults.steps.back() == "replace log-4.varve");
  CHECK(recovered.entry == LogRecordEntry{4, before.scan.end, before.scan.end});
  CHECK(recovered.last_sequence == 2);
  const Read after = read(directory, 4, recovered.entry);
  CHECK(after.sequences == before.sequences);
  CHECK(after.scan.tail == Tail::Clean);

  const std::size_t step_count = directory.faults.steps.size();
  CHECK(seal_recovered_log(directory, bytes, before.scan, before.scan.end).entry ==
        recovered.entry);
  CHECK(directory.faults.steps.size() == step_count);  // It was durable already.

  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.adopt({recovered});
  CHECK(log.live_size() == before.scan.end);
  log.rotate(5, 3, 0);
  log.append_operation(3, OperationKind::Put, "k", "x");
  CHECK(log.live().size() == 2);
  log.release_through(1);
  CHECK(log.live().size() == 2);
  log.release_through(2);
  CHECK(log.live().size() == 1);
  log.remove_released();
  CHECK(directory.names() == std::vector<std::string>{"log-5.varve"});
}

TEST_CASE("a prepared file saves the rotation all but the sync of the file before",
          "[lib][write_log]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  CHECK_FALSE(log.wants_next());
  log.rotate(1, 1, 0);
  Sequence sequence = 0;
  const auto append = [&] {
    log.append_operation(++sequence, OperationKind::Put, "key", std::string(300, 'v'));
  };
  while (!log.wants_next()) append();
  CHECK(read(directory, 1).scan.end >= kFileSize / 4 * 3);
  log.prepare(2, sequence + 1);
  CHECK_FALSE(log.wants_next());
  CHECK(log.live().size() == 1);
  CHECK(log.mapped_size() == 2 * kFileSize);
  append();  // To the first one, still.
  CHECK(read(directory, 1).sequences.back() == sequence);
  CHECK(read(directory, 2).sequences.empty());

  const std::size_t step_count = directory.faults.steps.size();
  log.rotate(2, sequence + 1, 0);
  CHECK(directory.faults.steps.size() == step_count + 1);
  CHECK(directory.faults.steps.back() == "sync log-1.varve");
  CHECK(log.live() ==
        std::vector<LogRecordEntry>{{1, read(directory, 1).scan.end, read(directory, 1).scan.end},
                                    {2, 0, kLogHeaderSize}});
  append();
  CHECK(read(directory, 2).sequences == std::vector<Sequence>{sequence});
  log.release_through(sequence - 1);
  log.remove_released();
  while (!log.wants_next()) append();
  log.prepare(3, sequence + 1);  // It recycles, too.
  CHECK(directory.names() == std::vector<std::string>{"log-2.varve", "log-3.varve"});
  CHECK(log.remove_spares());
  CHECK(directory.names() == std::vector<std::string>{"log-2.varve"});
  CHECK(log.wants_next());
  log.rotate(3, sequence + 1, 0);
  append();
  CHECK(read(directory, 3).sequences == std::vector<Sequence>{sequence});
}

TEST_CASE("a prepared file that does not serve is removed", "[lib][write_log]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 0);
  log.prepare(2, 1);
  const bool too_small = GENERATE(true, false);
  if (too_small) {
    log.rotate(3, 1, 2 * kFileSize);
  } else {
    log.rotate(4, 1, 0);
  }
  CHECK(directory.names() ==
        std::vector<std::string>{"log-1.varve", too_small ? "log-3.varve" : "log-4.varve"});
  log.append_operation(1, OperationKind::Put, "k", std::string(too_small ? kFileSize : 1, 'v'));
  CHECK(read(directory, too_small ? 3 : 4).sequences == std::vector<Sequence>{1});
}

TEST_CASE("a file that cannot be prepared is made by the rotation, or the log is poisoned",
          "[lib][write_log][fault]") {
  FaultyDirectory directory;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 0);
  log.append_operation(1, OperationKind::Put, "k", "v");
  directory.faults.fail_create = true;
  CHECK(thrown_by([&] { log.prepare(2, 2); }).code() == ErrorCode::NoSpace);
  directory.faults.fail_create = false;
  CHECK_FALSE(log.failed());
  log.append_operation(2, OperationKind::Put, "k", "w");
  log.rotate(2, 3, 0);
  log.append_operation(3, OperationKind::Put, "k", "x");
  CHECK(read(directory, 2).sequences == std::vector<Sequence>{3});
  directory.faults.fail_sync = true;
  CHECK(thrown_by([&] { log.prepare(3, 4); }).code() == ErrorCode::Io);
  directory.faults.fail_sync = false;
  CHECK(log.failed());
  CHECK(directory.names() == std::vector<std::string>{"log-1.varve", "log-2.varve"});
  CHECK_THROWS_AS(log.append_operation(4, OperationKind::Put, "k", "y"), Error);
}

TEST_CASE("a log that a process left is gone on with, and what it left is synced with the rest",
          "[lib][write_log]") {
  FaultyDirectory directory;
  leave_log(directory);
  const LogScan left = read(directory, 4).scan;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.adopt({{.entry = {3, 5000, 5000}, .last_sequence = 0}});
  log.resume({.number = 4, .synced_end = kLogHeaderSize}, left);
  CHECK(log.live().size() == 2);
  CHECK(log.live().back() == LogRecordEntry{4, 0, kLogHeaderSize});
  CHECK(log.live_size() == 5000 + left.end);
  CHECK(log.bytes_unsynced() == left.end - kLogHeaderSize);
  CHECK(log.bytes_written() == 0);
  CHECK(log.fits(kFileSize - left.end - kLogRecordHeaderSize));
  CHECK_FALSE(log.fits(kFileSize - left.end - kLogRecordHeaderSize + 1));

  const int sync_count = directory.faults.sync_count;
  log.append_operation(3, OperationKind::Put, "k", "x");
  CHECK(read(directory, 4).sequences == std::vector<Sequence>{1, 2, 3});
  CHECK(log.bytes_written() == log_record_size(WriteLog::operation_payload_size("k", "x")));
  log.sync();
  CHECK(directory.faults.sync_count == sync_count + 1);
  CHECK(log.bytes_unsynced() == 0);
  CHECK(log.live().back().synced_end == read(directory, 4).scan.end);
  log.rotate(5, 4, 0);
  CHECK(log.live()[1].sealed_end == read(directory, 4, log.live()[1]).scan.end);
  log.release_through(3);
  log.remove_released();
  // What was in the resumed file may still be read: it does not serve again.
  CHECK(directory.names() == std::vector<std::string>{"log-5.varve"});
  log.rotate(6, 5, 0);
  CHECK(directory.faults.steps.back() == "sync log-6.varve");
  CHECK(directory.faults.recycle_count == 0);
}

TEST_CASE("the sync of a log that was left without records, or synced, writes nothing",
          "[lib][write_log]") {
  FaultyDirectory directory;
  const bool empty = GENERATE(true, false);
  {
    WriteLog log(directory, kUuid, kFileSize, kSyncClass);
    log.rotate(4, 7, 0);
    if (!empty) log.append_operation(7, OperationKind::Put, "k", "v");
  }
  const LogScan left = read(directory, 4).scan;
  WriteLog log(directory, kUuid, kFileSize, kSyncClass);
  log.resume({.number = 4, .synced_end = empty ? 0 : left.end}, left);
  const int sync_count = directory.faults.sync_count;
  CHECK(log.bytes_unsynced() == 0);
  log.sync();
  CHECK(directory.faults.sync_count == sync_count);
  log.append_operation(empty ? 7 : 8, OperationKind::Put, "k", "w");
  CHECK(read(directory, 4).sequences.back() == (empty ? 7 : 8));
}

TEST_CASE("syncs from other threads go along with appends and rotations", "[lib][write_log]") {
  auto directory = directory::make_memory_directory();
  WriteLog log(*directory, kUuid, kFileSize, kSyncClass);
  log.rotate(1, 1, 0);
  std::atomic<bool> done = false;
  std::vector<std::thread> syncers;
  for (int i = 0; i < 2; ++i) {
    syncers.emplace_back([&] {
      while (!done.load()) log.sync();
    });
  }
  std::uint64_t number = 1;
  for (Sequence sequence = 1; sequence <= 2000; ++sequence) {
    const std::size_t size = WriteLog::operation_payload_size("key", "value");
    if (!log.fits(size)) log.rotate(++number, sequence, size);
    log.append_operation(sequence, OperationKind::Put, "key", "value",
                         sequence % 3 == 0 ? Durability::Synced : Durability::Process);
    CHECK(log.live().back().synced_end <= kFileSize);
  }
  done = true;
  for (std::thread& syncer : syncers) syncer.join();
  log.sync();
  Sequence expected = 0;
  for (const LogRecordEntry& entry : log.live()) {
    for (const Sequence sequence : read(*directory, entry.number, entry).sequences) {
      CHECK(sequence == ++expected);
    }
  }
  CHECK(expected == 2000);
}

}  // namespace
}  // namespace varve::internal
