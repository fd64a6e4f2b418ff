// SPDX-License-Identifier: Apache-2.0
// What the system can refuse to whoever locks a directory. Each call fails in turn.
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "directory/fork_marker.hpp"
#include "directory/lock_file.hpp"
#include "directory/ownership.hpp"
#include "tests/directory/child_process.hpp"
#include "tests/directory/own.hpp"
#include "tests/directory/system_calls.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using test::error_of;
using test::kAlways;
using test::kNetwork;
using test::kShort;
using test::Refusal;
using test::SystemCall;
using test::TemporaryDirectory;
using test::thrown_by;

// Descriptors of this process that lead into `path`.
std::size_t descriptors_into(const fs::path& path) {
  const std::string prefix = fs::canonical(path).string();
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const fs::path target = fs::read_symlink(entry.path(), gone);
    if (!gone && target.string().starts_with(prefix)) ++count;
  }
  return count;
}

struct Refused {
  const char* what;
  SystemCall call;
  int error_number;
  int skipped;
  ErrorCode code;
};

}  // namespace

TEST_CASE("what the system refuses to a new owner is an error, and the directory stays free",
          "[directory][lock][fault]") {
  using enum ErrorCode;
  const auto refused = GENERATE(
      Refused{"making the directory", SystemCall::Mkdir, EACCES, 0, Io},
      Refused{"making it, for want of room", SystemCall::Mkdir, ENOSPC, 0, NoSpace},
      Refused{"making it, for want of a quota", SystemCall::Mkdir, EDQUOT, 0, NoSpace},
      Refused{"making it where nobody writes", SystemCall::Mkdir, EROFS, 0, ReadOnly},
      Refused{"making it below no directory", SystemCall::Mkdir, ENOTDIR, 0, NotFound},
      Refused{"asking for the file system", SystemCall::Fstatfs, EIO, 0, Io},
      Refused{"a file system without flock", SystemCall::Flock, ENOLCK, 0, Unsupported},
      Refused{"a kernel without flock", SystemCall::Flock, ENOSYS, 0, Unsupported},
      Refused{"a mount without flock", SystemCall::Flock, EOPNOTSUPP, 0, Unsupported},
      Refused{"flock, for other reasons", SystemCall::Flock, EIO, 0, Io},
      Refused{"opening LOCK", SystemCall::Openat, EMFILE, 0, Io},
      Refused{"making LOCK", SystemCall::Openat, ENOSPC, 1, NoSpace},
      Refused{"making LOCK where nobody writes", SystemCall::Openat, EROFS, 1, ReadOnly},
      Refused{"making LOCK without the right", SystemCall::Openat, EACCES, 1, ReadOnly},
      Refused{"looking at LOCK", SystemCall::Fstat, EIO, 0, Io},
      Refused{"a kernel without locks of bytes", SystemCall::Fcntl, EINVAL, 0, Unsupported},
      Refused{"a lock of a byte", SystemCall::Fcntl, EIO, 0, Io},
      Refused{"syncing the directory", SystemCall::Fsync, EIO, 0, Io},
      Refused{"syncing the one above", SystemCall::Fsync, EIO, 1, Io},
      Refused{"opening the one above", SystemCall::Openat, EACCES, 2, Io},
      Refused{"writing the record", SystemCall::Pwrite, EIO, 0, Io},
      Refused{"a half of the record", SystemCall::Pwrite, kShort, 0, NoSpace},
      Refused{"telling directories apart", SystemCall::Fstat, EIO, 3, Io});
  INFO(refused.what);
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "orders";
  {
    const Refusal refusal(refused.call, refused.error_number, refused.skipped);
    const Error error = thrown_by([&] { static_cast<void>(own(path)); });
    CHECK(error.code() == refused.code);
    if (refused.error_number != kShort) CHECK(error.system().value() == refused.error_number);
    CHECK(refusal.refused() == 1);
  }
  CHECK(descriptors_into(temporary.path()) == 0);
  const auto owner = own(path);  // No lock was left behind.
  owner->verify();
}

TEST_CASE("calls of the lock that a signal interrupts are made again", "[directory][lock][fault]") {
  const auto call = GENERATE(SystemCall::Flock, SystemCall::Fcntl, SystemCall::Openat,
                             SystemCall::Fstatfs, SystemCall::Pread, SystemCall::Pwrite);
  const TemporaryDirectory temporary;
  const Refusal refusal(call, EINTR, 0, 3);
  const auto owner = own(temporary.path() / "orders");
  CHECK(refusal.refused() == 3);
  CHECK_FALSE(owner->recovered_stale());
  owner->verify();
}

TEST_CASE("a byte that is locked under another number means busy", "[directory][lock][fault]") {
  const TemporaryDirectory temporary;
  const Refusal refusal(SystemCall::Fcntl, EACCES);
  CHECK(error_of([&] { static_cast<void>(own(temporary.path())); }) == ErrorCode::Locked);
  CHECK(refusal.refused() == 1);
}

TEST_CASE("a LOCK that another makes at the same moment is taken at the next attempt",
          "[directory][lock][fault]") {
  const TemporaryDirectory temporary;
  const Refusal refusal(SystemCall::Openat, EEXIST, 1);  // Not there to be opened, nor to be made.
  own(temporary.path())->verify();
  CHECK(refusal.refused() == 1);
}

