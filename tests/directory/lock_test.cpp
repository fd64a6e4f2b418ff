// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "directory/fork_marker.hpp"
#include "directory/lock_record.hpp"
#include "directory/ownership.hpp"
#include "tests/directory/child_process.hpp"
#include "tests/directory/own.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using test::ChildProcess;
using test::error_of;
using test::in_child;
using test::read_file;
using test::TemporaryDirectory;
using test::write_file;

// What a try from here brings: 0 owned (and released), 1 refused.
int try_own(const fs::path& path, LockMode mode = LockMode::Exclusive) {
  OwnershipRequest request;
  request.mode = mode;
  return try_acquire_posix_ownership(path, request) == nullptr ? 1 : 0;
}
// The same, tried by another process. The child is forked, so it also shows that what it inherits
// gives it nothing.
int other_process_tries(const fs::path& path, LockMode mode = LockMode::Exclusive) {
  return in_child([&] { return try_own(path, mode); });
}
constexpr int kOwned = 0, kRefused = 1;

LockStatus status_in_child(const fs::path& path) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const int exit_status = in_child([&] {
    const LockStatus status = posix_lock_status(path);
    const std::int64_t facts[] = {
        static_cast<std::int64_t>(status.state),
        status.healthy,
        status.left_open,
        status.orphaned,
        status.holder.has_value(),
        status.holder ? status.holder->pid : 0,
        status.holder ? static_cast<std::int64_t>(status.holder->mode) : 0,
        status.holder ? static_cast<std::int64_t>(status.holder->writer_epoch) : 0};
    return ::write(ends[1], facts, sizeof facts) == sizeof facts ? 0 : 1;
  });
  REQUIRE(exit_status == 0);
  std::int64_t facts[8];
  REQUIRE(::read(ends[0], facts, sizeof facts) == sizeof facts);
  ::close(ends[0]);
  ::close(ends[1]);
  LockStatus status;
  status.state = static_cast<LockState>(facts[0]);
  status.healthy = facts[1] != 0;
  status.left_open = facts[2] != 0;
  status.orphaned = facts[3] != 0;
  if (facts[4] != 0) {
    status.holder.emplace();
    status.holder->pid = facts[5];
    status.holder->mode = static_cast<LockMode>(facts[6]);
    status.holder->writer_epoch = static_cast<std::uint64_t>(facts[7]);
  }
  return status;
}

// The descriptors of this process that lead into `path`.
std::vector<int> descriptors_into(const fs::path& path) {
  const std::string prefix = fs::canonical(path).string();
  std::vector<int> found;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const fs::path target = fs::read_symlink(entry.path(), gone);
    if (!gone && target.string().starts_with(prefix)) {
      found.push_back(std::atoi(entry.path().filename().c_str()));
    }
  }
  return found;
}

}  // namespace

TEST_CASE("an exclusive owner excludes its own process and every other, until it releases",
          "[directory][lock]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "orders";
  auto owner = own(path);
  CHECK(owner->mode() == LockMode::Exclusive);
  CHECK_FALSE(owner->recovered_stale());
  CHECK_FALSE(owner->forked());
  owner->verify();
  CHECK(try_own(path) == kRefused);
  CHECK(try_own(path, LockMode::Shared) == kRefused);
  CHECK(other_process_tries(path) == kRefused);
  CHECK(other_process_tries(path, LockMode::Shared) == kRefused);
  owner->release();
  owner->release();
  CHECK(other_process_tries(path) == kOwned);
  CHECK(try_own(path) == kOwned);
  CHECK(error_of([&] { owner->verify(); }) == ErrorCode::Closed);
  CHECK(error_of([&] { owner->set_phase(true, 1); }) == ErrorCode::Closed);
}

TEST_CASE("a refused second open in the owner's process leaves a third process excluded",
          "[directory][lock]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  REQUIRE(error_of([&] { (void)own(temporary.path()); }) == ErrorCode::Locked);
  REQUIRE(error_of([&] { (void)own(temporary.path(), LockMode::Shared); }) == ErrorCode::Locked);
  CHECK(other_process_tries(temporary.path()) == kRefused);
  owner->verify();
  owner->set_phase(true, 3);
  CHECK(status_in_child(temporary.path()).holder->writer_epoch == 3);
}

