// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>
#include <vector>

#include "lib/write_log.hpp"
#include "tests/lib/faulty_directory.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/interleave.hpp"

namespace varve::test {
namespace {

using internal::OperationKind;
using internal::WriteLog;

const directory::LockClass kSyncClass("log sync", 70);

// A log of one file on a directory that counts device flushes.
class Subject {
 public:
  Subject() {
    log.rotate(1, 1, 0);
    directory.faults.sync_count = 0;
  }
  // Appends a record; the position with which it is synced.
  std::uint64_t append() {
    log.append_operation(++sequence_, OperationKind::Put, "key", "value", Durability::Synced);
    return log.bytes_appended();
  }
  [[nodiscard]] int flush_count() const { return directory.faults.sync_count; }

  FaultyDirectory directory;
  WriteLog log{directory, "01234567-89ab-4def-8123-456789abcdef", 8192, kSyncClass};

 private:
  internal::Sequence sequence_ = 0;
};

// Begins a thread that syncs through `position` and returns when it waits for the leader.
void begin_follower(Interleave& script, const std::string& name, Subject& subject,
                    std::uint64_t position) {
  auto& waits = script.stop("log.following", name);
  script.begin(name, [&subject, position] { subject.log.sync_through(position); });
  waits.await();
  waits.release();
}

}  // namespace

TEST_CASE("who comes before the device flush shares it", "[lib][write_log][group]") {
  Subject subject;
  const std::uint64_t first = subject.append(), second = subject.append(), third = subject.append();
  Interleave script;
  auto& leading = script.stop("log.leading", "leader");
  script.begin("leader", [&] { subject.log.sync_through(first); });
  leading.await();
  begin_follower(script, "b", subject, second);
  begin_follower(script, "c", subject, third);
  CHECK(subject.flush_count() == 0);
  leading.release();
  for (const char* thread : {"leader", "b", "c"}) script.join(thread);
  CHECK(subject.flush_count() == 1);
  CHECK(subject.log.bytes_unsynced() == 0);
}

TEST_CASE("who comes during a device flush waits for the next one", "[lib][write_log][group]") {
  Subject subject;
  const std::uint64_t first = subject.append();
  Interleave script;
  auto& flushing = script.stop("device.flushing", "leader");
  script.begin("leader", [&] { subject.log.sync_through(first); });
  flushing.await();
  const std::uint64_t second = subject.append();
  begin_follower(script, "b", subject, second);
  auto& next_flush = script.stop("device.flushing", "b");
  flushing.release();
  script.join("leader");
  next_flush.await();
  CHECK(subject.log.bytes_unsynced() == second - first);
  CHECK_FALSE(script.ended("b"));
  next_flush.release();
  script.join("b");
  CHECK(subject.flush_count() == 2);
  CHECK(subject.log.bytes_unsynced() == 0);
}

TEST_CASE("a leader waits a moment for those who took part in the last flush",
          "[lib][write_log][group]") {
  Subject subject;
  Interleave script;
  auto& flushing = script.stop("device.flushing", "a");
  const std::uint64_t first = subject.append();
  script.begin("a", [&] { subject.log.sync_through(first); });
  flushing.await();
  const std::uint64_t second = subject.append();
  begin_follower(script, "b", subject, second);
  auto& gathering = script.stop("log.gathering", "b");
  flushing.release();
  script.join("a");
  // "b" leads, and two took part in the flush before: it looks out for another one.
  gathering.await();
  begin_follower(script, "c", subject, subject.append());
  gathering.release();
  script.join("b");
  script.join("c");
  CHECK(subject.flush_count() == 2);
  // Two again; but nobody comes any more, and the wait ends.
  subject.log.sync_through(subject.append());
  CHECK(script.reached_count("log.gathering") == 2);
  CHECK(subject.flush_count() == 3);
}

TEST_CASE("all who wait for a device flush that fails are told", "[lib][write_log][group][fault]") {
  Subject subject;
  const std::uint64_t first = subject.append(), second = subject.append();
  subject.directory.faults.fail_sync = true;
  Interleave script;
  auto& leading = script.stop("log.leading", "leader");
  script.begin("leader", [&] { subject.log.sync_through(first); });
  leading.await();
  begin_follower(script, "b", subject, second);
  leading.release();
  CHECK(error_of([&] { script.join("leader"); }) == ErrorCode::Io);
  CHECK(error_of([&] { script.join("b"); }) == ErrorCode::Io);
  CHECK(subject.flush_count() == 1);
  CHECK(subject.log.failed());
}

}  // namespace varve::test
