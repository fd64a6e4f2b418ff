// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "directory/acquire_multiple.hpp"
#include "directory/lock_monitor.hpp"
#include "directory/mutex.hpp"
#include "tests/support/catch.hpp"

namespace varve::directory {
namespace {

using namespace std::chrono_literals;

constexpr auto kTime = 2s;
constexpr int kThreadCount = 8;

template <typename Body>
void in_threads(Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreadCount; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

// A lost wake-up hangs these: the test's time limit is what fails.

TEST_CASE("locks, tries and deadlines mixed lose no wake-up", "[directory][mutex-stress]") {
  LockHealthOptions options;
  options.enabled = GENERATE(false, true);
  options.deadlock_check_after = 1ms;
  const auto monitor = make_lock_monitor(options);
  const LockClass lock_class("lock", 1, monitor.get());
  Mutex mutex(lock_class);
  std::uint64_t count = 0;  // Guarded by mutex.
  std::atomic<std::uint64_t> expected = 0;
  const auto end = Mutex::Clock::now() + kTime;
  in_threads([&](int number) {
    std::mt19937 random(static_cast<unsigned>(number));
    std::uint64_t taken = 0;
    while (Mutex::Clock::now() < end) {
      const unsigned choice = random() % 8;
      if (choice < 3) {
        mutex.lock();
      } else if (choice == 3) {
        if (!mutex.try_lock()) continue;
      } else if (!mutex.try_lock_for(std::chrono::microseconds(random() % 100))) {
        continue;
      }
      ++count;
      ++taken;
      if (choice == 7) std::this_thread::yield();  // Others find it held, and sleep.
      mutex.unlock();
    }
    expected += taken;
  });
  CHECK(count == expected);
  CHECK(mutex.try_lock());
  mutex.unlock();
  if (monitor != nullptr) CHECK(monitor->report().classes[0].deadlock_count == 0);
}

TEST_CASE("a condition handed round loses nobody", "[directory][mutex-stress]") {
  const LockClass lock_class("lock", 1);
  Mutex mutex(lock_class);
  std::condition_variable_any changed;
  int turn = 0;  // Guarded by mutex; kThreadCount: over.
  const auto end = Mutex::Clock::now() + kTime / 2;
  in_threads([&](int number) {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return turn == number || turn == kThreadCount; });
      if (turn != kThreadCount) {
        turn = Mutex::Clock::now() < end ? (number + 1) % kThreadCount : kThreadCount;
      }
      changed.notify_all();
      if (turn == kThreadCount) return;
    }
  });
  CHECK(mutex.holder() == 0);
}

TEST_CASE("a mutex may be destroyed by the thread that took it next", "[directory][mutex-stress]") {
  struct Counted {
    explicit Counted(const LockClass& lock_class) : mutex(lock_class) {}
    Mutex mutex;
    int owner_count = 2;  // Guarded by mutex.
  };
  const LockClass lock_class("lock", 1);
  const auto end = Mutex::Clock::now() + kTime / 2;
  std::atomic<Counted*> handed = nullptr;
  const auto drop = [](Counted* counted) {
    counted->mutex.lock();
    const bool is_last = --counted->owner_count == 0;
    counted->mutex.unlock();
    if (is_last) delete counted;
  };
  std::atomic<bool> is_over = false;
  std::thread other([&] {
    while (!is_over) {
      if (Counted* counted = handed.exchange(nullptr)) drop(counted);
    }
  });
  while (Mutex::Clock::now() < end) {
    auto* counted = new Counted(lock_class);
    handed = counted;
    drop(counted);
    while (handed != nullptr) std::this_thread::yield();
  }
  is_over = true;
  other.join();
}

TEST_CASE("overlapping sets with and without deadlines go on", "[directory][mutex-stress]") {
  const LockClass lock_class("lock", 1);
  std::vector<std::unique_ptr<Mutex>> mutexes;
  for (std::uint32_t i = 0; i < 6; ++i) {
    mutexes.push_back(std::make_unique<Mutex>(lock_class, i));
  }
  std::vector<int> counts(mutexes.size());  // Each guarded by its mutex.
  std::atomic<int> expected = 0;
  const auto end = Mutex::Clock::now() + kTime / 2;
  in_threads([&](int number) {
    std::mt19937 random(static_cast<unsigned>(number));
    while (Mutex::Clock::now() < end) {
      std::vector<Mutex*> wanted;
      for (int i = 0; i < 3; ++i) wanted.push_back(mutexes[random() % mutexes.size()].get());
      const bool is_bounded = random() % 2 == 0;
      const auto held = try_acquire_multiple(
          wanted, is_bounded ? Mutex::Clock::now() + 20us : Mutex::Clock::time_point::max());
      if (!held) continue;
      for (const Mutex* mutex : held->mutexes()) ++counts[mutex->order_number()];
      expected += static_cast<int>(held->mutexes().size());
    }
  });
  int sum = 0;
  for (const int count : counts) sum += count;
  CHECK(sum == expected);
}

}  // namespace varve::directory