TEST_CASE("a LOCK that is replaced time and again is an error in the end",
          "[directory][lock][fault]") {
  const auto mode = GENERATE(LockMode::Exclusive, LockMode::Shared);
  const TemporaryDirectory temporary;
  own(temporary.path())->release();
  {
    // By its name there is never the file that was opened.
    const Refusal refusal(SystemCall::Fstatat, ENOENT, 0, kAlways);
    const Error error = thrown_by([&] { static_cast<void>(own(temporary.path(), mode)); });
    CHECK(error.code() == ErrorCode::Io);
    CHECK(std::string(error.what()).find("keeps replacing LOCK") != std::string::npos);
    CHECK(refusal.refused() >= 100);
  }
  CHECK(descriptors_into(temporary.path()) == 0);
  own(temporary.path(), mode)->verify();
}

TEST_CASE("an owner's record that cannot be read counts as left open", "[directory][lock][fault]") {
  const TemporaryDirectory temporary;
  own(temporary.path())->release();
  const Refusal refusal(SystemCall::Pread, EIO);
  CHECK(own(temporary.path())->recovered_stale());
  CHECK(refusal.refused() == 1);
}

TEST_CASE("a record that cannot be closed lets go of the directory all the same",
          "[directory][lock][fault]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  {
    const Refusal refusal(SystemCall::Pwrite, EIO);
    owner->release();
    CHECK(refusal.refused() == 1);
  }
  CHECK(posix_lock_status(temporary.path()).left_open);
  CHECK(own(temporary.path())->recovered_stale());
}

TEST_CASE("a phase that cannot be noted is an error and the one before stays",
          "[directory][lock][fault]") {
  const TemporaryDirectory temporary;
  const auto owner = own(temporary.path());
  owner->set_phase(true, 7);
  {
    const Refusal refusal(SystemCall::Pwrite, EIO);
    CHECK(error_of([&] { owner->set_phase(false, 8); }) == ErrorCode::Io);
  }
  const LockStatus status = posix_lock_status(temporary.path());
  CHECK(status.healthy);
  REQUIRE(status.holder.has_value());
  CHECK(status.holder->writer_epoch == 7);
  owner->verify();
}

TEST_CASE("a reader has no phase to note", "[directory][lock]") {
  const TemporaryDirectory temporary;
  own(temporary.path())->release();
  const auto reader = own(temporary.path(), LockMode::Shared);
  CHECK(error_of([&] { reader->set_phase(true, 1); }) == ErrorCode::InvalidArgument);
}

TEST_CASE("ownership that was released is closed", "[directory][lock]") {
  const TemporaryDirectory temporary;
  const auto owner = own(temporary.path());
  owner->release();
  owner->release();  // Once more changes nothing.
  CHECK(error_of([&] { owner->verify(); }) == ErrorCode::Closed);
  CHECK(error_of([&] { owner->set_phase(true, 1); }) == ErrorCode::Closed);
}

TEST_CASE("an owner without a descriptor for a second look still holds its lock",
          "[directory][lock][fault]") {
  const TemporaryDirectory temporary;
  const auto owner = own(temporary.path());
  const int skipped = GENERATE(0, 1);  // To the directory, to LOCK.
  const Refusal refusal(SystemCall::Openat, EMFILE, skipped);
  owner->verify();
  CHECK(refusal.refused() == 1);
}

TEST_CASE("a status that the system does not tell is an error", "[directory][lock][fault]") {
  const TemporaryDirectory temporary;
  own(temporary.path())->release();
  const auto status = [&] { static_cast<void>(posix_lock_status(temporary.path())); };
  {
    const Refusal refusal(SystemCall::Fcntl, EINVAL);
    CHECK(error_of(status) == ErrorCode::Unsupported);
  }
  {
    const Refusal refusal(SystemCall::Fcntl, EIO);
    CHECK(error_of(status) == ErrorCode::Io);
  }
  {
    const Refusal refusal(SystemCall::Fstat, EIO);
    CHECK(error_of(status) == ErrorCode::Io);
  }
  CHECK(error_of(status) == std::nullopt);
}

TEST_CASE("a network file system is refused unless it is allowed", "[directory][lock][fault]") {
  const TemporaryDirectory temporary;
  const Refusal refusal(SystemCall::Fstatfs, kNetwork, 0, kAlways);
  OwnershipRequest request;
  request.create_lock_file = true;
  CHECK(error_of([&] { static_cast<void>(acquire_posix_ownership(temporary.path(), request)); }) ==
        ErrorCode::Unsupported);
  CHECK(refusal.refused() == 1);
  CHECK(descriptors_into(temporary.path()) == 0);
  request.allow_network_file_system = true;
  acquire_posix_ownership(temporary.path(), request)->verify();
  CHECK(refusal.refused() == 1);  // Not even asked.
}

TEST_CASE("the status of a path that leads nowhere is an error", "[directory][lock]") {
  const TemporaryDirectory temporary;
  const fs::path loop = temporary.path() / "loop";
  fs::create_symlink(loop, loop);
  CHECK(error_of([&] { static_cast<void>(posix_lock_status(loop)); }) == ErrorCode::Io);
  CHECK(posix_lock_status(temporary.path() / "absent").state == LockState::NotInitialized);
}

TEST_CASE("a waiting writer that cannot show its sign waits without one",
          "[directory][lock][fault]") {
  const TemporaryDirectory temporary;
  const auto owner = own(temporary.path());
  // The owner has the directory's own lock, so the sign is the only byte that is tried.
  const Refusal refusal(SystemCall::Fcntl, ENOLCK, 0, kAlways);
  CHECK(error_of([&] {
          static_cast<void>(own(temporary.path(), LockMode::Exclusive, milliseconds{500}));
        }) == ErrorCode::Locked);
  CHECK(refusal.refused() > 0);
}

}  // namespace varve::directory