TEST_CASE("opening, reading and closing LOCK elsewhere in the process loses nothing",
          "[directory][lock]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  CHECK(read_file(temporary.path() / "LOCK").size() == kLockRecordSize);
  const int foreign = ::open((temporary.path() / "LOCK").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(foreign >= 0);
  ::close(foreign);
  owner->verify();
  // The byte lock alone, as a status query sees it: the directory's lock is not asked here.
  const int status = in_child([&] {
    const int file = ::open((temporary.path() / "LOCK").c_str(), O_RDWR);
    struct ::flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_start = 1024;
    lock.l_len = 1;
    return ::fcntl(file, F_OFD_SETLK, &lock) == 0 ? kOwned : kRefused;
  });
  CHECK(status == kRefused);
  CHECK(other_process_tries(temporary.path()) == kRefused);
}

TEST_CASE("every path to the directory leads to the same lock", "[directory][lock]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "orders";
  auto owner = own(path);
  const fs::path link = temporary.path() / "alias";
  fs::create_directory_symlink(path, link);
  for (const fs::path& alias :
       {link, temporary.path() / "orders/", temporary.path() / "./alias/../orders"}) {
    CAPTURE(alias);
    CHECK(try_own(alias) == kRefused);
    CHECK(other_process_tries(alias) == kRefused);
    CHECK(posix_lock_status(alias).state == LockState::LockedByUs);
    CHECK(status_in_child(alias).state == LockState::LockedByOther);
  }
}

TEST_CASE("a directory renamed while it is held stays held", "[directory][lock]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path() / "orders");
  fs::rename(temporary.path() / "orders", temporary.path() / "moved");
  owner->verify();
  CHECK(other_process_tries(temporary.path() / "moved") == kRefused);
}

TEST_CASE("lock status tells the states apart and creates nothing", "[directory][lock]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "orders";
  CHECK(posix_lock_status(path).state == LockState::NotInitialized);
  CHECK_FALSE(fs::exists(path));
  write_file(temporary.path() / "file", "");
  CHECK(posix_lock_status(temporary.path() / "file").state == LockState::NotInitialized);

  fs::create_directory(path);
  CHECK(posix_lock_status(path).state == LockState::NotInitialized);
  CHECK(fs::is_empty(path));

  write_file(path / "MANIFEST", "");  // An index whose LOCK somebody deleted.
  CHECK(posix_lock_status(path).state == LockState::Unlocked);
  CHECK_FALSE(fs::exists(path / "LOCK"));

  auto owner = own(path);
  const LockStatus ours = posix_lock_status(path);
  CHECK(ours.state == LockState::LockedByUs);
  REQUIRE(ours.holder.has_value());
  CHECK(ours.holder->pid == ::getpid());
  CHECK_FALSE(ours.holder->boot_id.empty());
  CHECK(ours.holder->process_start_ticks != 0);
  CHECK(ours.holder->since_unix_seconds > 1'700'000'000);
  const std::string before = read_file(path / "LOCK");
  const LockStatus theirs = status_in_child(path);
  CHECK(theirs.state == LockState::LockedByOther);
  CHECK(theirs.healthy);
  CHECK_FALSE(theirs.orphaned);
  REQUIRE(theirs.holder.has_value());
  CHECK(theirs.holder->pid == ::getpid());
  CHECK(read_file(path / "LOCK") == before);
  CHECK(other_process_tries(path) == kRefused);  // The query did not disturb the owner.

  owner.reset();
  const LockStatus released = posix_lock_status(path);
  CHECK(released.state == LockState::Unlocked);
  CHECK_FALSE(released.left_open);
  CHECK(released.healthy);
  CHECK_FALSE(released.holder.has_value());
}

TEST_CASE("others see the phase and the epoch that the owner notes", "[directory][lock]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  owner->set_phase(false, 7);
  CHECK_FALSE(posix_lock_status(temporary.path()).healthy);
  const LockStatus unfinished = status_in_child(temporary.path());
  CHECK_FALSE(unfinished.healthy);
  CHECK(unfinished.holder->writer_epoch == 7);
  owner->set_phase(true, 8);
  CHECK(posix_lock_status(temporary.path()).healthy);
  const LockStatus finished = status_in_child(temporary.path());
  CHECK(finished.healthy);
  CHECK(finished.holder->writer_epoch == 8);
}

TEST_CASE("after a killed owner the next one learns that a recovery is due", "[directory][lock]") {
  const TemporaryDirectory temporary;
  ChildProcess child([&](const ChildProcess::Link& link) {
    auto owner = own(temporary.path());
    owner->set_phase(true, 5);
    link.tell_parent();
    link.await_parent();
    return 0;
  });
  REQUIRE(child.await_child());
  CHECK(try_own(temporary.path()) == kRefused);
  child.kill();
  const LockStatus crashed = posix_lock_status(temporary.path());
  CHECK(crashed.state == LockState::Unlocked);
  CHECK(crashed.left_open);
  CHECK_FALSE(crashed.healthy);

  // Who only locks and unlocks, or fails in its recovery, hides nothing from the next.
  for (int round = 0; round < 2; ++round) {
    auto visitor = own(temporary.path());
    CHECK(visitor->recovered_stale());
    CHECK_FALSE(posix_lock_status(temporary.path()).healthy);
    if (round == 1) visitor->set_phase(false, 6);
    visitor->release();
    CHECK(posix_lock_status(temporary.path()).left_open);
  }
  auto recovering = own(temporary.path());
  CHECK(recovering->recovered_stale());
  recovering->set_phase(true, 6);
  recovering->release();
  CHECK_FALSE(own(temporary.path())->recovered_stale());
}

TEST_CASE("an owner that is killed before it notes a phase leaves the record open",
          "[directory][lock]") {
  const TemporaryDirectory temporary;
  own(temporary.path())->release();
  REQUIRE_FALSE(posix_lock_status(temporary.path()).left_open);
  ChildProcess child([&](const ChildProcess::Link& link) {
    const auto owner = own(temporary.path());
    link.tell_parent();
    link.await_parent();
    return 0;
  });
  REQUIRE(child.await_child());
  child.kill();
  CHECK(posix_lock_status(temporary.path()).left_open);
  CHECK(own(temporary.path())->recovered_stale());
}

TEST_CASE("a forked child's copy is inert and leaves the parent's lock alone",
          "[directory][lock][fork]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  const int status = in_child([&] {
    if (!owner->forked()) return 10;
    try {
      owner->verify();
      return 11;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::ForkedHandle) return 12;
    }
    try {
      owner->set_phase(true, 99);
      return 13;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::ForkedHandle) return 14;
    }
    if (posix_lock_status(temporary.path()).state != LockState::LockedByOther) return 15;
    owner.reset();
    if (!descriptors_into(temporary.path()).empty()) return 16;
    // A grandchild is no more the owner than the child.
    return try_own(temporary.path()) == kRefused ? 0 : 17;
  });
  CHECK(status == 0);
  CHECK(other_process_tries(temporary.path()) == kRefused);
  owner->verify();
  CHECK(status_in_child(temporary.path()).holder->writer_epoch == 0);
}

