// SPDX-License-Identifier: Apache-2.0
#include "directory/acquire_multiple.hpp"

#include <latch>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"

namespace varve::directory {
namespace {

using test::error_of;

const LockClass kSegments("segment", 50), kLog("log", 60);

}  // namespace

TEST_CASE("several locks are taken in the lock order, each once", "[directory][acquire-multiple]") {
  Mutex log(kLog, 1), first(kSegments, 1), second(kSegments, 2), third(kSegments, 3);
  HeldMutexes held = acquire_multiple({&third, &log, &first, &third, &second, &first});
  CHECK(held.mutexes() == std::vector<Mutex*>{&first, &second, &third, &log});
  for (const Mutex* mutex : held.mutexes()) CHECK(mutex->held_by_this_thread());
  HeldMutexes moved = std::move(held);
  CHECK(first.holder() != 0);
  moved = acquire_multiple({});
  for (const Mutex* mutex : {&log, &first, &second, &third}) CHECK(mutex->holder() == 0);
}

TEST_CASE("several locks by a deadline are all or nothing", "[directory][acquire-multiple]") {
  Mutex first(kSegments, 1), second(kSegments, 2), third(kSegments, 3);
  const std::vector<Mutex*> all = {&third, &second, &first};
  std::latch is_held(1), may_end(1);
  std::thread holder([&] {
    const MutexLock lock(second);
    is_held.count_down();
    may_end.wait();
  });
  is_held.wait();
  WaitGraph why;
  CHECK_FALSE(try_acquire_multiple(all, Mutex::Clock::now(), &why).has_value());
  CHECK(why.text.find("waits for segment 2") != std::string::npos);
  CHECK(error_of([&] { (void)acquire_multiple_before(all, Mutex::Clock::now()); }) ==
        ErrorCode::Busy);
  CHECK(first.holder() == 0);
  CHECK(third.holder() == 0);
  may_end.count_down();
  holder.join();
  const auto held = acquire_multiple_before(all, Mutex::Clock::now());
  CHECK(held.mutexes().size() == 3);
}

TEST_CASE("threads that take overlapping sets do not block each other for ever",
          "[directory][acquire-multiple]") {
  constexpr int kRounds = 2'000;
  Mutex first(kSegments, 1), second(kSegments, 2), third(kSegments, 3);
  int count = 0;
  const auto run = [&](std::vector<Mutex*> mutexes) {
    for (int round = 0; round < kRounds; ++round) {
      const HeldMutexes held = acquire_multiple(mutexes);
      ++count;  // All sets have `second`.
    }
  };
  std::thread one(run, std::vector<Mutex*>{&third, &second});
  std::thread two(run, std::vector<Mutex*>{&second, &third, &first});
  run({&second, &first});
  one.join();
  two.join();
  CHECK(count == 3 * kRounds);
}

}  // namespace varve::directory
