// SPDX-License-Identifier: Apache-2.0
// What the device refuses to make durable, by the real calls: everywhere else it is a simulated
// file system that fails.
#include <cerrno>
#include <filesystem>
#include <memory>

#include "directory/directory.hpp"
#include "directory/file_system.hpp"
#include "tests/directory/system_calls.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

using test::error_of;
using test::Refusal;
using test::SystemCall;
using test::TemporaryDirectory;
using test::thrown_by;

constexpr std::size_t kLogSize = 64 << 10;

}  // namespace

TEST_CASE("a replacement whose bytes the device refuses is an error and leaves the old ones",
          "[directory][posix][fault]") {
  const TemporaryDirectory temporary;
  const auto directory = make_posix_directory(temporary.path());
  directory->replace("MANIFEST", "old");
  const int error_number = GENERATE(EIO, EINTR);  // Neither is tried again.
  CAPTURE(error_number);
  const Refusal refused(SystemCall::Fdatasync, error_number);
  CHECK_THROWS_AS(directory->replace("MANIFEST", "new"), SyncError);
  CHECK(refused.refused() == 1);
  CHECK(directory->read_all("MANIFEST", 100) == "old");
  CHECK(directory->list().size() == 1);
}

TEST_CASE("a name that the device refuses is an error of every call that makes one",
          "[directory][posix][fault]") {
  const TemporaryDirectory temporary;
  const auto directory = make_posix_directory(temporary.path());
  static_cast<void>(directory->create_log("log-1.varve", kLogSize));
  const Refusal refused(SystemCall::Fsync, EIO, 0, test::kAlways);
  CHECK_THROWS_AS(directory->replace("MANIFEST", "new"), SyncError);
  CHECK_THROWS_AS(directory->put_immutable("delta-1.varve", [](Sink& sink) { sink.append("x"); }),
                  SyncError);
  CHECK_THROWS_AS(directory->create_log("log-2.varve", kLogSize), SyncError);
  CHECK_THROWS_AS(directory->recycle_log("log-1.varve", "log-3.varve", kLogSize), SyncError);
  CHECK(refused.refused() == 4);
}

TEST_CASE("a log that the device refuses to sync is an error", "[directory][posix][fault]") {
  const TemporaryDirectory temporary;
  const auto directory = make_posix_directory(temporary.path());
  {
    const Refusal refused(SystemCall::Fdatasync, EIO);
    CHECK_THROWS_AS(directory->create_log("log-1.varve", kLogSize), SyncError);
    CHECK(directory->list().empty());
  }
  const auto log = directory->create_log("log-1.varve", kLogSize);
  log->publish(0, 100);
  const Refusal refused(SystemCall::Fdatasync, EIO);
  const Error error = thrown_by([&] { log->sync(); });
  CHECK(error.code() == ErrorCode::Io);
  CHECK(error.path().filename() == "log-1.varve");
  CHECK(refused.refused() == 1);
  log->sync();  // What that is worth is for the caller to know.
}

// As on file systems and kernels that cannot, or where a filter of system calls forbids it.
TEST_CASE("where nothing is renamed without replacing, the name is looked at first",
          "[directory][posix][fault]") {
  const int error_number = GENERATE(EINVAL, ENOSYS, EPERM);
  CAPTURE(error_number);
  const TemporaryDirectory temporary;
  const auto directory = make_posix_directory(temporary.path());
  const Refusal refused(SystemCall::Renameat2, error_number, 0, test::kAlways);
  directory->put_immutable("a", [](Sink& sink) { sink.append("bytes"); });
  CHECK(directory->read_all("a", 100) == "bytes");
  const auto overtaken = [&](Sink&) { static_cast<void>(directory->create_log("b", kLogSize)); };
  CHECK(error_of([&] { directory->put_immutable("b", overtaken); }) == ErrorCode::AlreadyExists);
  CHECK(directory->read_all("b", kLogSize).size() == kLogSize);
  static_cast<void>(directory->recycle_log("b", "c", kLogSize));
  CHECK(refused.refused() == 3);
  CHECK(directory->list().size() == 2);
}

TEST_CASE("a renaming that the system refuses is an error and leaves no file",
          "[directory][posix][fault]") {
  const TemporaryDirectory temporary;
  const auto directory = make_posix_directory(temporary.path());
  const Refusal refused(SystemCall::Renameat2, EIO);
  const Error error =
      thrown_by([&] { directory->put_immutable("a", [](Sink& sink) { sink.append("x"); }); });
  CHECK(error.code() == ErrorCode::Io);
  CHECK(error.system().value() == EIO);
  CHECK(refused.refused() == 1);
  CHECK(directory->list().empty());
}

}  // namespace varve::directory