TEST_CASE("a child of the owner's child sees the handle as forked too", "[directory][lock][fork]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  const int status = in_child([&] {
    const TemporaryDirectory second;
    auto own_of_child = own(second.path());
    if (own_of_child->forked()) return 10;
    return in_child([&] {
      if (!owner->forked() || !own_of_child->forked()) return 11;
      const ForkMarker mine;
      return mine.forked() || !owner->forked() ? 12 : 0;
    });
  });
  CHECK(status == 0);
}

TEST_CASE("an owner's release takes effect though a forked child keeps the descriptors",
          "[directory][lock][fork]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  ChildProcess keeper([&](const ChildProcess::Link& link) {
    link.tell_parent();
    link.await_parent();
    return 0;
  });
  REQUIRE(keeper.await_child());
  owner->release();
  CHECK(try_own(temporary.path()) == kOwned);
  CHECK(other_process_tries(temporary.path()) == kOwned);
}

TEST_CASE("a lock kept by the child of a dead owner is reported as orphaned",
          "[directory][lock][fork]") {
  const TemporaryDirectory temporary;
  int keeper_life[2];
  REQUIRE(::pipe(keeper_life) == 0);
  ChildProcess owner_process([&](const ChildProcess::Link& link) {
    auto owner = own(temporary.path());
    owner->set_phase(true, 4);
    if (::fork() == 0) {
      ::close(keeper_life[1]);
      char byte = 0;
      while (::read(keeper_life[0], &byte, 1) < 0) {
      }
      ::_exit(0);
    }
    link.tell_parent();
    link.await_parent();
    return 0;
  });
  REQUIRE(owner_process.await_child());
  const ::pid_t pid = owner_process.pid();
  CHECK_FALSE(posix_lock_status(temporary.path()).orphaned);
  owner_process.kill();

  const LockStatus status = posix_lock_status(temporary.path());
  CHECK(status.state == LockState::LockedByOther);
  CHECK(status.orphaned);
  REQUIRE(status.holder.has_value());
  CHECK(status.holder->pid == pid);
  CHECK_THROWS_WITH(own(temporary.path()), Catch::Contains("child forked from it keeps the lock"));

  ::close(keeper_life[1]);  // The keeper reads the end of the pipe and exits.
  auto next = own(temporary.path(), LockMode::Exclusive, milliseconds{20'000});
  CHECK(next->recovered_stale());
  ::close(keeper_life[0]);
}

TEST_CASE("a LOCK deleted or replaced under its owner gives the directory to nobody else",
          "[directory][lock]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path();
  write_file(path / "MANIFEST", "");
  auto owner = own(path);
  owner->verify();
  REQUIRE(fs::remove(path / "LOCK"));
  const bool replaced = GENERATE(false, true);
  if (replaced) write_file(path / "LOCK", "something else");

  CHECK(other_process_tries(path) == kRefused);
  CHECK(try_own(path) == kRefused);
  CHECK(fs::exists(path / "LOCK") == replaced);
  const LockStatus status = status_in_child(path);
  CHECK(status.state == LockState::LockedByOther);
  REQUIRE(status.holder.has_value());
  CHECK(status.holder->pid == ::getpid());
  CHECK(error_of([&] { owner->verify(); }) == ErrorCode::ReadOnly);
  write_file(path / "LOCK", "");
  CHECK(error_of([&] { owner->verify(); }) == ErrorCode::ReadOnly);

  owner->release();
  auto next = own(path);
  next->verify();
  CHECK(other_process_tries(path) == kRefused);
}

TEST_CASE("ownership that was lost once stays lost though LOCK comes back", "[directory][lock]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  fs::rename(temporary.path() / "LOCK", temporary.path() / "away");
  CHECK(error_of([&] { owner->verify(); }) == ErrorCode::ReadOnly);
  fs::rename(temporary.path() / "away", temporary.path() / "LOCK");
  CHECK(error_of([&] { owner->verify(); }) == ErrorCode::ReadOnly);
}

TEST_CASE("an owner whose directory lock was undone by a forked child notices it",
          "[directory][lock][fork]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  in_child([&] {
    for (const int descriptor : descriptors_into(temporary.path())) ::flock(descriptor, LOCK_UN);
    return 0;
  });
  CHECK(error_of([&] { owner->verify(); }) == ErrorCode::ReadOnly);
}

