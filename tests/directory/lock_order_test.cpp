// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <csignal>
#include <functional>
#include <mutex>
#include <string>

#include "directory/mutex.hpp"
#include "tests/directory/child_process.hpp"
#include "tests/support/catch.hpp"

namespace varve::directory {
namespace {

const LockClass kSegments("segment", 50), kLog("log", 60), kFree("free", LockClass::kUnordered);

[[maybe_unused]] constexpr int kAborted = 128 + SIGABRT;

struct Ending {
  int status = 0;
  std::string message;  // On stderr.
};

Ending ending_of(const std::function<void()>& body) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Ending ending;
  ending.status = test::in_child([&] {
    ::dup2(ends[1], STDERR_FILENO);
    std::signal(SIGABRT, SIG_DFL);
    body();
    return 0;
  });
  ::close(ends[1]);
  char bytes[512];
  for (::ssize_t size = 0; (size = ::read(ends[0], bytes, sizeof bytes)) > 0;) {
    ending.message.append(bytes, static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  return ending;
}

}  // namespace

TEST_CASE("locks in order are let through", "[directory][lock-order]") {
  const Ending ending = ending_of([] {
    Mutex first(kSegments, 1), second(kSegments, 2), log(kLog), unordered(kFree);
    const std::scoped_lock a(first), b(second), c(log), d(unordered);
    Mutex late(kSegments, 3);
    // It cannot wait, so it cannot be part of a deadlock.
    if (!late.try_lock()) ::_exit(1);
    late.unlock();
  });
  CHECK(ending.status == 0);
  CHECK(ending.message.empty());
}

TEST_CASE("an order violation aborts and names both locks", "[directory][lock-order]") {
#if defined(VARVE_ENABLE_DCHECK)
  const auto check = [](const Ending& ending, const std::string& message) {
    CHECK(ending.status == kAborted);
    CHECK(ending.message == "varve: bug: lock order: " + message + "\n");
  };
  check(ending_of([] {
          Mutex segment(kSegments, 12), log(kLog);
          const std::scoped_lock a(log), b(segment);
        }),
        "segment 12 (rank 50) is wanted while log (rank 60) is held, which comes after it");
  check(ending_of([] {
          Mutex low(kSegments, 3), high(kSegments, 12);
          const std::scoped_lock a(high), b(low);
        }),
        "segment 3 (rank 50) is wanted while segment 12 (rank 50) is held, which comes after it");
  check(ending_of([] {
          Mutex log(kLog);
          const MutexLock a(log), b(log);
        }),
        "log (rank 60) is wanted while log (rank 60) is held, and is not re-entrant");
  // A try may be out of order, but counts for what comes next; so does a timed acquisition.
  check(ending_of([] {
          Mutex segment(kSegments, 1), log(kLog), other(kSegments, 2);
          if (!log.try_lock() || !other.try_lock()) ::_exit(1);
          log.unlock();
          if (segment.try_lock_until(Mutex::Clock::now())) ::_exit(1);
        }),
        "segment 1 (rank 50) is wanted while segment 2 (rank 50) is held, which comes after it");
  CHECK(ending_of([] { Mutex(kLog).unlock(); }).status == kAborted);
  CHECK(ending_of([] { Mutex(kLog).assert_held(); }).status == kAborted);
#else
  CHECK(ending_of([] {
          Mutex segment(kSegments, 12), log(kLog);
          const std::scoped_lock a(log), b(segment);
        }).status == 0);
#endif
}

}  // namespace varve::directory
