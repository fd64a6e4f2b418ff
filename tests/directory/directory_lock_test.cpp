// SPDX-License-Identifier: Apache-2.0
#include "varve/directory_lock.hpp"

#include <filesystem>
#include <utility>

#include "tests/directory/child_process.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/error.hpp"

namespace varve {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using test::ChildProcess;
using test::error_of;
using test::in_child;
using test::TemporaryDirectory;

}  // namespace

TEST_CASE("lock states keep their numbers and names", "[lib][lock]") {
  CHECK(static_cast<int>(LockState::NotInitialized) == -1);
  CHECK(static_cast<int>(LockState::LockedByOther) == 0);
  CHECK(static_cast<int>(LockState::Unlocked) == 1);
  CHECK(static_cast<int>(LockState::LockedByUs) == 2);
  CHECK(to_string(LockState::NotInitialized) == "NotInitialized");
  CHECK(to_string(LockState::LockedByOther) == "LockedByOther");
  CHECK(to_string(LockState::Unlocked) == "Unlocked");
  CHECK(to_string(LockState::LockedByUs) == "LockedByUs");
}

TEST_CASE("a directory lock goes through its states", "[lib][lock]") {
  const TemporaryDirectory temporary;
  DirectoryLock lock(temporary.path());
  CHECK(lock.state() == LockState::NotInitialized);
  CHECK(fs::is_empty(temporary.path()));
  lock.lock();
  CHECK(lock.state() == LockState::LockedByUs);
  CHECK(lock.health());
  CHECK(lock_status(temporary.path()).state == LockState::LockedByUs);
  lock.lock(milliseconds{0});  // Held already, in this mode.
  CHECK(lock.try_lock());
  CHECK(error_of([&] { lock.lock(milliseconds{0}, LockMode::Shared); }) ==
        ErrorCode::InvalidArgument);
  lock.unlock();
  lock.unlock();
  CHECK(lock.state() == LockState::Unlocked);
  CHECK(lock.health());
  CHECK(lock.try_lock(LockMode::Shared));
  CHECK(lock.state() == LockState::LockedByUs);
}

TEST_CASE("another directory lock of the process counts as somebody else", "[lib][lock]") {
  const TemporaryDirectory temporary;
  DirectoryLock first(temporary.path());
  DirectoryLock second(temporary.path() / ".");
  first.lock();
  CHECK(second.state() == LockState::LockedByOther);
  CHECK_FALSE(second.try_lock());
  CHECK(error_of([&] { second.lock(milliseconds{5}); }) == ErrorCode::Locked);
  CHECK_THROWS_WITH(second.lock(milliseconds{0}), Catch::Contains("held by this process, pid"));
  CHECK(in_child([&] { return DirectoryLock(temporary.path()).try_lock() ? 1 : 0; }) == 0);
  first.unlock();
  CHECK(second.state() == LockState::Unlocked);
  CHECK(second.try_lock());
}

TEST_CASE("a directory lock held by another process is waited for", "[lib][lock]") {
  const TemporaryDirectory temporary;
  ChildProcess child([&](const ChildProcess::Link& link) {
    DirectoryLock held(temporary.path());
    held.lock();
    link.tell_parent();
    link.await_parent();
    held.unlock();
    link.tell_parent();
    link.await_parent();
    return 0;
  });
  REQUIRE(child.await_child());
  DirectoryLock lock(temporary.path());
  CHECK(lock.state() == LockState::LockedByOther);
  CHECK(lock.status().holder->pid == child.pid());
  CHECK_FALSE(lock.try_lock());
  child.proceed();
  lock.lock();
  CHECK(lock.state() == LockState::LockedByUs);
  CHECK(child.await_child());
}

TEST_CASE("moving a directory lock moves the ownership", "[lib][lock]") {
  const TemporaryDirectory temporary;
  DirectoryLock first(temporary.path());
  first.lock();
  {
    DirectoryLock second(std::move(first));
    CHECK(second.state() == LockState::LockedByUs);
    CHECK(error_of([&] { first.lock(); }) == ErrorCode::Closed);
  }
  CHECK(lock_status(temporary.path()).state == LockState::Unlocked);
}

TEST_CASE("a forked child's directory lock throws at every call and unlocks nothing",
          "[lib][lock][fork]") {
  const TemporaryDirectory temporary;
  auto lock = std::make_unique<DirectoryLock>(temporary.path());
  lock->lock();
  const int status = in_child([&] {
    int refused = 0;
    const auto count = [&refused](const std::function<void()>& call) {
      try {
        call();
      } catch (const Error& error) {
        if (error.code() == ErrorCode::ForkedHandle) ++refused;
      }
    };
    count([&] { (void)lock->status(); });
    count([&] { lock->lock(); });
    count([&] { (void)lock->try_lock(); });
    count([&] { lock->unlock(); });
    lock.reset();
    return refused;
  });
  CHECK(status == 4);
  CHECK(in_child([&] { return DirectoryLock(temporary.path()).try_lock() ? 1 : 0; }) == 0);
}

TEST_CASE("a directory lock needs a directory", "[lib][lock]") {
  const TemporaryDirectory temporary;
  CHECK(error_of([&] { DirectoryLock lock(temporary.path() / "absent"); }) == ErrorCode::NotFound);
  fs::create_symlink("nowhere", temporary.path() / "dangling");
  CHECK(error_of([&] { DirectoryLock lock(temporary.path() / "dangling"); }) ==
        ErrorCode::NotFound);
  CHECK(lock_status(temporary.path() / "absent").state == LockState::NotInitialized);
}

}  // namespace varve
