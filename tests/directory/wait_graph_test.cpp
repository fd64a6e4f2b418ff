// SPDX-License-Identifier: Apache-2.0
#include "directory/wait_graph.hpp"

#include <atomic>
#include <chrono>
#include <latch>
#include <string>
#include <thread>

#include "directory/mutex.hpp"
#include "tests/directory/mutex_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"

namespace varve::directory {
namespace {

using test::thrown_by;

// Ranks would make checked builds abort before the threads can block each other.
const LockClass kSegments("segment", LockClass::kUnordered), kLog("log", LockClass::kUnordered);

std::string thread_name(std::uint32_t number) {
  return "thread " + std::to_string(number);
}

// A thread that takes `first`, then waits for `second` until it gets it.
class Waiter {
 public:
  Waiter(Mutex& first, Mutex& second) : thread_([this, &first, &second] { run(first, second); }) {
    has_first_.wait();
  }
  // When it waits.
  void go(Mutex& second) {
    may_wait_.count_down();
    MutexTestAccess::await_waiter(second);
  }
  void join() { thread_.join(); }
  [[nodiscard]] std::string name() const { return thread_name(number_); }
  [[nodiscard]] std::uint32_t number() const { return number_; }

 private:
  void run(Mutex& first, Mutex& second) {
    const MutexLock lock(first);
    number_ = thread_number();
    has_first_.count_down();
    may_wait_.wait();
    const MutexLock other(second);
  }

  std::uint32_t number_ = 0;
  std::latch has_first_{1}, may_wait_{1};
  std::thread thread_;
};

}  // namespace

TEST_CASE("two threads that wait for each other are shown as a circle", "[directory][wait-graph]") {
  Mutex segment(kSegments, 12), log(kLog);
  log.lock();
  Waiter waiter(segment, log);
  waiter.go(log);
  const Error error = thrown_by([&] { segment.lock_before(Mutex::Clock::now()); });
  CHECK(error.code() == ErrorCode::PotentialDeadlock);
  CHECK(to_string(error.code()) == "PotentialDeadlock");
  const std::string self = thread_name(thread_number()) + " holds log waits for segment 12";
  const std::string other = waiter.name() + " holds segment 12 waits for log";
  CHECK(std::string(error.what()) ==
        "potential deadlock: " +
            (thread_number() < waiter.number() ? self + "; " + other : other + "; " + self));
  log.unlock();
  waiter.join();
}

TEST_CASE("who waits behind a circle of others sees it too", "[directory][wait-graph]") {
  Mutex first(kSegments, 1), second(kSegments, 2), third(kSegments, 3);
  third.lock();
  Waiter one(first, second);
  Waiter two(second, third);
  one.go(second);
  two.go(third);
  WaitGraph outside, inside;
  std::atomic<bool> is_seen = false;
  std::thread observer([&] {
    while (!outside.is_deadlock) (void)second.try_lock_until(Mutex::Clock::now(), &outside);
    is_seen = true;
  });
  // The circle is closed while this thread waits, and its own look always finds it.
  while (!is_seen) {
    CHECK_FALSE(first.try_lock_for(std::chrono::milliseconds(20), &inside));
    CHECK(inside.is_deadlock);
  }
  observer.join();
  CHECK(outside.text == inside.text);
  CHECK(inside.text.find(one.name() + " holds segment 1 waits for segment 2") != std::string::npos);
  CHECK(inside.text.find(two.name() + " holds segment 2 waits for segment 3") != std::string::npos);
  CHECK(inside.text.find(" holds segment 3 waits for segment 1") != std::string::npos);
  third.unlock();
  one.join();
  two.join();
}

TEST_CASE("a chain that ends with a thread at work is no deadlock", "[directory][wait-graph]") {
  Mutex segment(kSegments, 12), log(kLog);
  log.lock();
  Waiter waiter(segment, log);
  waiter.go(log);
  WaitGraph graph;
  std::uint32_t number = 0;
  std::thread([&] {
    number = thread_number();
    CHECK_FALSE(segment.try_lock_until(Mutex::Clock::now(), &graph));
  }).join();
  CHECK_FALSE(graph.is_deadlock);
  CHECK(graph.text == thread_name(number) + " waits for segment 12; " + waiter.name() +
                          " holds segment 12 waits for log; " + thread_name(thread_number()) +
                          " holds log");
  log.unlock();
  waiter.join();
}

TEST_CASE("who has just got the lock, and not yet said so, waits no longer",
          "[directory][wait-graph]") {
  Mutex log(kLog);
  const MutexLock lock(log);
  const PublishedWait not_yet_ended(log);
  WaitGraph graph;
  std::uint32_t number = 0;
  std::thread([&] {
    number = thread_number();
    CHECK_FALSE(log.try_lock_until(Mutex::Clock::now(), &graph));
  }).join();
  CHECK_FALSE(graph.is_deadlock);
  CHECK(graph.text ==
        thread_name(number) + " waits for log; " + thread_name(thread_number()) + " holds log");
}

#if !defined(VARVE_ENABLE_DCHECK)
TEST_CASE("a thread that waits for itself is a circle of one", "[directory][wait-graph]") {
  Mutex log(kLog);
  log.lock();
  WaitGraph graph;
  CHECK_FALSE(log.try_lock_until(Mutex::Clock::now(), &graph));
  CHECK(graph.is_deadlock);
  CHECK(graph.text == thread_name(thread_number()) + " holds log waits for log");
  log.unlock();
}
#endif

}  // namespace varve::directory
