// SPDX-License-Identifier: Apache-2.0
#include "directory/lock_monitor.hpp"

#include <chrono>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "directory/mutex.hpp"
#include "tests/directory/mutex_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"

namespace varve::directory {
namespace {

using namespace std::chrono_literals;
using test::error_of;

LockHealthOptions watch_all() {
  LockHealthOptions options;
  options.enabled = true;
  options.sample_period = 1;
  options.window_wait_count = 4;
  return options;
}

// The distance to the next sample is a thread's own: a new thread begins afresh.
template <typename Body>
void in_thread(Body body) {
  std::thread(body).join();
}

void acquire(Mutex& mutex, int count) {
  in_thread([&] {
    for (int i = 0; i < count; ++i) const MutexLock lock(mutex);
  });
}

}  // namespace

TEST_CASE("without a monitor nothing is observed", "[directory][lock-monitor]") {
  CHECK(make_lock_monitor({}) == nullptr);
  const LockClass lock_class("log", 60, nullptr);
  CHECK(lock_class.figures() == nullptr);
  LockHealthOptions options;
  options.sample_period = 0;
  CHECK(error_of([&] { (void)make_lock_monitor(options); }) == ErrorCode::InvalidArgument);
}

TEST_CASE("acquisitions are counted without waits, and every hold is timed by period 1",
          "[directory][lock-monitor]") {
  const auto monitor = make_lock_monitor(watch_all());
  const LockClass segments("segment", 50, monitor.get()), log("log", 60, monitor.get());
  Mutex segment(segments, 3), log_mutex(log);
  acquire(segment, 100);
  acquire(log_mutex, 7);
  in_thread([&] {
    const MutexLock lock(log_mutex);
    const auto begin = Mutex::Clock::now();
    while (Mutex::Clock::now() - begin < 2ms) std::this_thread::yield();
  });
  const LockReport report = monitor->report();
  REQUIRE(report.classes.size() == 2);
  CHECK(report.classes[0].name == "segment");
  CHECK(report.classes[0].rank == 50);
  CHECK(report.classes[0].acquisition_count == 100);
  CHECK(report.classes[0].hold.count == 100);
  CHECK(report.classes[0].wait.count == 0);
  CHECK(report.classes[1].acquisition_count == 8);
  CHECK(report.classes[1].hold.max >= 2ms);
  CHECK(report.classes[1].hold.p50 < 2ms);
  CHECK(report.most_waited_for.empty());
}

TEST_CASE("samples stand for all acquisitions, also of locks that are taken by turns",
          "[directory][lock-monitor]") {
  LockHealthOptions options = watch_all();
  options.sample_period = 64;
  const auto monitor = make_lock_monitor(options);
  const LockClass segments("segment", 50, monitor.get()), log("log", 60, monitor.get());
  Mutex segment(segments, 3), log_mutex(log);
  in_thread([&] {
    for (int i = 0; i < 200'000; ++i) {
      const MutexLock lock(segment);
      const MutexLock other(log_mutex);
    }
  });
  for (const LockClassReport& one : monitor->report().classes) {
    CAPTURE(one.name);
    CHECK(one.acquisition_count > 180'000);
    CHECK(one.acquisition_count < 220'000);
    CHECK(one.hold.count * 64 == one.acquisition_count);
  }
}

TEST_CASE("a wait is timed from its begin to its end, and so is one that ends without the lock",
          "[directory][lock-monitor]") {
  const auto monitor = make_lock_monitor(watch_all());
  const LockClass segments("segment", 50, monitor.get());
  Mutex segment(segments, 12);
  segment.lock();
  std::chrono::nanoseconds around{0};
  std::thread waiter([&] {
    const auto begin = Mutex::Clock::now();
    segment.lock();
    around = Mutex::Clock::now() - begin;
    segment.unlock();
  });
  MutexTestAccess::await_waiter(segment);
  const auto begin = Mutex::Clock::now();
  while (Mutex::Clock::now() - begin < 3ms) std::this_thread::yield();
  segment.unlock();
  waiter.join();
  LockClassReport one = monitor->report().classes.at(0);
  CHECK(one.wait.count == 1);
  CHECK(one.wait.max >= 3ms);
  CHECK(one.wait.max <= around);
  CHECK(one.wait.average == one.wait.max);
  CHECK(one.timeout_count == 0);

  segment.lock();
  in_thread([&] { CHECK_FALSE(segment.try_lock_for(1ms)); });
  segment.unlock();
  const LockReport report = monitor->report();
  one = report.classes.at(0);
  CHECK(one.wait.count == 2);
  CHECK(one.timeout_count == 1);
  CHECK(one.deadlock_count == 0);
  REQUIRE(report.most_waited_for.size() == 1);
  CHECK(report.most_waited_for[0].name == "segment 12");
  CHECK(report.most_waited_for[0].wait_count == 2);
  CHECK(to_string(report).find("segment 12") != std::string::npos);
}

TEST_CASE("a lock that is waited for often is known beside many others",
          "[directory][lock-monitor]") {
  const auto monitor = make_lock_monitor(watch_all());
  const LockClass segments("segment", 50, monitor.get());
  Mutex hot(segments, 777);
  for (std::uint32_t i = 0; i < 1'000; ++i) {
    Mutex other(segments, i);
    monitor->note_wait(*segments.figures(), other, 1us, nullptr);
    monitor->note_wait(*segments.figures(), hot, 1us, nullptr);
  }
  const auto locks = monitor->report().most_waited_for;
  REQUIRE(locks.size() == 16);
  CHECK(locks[0].name == "segment 777");
  CHECK(locks[0].wait_count > 900);
  CHECK(locks[0].wait_count <= 1'001);
  CHECK(locks[1].wait_count < 20);
}

TEST_CASE("an alert comes once when contention becomes high, and again after it was low",
          "[directory][lock-monitor]") {
  std::vector<LockAlert> alerts;
  LockHealthOptions options = watch_all();
  options.on_alert = [&](const LockAlert& alert) {
    alerts.push_back(alert);
    throw std::runtime_error("dropped");
  };
  const auto monitor = make_lock_monitor(options);
  const LockClass segments("segment", 50, monitor.get());
  Mutex segment(segments, 1);
  // A window of four waits among `acquisitions`.
  const auto window = [&](int acquisitions, std::chrono::nanoseconds wait) {
    acquire(segment, acquisitions);
    for (int i = 0; i < 4; ++i) {
      monitor->note_wait(*segments.figures(), segment, wait, nullptr);
    }
    return alerts.size();
  };
  CHECK(window(1'000, 9ms) == 0);
  CHECK(window(1'000, 10ms) == 1);
  CHECK(alerts[0].kind == LockAlertKind::HighLockContention);
  CHECK(to_string(alerts[0].kind) == "HIGH_LOCK_CONTENTION");
  CHECK(alerts[0].lock == "segment");
  CHECK(alerts[0].details ==
        "over the last 4 waits, 0 % of the acquisitions waited, 10000.0 us on average");
  CHECK(monitor->report().classes[0].is_contention_high);
  CHECK(window(1'000, 20ms) == 1);
  CHECK(window(1'000, 6ms) == 1);  // Not yet below half.
  CHECK(window(1'000, 20ms) == 1);
  CHECK(window(1'000, 1ms) == 1);
  CHECK_FALSE(monitor->report().classes[0].is_contention_high);
  CHECK(window(17, 1us) == 1);  // 4 of 17 waited.
  CHECK(window(16, 1us) == 2);  // 4 of 16: a quarter.
  CHECK(alerts[1].details.find("25 % of the acquisitions waited") != std::string::npos);
}

TEST_CASE("a deadlock is found and reported once, also when nobody has a deadline",
          "[directory][lock-monitor]") {
  std::vector<LockAlert> alerts;
  LockHealthOptions options = watch_all();
  options.deadlock_check_after = 1ms;
  std::function<void()> dissolve;
  options.on_alert = [&](const LockAlert& alert) {
    alerts.push_back(alert);
    dissolve();
  };
  const auto monitor = make_lock_monitor(options);
  const LockClass watched("log", LockClass::kUnordered, monitor.get());
  const LockClass unwatched("segment", LockClass::kUnordered);
  Mutex log(watched), segment(unwatched, 12);
  // The thread that finds it holds the segment, and lets it go.
  dissolve = [&] { segment.unlock(); };
  std::latch both(2);
  std::uint32_t other_number = 0, number = 0;
  std::thread other([&] {
    other_number = thread_number();
    log.lock();
    both.arrive_and_wait();
    segment.lock();
    segment.unlock();
    log.unlock();
  });
  in_thread([&] {
    number = thread_number();
    segment.lock();
    both.arrive_and_wait();
    log.lock();
    log.unlock();
  });
  other.join();
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].kind == LockAlertKind::DeadlockDetected);
  CHECK(to_string(alerts[0].kind) == "DEADLOCK_DETECTED");
  CHECK(alerts[0].lock == "log");
  const std::string one = "thread " + std::to_string(number) + " holds segment 12 waits for log";
  const std::string two =
      "thread " + std::to_string(other_number) + " holds log waits for segment 12";
  CHECK(alerts[0].details == (number < other_number ? one + "; " + two : two + "; " + one));
  CHECK(monitor->report().classes[0].deadlock_count == 1);
}

TEST_CASE("both ends of one deadlock count it once, and a second one counts again",
          "[directory][lock-monitor]") {
  const auto monitor = make_lock_monitor(watch_all());
  const LockClass locks("lock", LockClass::kUnordered, monitor.get());
  Mutex mutex(locks, 1);
  WaitGraph graph;
  graph.is_deadlock = true;
  for (const std::uint64_t id : {7, 7, 8}) {
    graph.circle_id = id;
    monitor->note_wait(*locks.figures(), mutex, 1us, &graph);
  }
  CHECK(monitor->report().classes[0].deadlock_count == 2);
  CHECK(monitor->report().classes[0].timeout_count == 3);
}

}  // namespace varve::directory