TEST_CASE("left-over and forged records keep nobody out", "[directory][lock]") {
  const TemporaryDirectory temporary;
  own(temporary.path())->release();
  auto forged = decode_lock_record(read_file(temporary.path() / "LOCK"));
  REQUIRE(forged.has_value());
  forged->state = LockRecord::State::Open;
  std::string bytes;
  SECTION("of this living process") {}
  SECTION("of a process 1 that lives") {
    forged->pid = 1;
    forged->process_start_ticks = 0;
  }
  SECTION("of a number that another process has now") {
    forged->process_start_ticks += 1;
  }
  SECTION("of another boot and host") {
    forged->boot_id = "00000000-0000-0000-0000-000000000000";
    forged->host = "elsewhere";
  }
  SECTION("of a shared owner") {
    forged->mode = LockMode::Shared;
  }
  SECTION("garbage") {
    bytes = "rm -rf /";
  }
  SECTION("nothing") {
    bytes = std::string(1, '\0');
  }
  SECTION("longer than a record") {
    bytes = std::string(100'000, 'x');
  }
  if (bytes.empty()) {
    const auto encoded = encode(*forged);
    bytes.assign(encoded.data(), encoded.size());
  }
  write_file(temporary.path() / "LOCK", bytes);

  const LockStatus status = posix_lock_status(temporary.path());
  CHECK(status.state == LockState::Unlocked);
  CHECK(status.left_open);
  auto owner = own(temporary.path());
  CHECK(owner->recovered_stale());
  CHECK(status_in_child(temporary.path()).holder->pid == ::getpid());
  // Forged under the living owner: it is still the kernel's word that counts.
  write_file(temporary.path() / "LOCK", bytes);
  CHECK(other_process_tries(temporary.path()) == kRefused);
  const LockStatus held = status_in_child(temporary.path());
  CHECK(held.state == LockState::LockedByOther);
  REQUIRE(held.holder.has_value());
  CHECK(held.holder->pid == ::getpid());  // The kernel names it, whatever the record says.
  owner->verify();
}

TEST_CASE("a record of this boot with reused pid is not taken for the living process",
          "[directory][lock]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  auto record = decode_lock_record(read_file(temporary.path() / "LOCK"));
  REQUIRE(record.has_value());
  ++record->process_start_ticks;
  const auto bytes = encode(*record);
  write_file(temporary.path() / "LOCK", {bytes.data(), bytes.size()});
  CHECK(status_in_child(temporary.path()).orphaned);
  record->boot_id[0] = record->boot_id[0] == '0' ? '1' : '0';
  const auto of_other_boot = encode(*record);
  write_file(temporary.path() / "LOCK", {of_other_boot.data(), of_other_boot.size()});
  CHECK_FALSE(status_in_child(temporary.path()).orphaned);
}

TEST_CASE("readers share, a writer and readers exclude each other", "[directory][lock]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path();
  own(path)->release();
  const std::string record = read_file(path / "LOCK");
  {
    auto first = own(path, LockMode::Shared);
    auto second = own(path, LockMode::Shared);
    CHECK(first->mode() == LockMode::Shared);
    first->verify();
    second->verify();
    CHECK(error_of([&] { first->set_phase(true, 1); }) == ErrorCode::InvalidArgument);
    CHECK(other_process_tries(path, LockMode::Shared) == kOwned);
    CHECK(other_process_tries(path) == kRefused);
    CHECK(try_own(path) == kRefused);
    const LockStatus status = status_in_child(path);
    CHECK(status.state == LockState::LockedByOther);
    REQUIRE(status.holder.has_value());
    CHECK(status.holder->mode == LockMode::Shared);
    CHECK(status.holder->pid == ::getpid());
    first.reset();
    CHECK(other_process_tries(path) == kRefused);
    CHECK(posix_lock_status(path).state == LockState::LockedByUs);
  }
  CHECK(read_file(path / "LOCK") == record);  // A reader's death cannot look like a crash.
  CHECK_FALSE(own(path)->recovered_stale());
}

TEST_CASE("a waiting writer gets its turn before new readers", "[directory][lock]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path();
  own(path)->release();
  auto reader = own(path, LockMode::Shared);
  ChildProcess writer([&](const ChildProcess::Link& link) {
    auto owner = own(path, LockMode::Exclusive, milliseconds{60'000});
    link.tell_parent();
    link.await_parent();
    return 0;
  });
  // New readers come and go until one is turned away, as the writer stands at the door.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (try_own(path, LockMode::Shared) == kOwned) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::yield();
  }
  reader.reset();
  CHECK(writer.await_child());
  writer.proceed();
  CHECK(writer.exit_status() == 0);
  CHECK(try_own(path, LockMode::Shared) == kOwned);
}

TEST_CASE("a wait ends at its deadline with an error that names the holder", "[directory][lock]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "orders";
  ChildProcess child([&](const ChildProcess::Link& link) {
    auto owner = own(path);
    owner->set_phase(true, 7);
    link.tell_parent();
    link.await_parent();
    return 0;
  });
  REQUIRE(child.await_child());
  const auto begin = std::chrono::steady_clock::now();
  try {
    (void)own(path, LockMode::Exclusive, milliseconds{120});
    FAIL("two owners");
  } catch (const Error& error) {
    const auto waited = std::chrono::steady_clock::now() - begin;
    CHECK(waited >= milliseconds{120});
    CHECK(waited < milliseconds{10'000});
    CHECK(error.code() == ErrorCode::Locked);
    CHECK(error.path() == path);
    const std::string message = error.what();
    CAPTURE(message);
    CHECK(message.starts_with(path.string() + " is held by pid " + std::to_string(child.pid()) +
                              " ("));
    CHECK(message.find(" since 20") != std::string::npos);
    CHECK(message.find("Z, epoch 7; gave up after 120 ms") != std::string::npos);
  }
  // A wait without end does not overflow, and ends when the owner does.
  std::thread killer([&] { child.kill(); });
  auto owner = own(path, LockMode::Exclusive, milliseconds::max());
  killer.join();
  CHECK(owner->recovered_stale());
}

TEST_CASE("a wait of less than nothing is one attempt", "[directory][lock]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  const auto begin = std::chrono::steady_clock::now();
  CHECK(error_of([&] { (void)own(temporary.path(), LockMode::Exclusive, milliseconds{-5}); }) ==
        ErrorCode::Locked);
  CHECK(error_of([&] { (void)own(temporary.path(), LockMode::Exclusive, milliseconds::min()); }) ==
        ErrorCode::Locked);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("descriptors of the lock are closed on exec and are no standard streams",
          "[directory][lock]") {
  const TemporaryDirectory temporary;
  auto owner = own(temporary.path());
  const std::vector<int> descriptors = descriptors_into(temporary.path());
  REQUIRE(descriptors.size() == 2);
  for (const int descriptor : descriptors) {
    CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
  }
  const fs::path list = temporary.path() / "list";
  const int status = in_child([&] {
    const std::string command = "for f in /proc/$$/fd/*; do readlink $f; done > " + list.string();
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    return 1;
  });
  REQUIRE(status == 0);
  CHECK(read_file(list).find("LOCK") == std::string::npos);
  CHECK(read_file(list).find(temporary.path().string() + "\n") == std::string::npos);
  owner.reset();

  const int low = in_child([&] {
    for (int descriptor = 0; descriptor < 3; ++descriptor) ::close(descriptor);
    auto own_of_child = own(temporary.path());
    for (const int descriptor : descriptors_into(temporary.path())) {
      if (descriptor < 3) return 1;
    }
    return 0;
  });
  CHECK(low == 0);
}

TEST_CASE("a LOCK that is no plain file of its own is refused and never followed",
          "[directory][lock]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "orders";
  const fs::path target = temporary.path() / "target";
  fs::create_directory(path);
  SECTION("a symbolic link") {
    write_file(target, "precious");
    fs::create_symlink(target, path / "LOCK");
  }
  SECTION("a dangling symbolic link") {
    fs::create_symlink(target, path / "LOCK");
  }
  SECTION("a second name of another file") {
    write_file(target, "precious");
    fs::create_hard_link(target, path / "LOCK");
  }
  SECTION("a pipe") {
    REQUIRE(::mkfifo((path / "LOCK").c_str(), 0600) == 0);
  }
  const bool existed = fs::exists(target);
  CHECK(error_of([&] { (void)own(path); }) == ErrorCode::Corruption);
  (void)posix_lock_status(path);
  CHECK(fs::exists(target) == existed);
  if (existed) CHECK(read_file(target) == "precious");
}

TEST_CASE("creation makes the directory and LOCK for their owner only", "[directory][lock]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "orders";
  CHECK(error_of([&] { (void)own(path / "deeper"); }) == ErrorCode::NotFound);
  CHECK(error_of([&] { (void)try_own(path); }) == ErrorCode::NotFound);
  CHECK_FALSE(fs::exists(path));
  own(path)->release();
  struct ::stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0700);
  REQUIRE(::stat((path / "LOCK").c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0600);

  const fs::path empty = temporary.path() / "empty";
  fs::create_directory(empty);
  CHECK(error_of([&] { (void)try_own(empty); }) == ErrorCode::NotFound);
  CHECK(fs::is_empty(empty));
  write_file(empty / "MANIFEST", "");
  CHECK(try_own(empty, LockMode::Shared) == kOwned);
  CHECK_FALSE(fs::exists(empty / "LOCK"));  // A reader makes none.
  CHECK(try_own(empty) == kOwned);
  CHECK(fs::exists(empty / "LOCK"));
}

TEST_CASE("a directory that may not be written can be owned by readers, and counts",
          "[directory][lock]") {
  const TemporaryDirectory temporary;
  const bool with_lock_file = GENERATE(false, true);
  const fs::path path = temporary.path() / "orders";
  fs::create_directory(path);
  write_file(path / "MANIFEST", "");
  if (with_lock_file) own(path)->release();
  constexpr ::uid_t kNobody = 65534;
  const bool root = ::geteuid() == 0;
  fs::permissions(temporary.path(), fs::perms(0755));
  fs::permissions(path, fs::perms(0555));
  if (with_lock_file) fs::permissions(path / "LOCK", fs::perms(0444));

  ChildProcess reader([&](const ChildProcess::Link& link) {
    if (root && ::setuid(kNobody) != 0) return 10;
    try {
      (void)own(path);
      return 11;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::ReadOnly) return 12;
    }
    auto shared = own(path, LockMode::Shared);
    shared->verify();
    link.tell_parent();
    link.await_parent();
    return 0;
  });
  REQUIRE(reader.await_child());
  CHECK(fs::exists(path / "LOCK") == with_lock_file);
  const LockStatus status = posix_lock_status(path);
  CHECK(status.state == LockState::LockedByOther);
  REQUIRE(status.holder.has_value());
  CHECK(status.holder->pid == reader.pid());
  CHECK(status.holder->mode == LockMode::Shared);
  if (root) CHECK(try_own(path) == kRefused);
  CHECK(try_own(path, LockMode::Shared) == kOwned);
  reader.proceed();
  CHECK(reader.exit_status() == 0);
  CHECK(posix_lock_status(path).state == LockState::Unlocked);
  fs::permissions(path, fs::perms(0755));
}

TEST_CASE("an owner in another pid namespace is not taken for a dead one", "[directory][lock]") {
  const TemporaryDirectory temporary;
  ChildProcess owner_process([&](const ChildProcess::Link& link) {
    if (::unshare(CLONE_NEWPID) != 0) return 77;
    const ::pid_t inner = ::fork();
    if (inner == 0) {
      auto owner = own(temporary.path());
      owner->set_phase(true, 2);
      if (::getpid() != 1) ::_exit(1);
      link.tell_parent();
      link.await_parent();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(inner, &status, 0);
    return status;
  });
  if (!owner_process.await_child()) {
    CHECK(owner_process.exit_status() == 77);
    WARN("not run: pid namespaces may not be made here");
    return;
  }
  CHECK(try_own(temporary.path()) == kRefused);
  const LockStatus status = posix_lock_status(temporary.path());
  CHECK(status.state == LockState::LockedByOther);
  CHECK_FALSE(status.orphaned);
  REQUIRE(status.holder.has_value());
  CHECK(status.holder->pid == 1);
  CHECK(status.holder->writer_epoch == 2);
  owner_process.proceed();
  CHECK(owner_process.exit_status() == 0);
}

TEST_CASE("threads of one process own the directory one at a time", "[directory][lock]") {
  const TemporaryDirectory temporary;
  own(temporary.path())->release();
  std::atomic<int> owners{0}, overlaps{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 25; ++round) {
        auto owner = own(temporary.path(), LockMode::Exclusive, std::chrono::seconds(60));
        if (owners.fetch_add(1) != 0) ++overlaps;
        owner->verify();
        (void)posix_lock_status(temporary.path());
        owners.fetch_sub(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(overlaps == 0);
}

TEST_CASE("network file systems are known by their numbers", "[directory][lock]") {
  CHECK(is_network_file_system(0x6969));
  CHECK(is_network_file_system(0xff534d42));
  CHECK(is_network_file_system(0xfe534d42));
  CHECK(is_network_file_system(0x65735546));
  CHECK(is_network_file_system(0x01021997));
  CHECK_FALSE(is_network_file_system(0xef53));      // ext4
  CHECK_FALSE(is_network_file_system(0x58465342));  // XFS
  CHECK_FALSE(is_network_file_system(0x9123683e));  // Btrfs
  CHECK_FALSE(is_network_file_system(0x01021994));  // tmpfs
  CHECK_FALSE(is_network_file_system(0x794c7630));  // overlayfs
}

}  // namespace varve::directory
