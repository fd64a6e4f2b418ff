// SPDX-License-Identifier: Apache-2.0
#include "directory/mutex.hpp"

#include <chrono>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <thread>
#include <vector>

#include "directory/futex.hpp"
#include "tests/directory/mutex_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

using namespace std::chrono_literals;
using test::thrown_by;

const LockClass kSegments("segment", 50), kLog("log", 60);

}  // namespace

TEST_CASE("a held mutex is refused to others and free afterwards", "[directory][mutex]") {
  Mutex mutex(kLog);
  mutex.lock();
  CHECK(mutex.held_by_this_thread());
  std::thread([&] {
    CHECK_FALSE(mutex.held_by_this_thread());
    CHECK_FALSE(mutex.try_lock());
    CHECK_FALSE(mutex.try_lock_for(1ms));
    CHECK_FALSE(mutex.try_lock_until(Mutex::Clock::now() - 1h));
  }).join();
  mutex.unlock();
  CHECK(mutex.holder() == 0);
  std::thread([&] {
    CHECK(mutex.try_lock_until(Mutex::Clock::now() - 1h));
    mutex.unlock();
  }).join();
}

TEST_CASE("the standard's locks and condition variables take it", "[directory][mutex]") {
  Mutex segment(kSegments, 1), log(kLog);
  std::condition_variable_any changed;
  bool is_set = false;
  std::thread setter([&] {
    const std::scoped_lock lock(segment, log);
    is_set = true;
    changed.notify_one();
  });
  {
    std::unique_lock lock(segment);
    changed.wait(lock, [&] { return is_set; });
    CHECK(segment.held_by_this_thread());
  }
  setter.join();
  CHECK(segment.holder() == 0);
}

TEST_CASE("increments under the lock are all counted", "[directory][mutex]") {
  constexpr int kThreads = 4, kRounds = 20'000;
  Mutex mutex(kLog);
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const MutexLock lock(mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(count == kThreads * kRounds);
}

TEST_CASE("a deadline that passes is told from a deadlock, and names the holder",
          "[directory][mutex]") {
  Mutex mutex(kSegments, 12);
  mutex.lock();
  const std::uint32_t holder = thread_number();
  std::thread([&] {
    const Error error = thrown_by([&] { mutex.lock_before(Mutex::Clock::now()); });
    CHECK(error.code() == ErrorCode::Busy);
    CHECK(std::string(error.what()) ==
          "a lock was not free before the deadline: thread " + std::to_string(thread_number()) +
              " waits for segment 12; thread " + std::to_string(holder) + " holds segment 12");
  }).join();
  mutex.unlock();
}

TEST_CASE("who gives up passes on the wake-up that it has consumed", "[directory][mutex]") {
  Mutex mutex(kLog);
  mutex.lock();
  for (bool in_time = false; !in_time;) {
    const auto deadline = Mutex::Clock::now() + 50ms;
    std::thread late([&] { CHECK_FALSE(mutex.try_lock_until(deadline)); });
    MutexTestAccess::await_waiter(mutex);
    const auto begin = Mutex::Clock::now();
    while (Mutex::Clock::now() - begin < 5ms) std::this_thread::yield();
    // As if unlock() had woken that thread and a newcomer had been faster: others may sleep, and
    // the word does not say so.
    MutexTestAccess::word(mutex).fetch_and(~MutexTestAccess::kWaiters);
    in_time = Mutex::Clock::now() < deadline;  // Else it had given up before.
    late.join();
    if (in_time) CHECK((MutexTestAccess::word(mutex).load() & MutexTestAccess::kWaiters) != 0);
  }
  mutex.unlock();
}

TEST_CASE("newcomers let a starving waiter go first, and do not wait for one that is gone",
          "[directory][mutex]") {
  Mutex mutex(kLog);
  MutexTestAccess::word(mutex) = MutexTestAccess::kStarving;
  const auto begin = Mutex::Clock::now();
  mutex.lock();
  CHECK(Mutex::Clock::now() - begin >= 1ms);
  mutex.unlock();
  // A try takes it at once: it must not fail while nobody holds the lock.
  MutexTestAccess::word(mutex) = MutexTestAccess::kStarving;
  CHECK(mutex.try_lock());
  mutex.unlock();
  CHECK(MutexTestAccess::word(mutex) == 0);
}

TEST_CASE("a waiter that was overtaken for long asks for precedence", "[directory][mutex]") {
  Mutex mutex(kLog);
  mutex.lock();
  std::thread waiter([&] { const MutexLock lock(mutex); });
  MutexTestAccess::await_waiter(mutex);
  const auto begin = Mutex::Clock::now();
  while (Mutex::Clock::now() - begin < 2ms) std::this_thread::yield();
  // A wake-up that brings it nothing; the lock is still held.
  while ((MutexTestAccess::word(mutex).load() & MutexTestAccess::kStarving) == 0) {
    futex_wake_one(&MutexTestAccess::word(mutex));
    std::this_thread::yield();
  }
  mutex.unlock();
  waiter.join();
  CHECK(mutex.holder() == 0);
}

TEST_CASE("thread numbers are small, unique and used again", "[directory][mutex]") {
  const std::uint32_t self = thread_number();
  std::uint32_t first = 0, second = 0, both[2] = {};
  std::thread([&] { first = thread_number(); }).join();
  std::thread([&] { second = thread_number(); }).join();
  CHECK(first == second);
  CHECK(first != self);
  std::latch alive(2);
  std::thread other([&] {
    both[0] = thread_number();
    alive.arrive_and_wait();
  });
  std::thread([&] {
    both[1] = thread_number();
    alive.arrive_and_wait();
  }).join();
  other.join();
  CHECK(both[0] != both[1]);
}

}  // namespace varve::directory
