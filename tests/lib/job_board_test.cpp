// SPDX-License-Identifier: Apache-2.0
#include "lib/job_board.hpp"

#include <atomic>
#include <thread>

#include "lib/lock_rank.hpp"
#include "tests/support/catch.hpp"

namespace varve::internal {
namespace {

const directory::LockClass kJobs("jobs", LockRank::kMaintenance);

TEST_CASE("a job lets others in while it writes, and not before", "[lib][jobs]") {
  JobBoard board(kJobs);
  JobBoard::Lock first = board.join();
  std::atomic<bool> second_in = false;
  std::thread second([&] {
    JobBoard::Lock lock = board.join();
    second_in = true;
    second_in.notify_one();
    board.begin_writing(lock);
    board.end_writing(lock);
  });
  CHECK_FALSE(second_in);  // It cannot be in: the lock is held.
  board.begin_writing(first);
  second_in.wait(false);  // Hangs unless the writing job let it in.
  board.end_writing(first);
  CHECK(first.owns_lock());
  first.unlock();
  second.join();
}

TEST_CASE("who wants to be alone waits for those that write and keeps new ones out",
          "[lib][jobs]") {
  JobBoard board(kJobs);
  JobBoard::Lock writing = board.join();
  board.begin_writing(writing);
  std::atomic<bool> alone = false;
  std::thread lone([&] {
    const JobBoard::Lock lock = board.lock();
    alone = true;
  });
  std::thread late([&] {
    JobBoard::Lock lock = board.join();
    board.begin_writing(lock);
    board.end_writing(lock);
  });
  CHECK_FALSE(alone);
  board.end_writing(writing);
  CHECK_FALSE(alone);  // The installing job still has the lock.
  writing.unlock();
  lone.join();
  CHECK(alone);
  late.join();
}

TEST_CASE("claims are by segment and are given up one by one", "[lib][jobs]") {
  JobBoard board(kJobs);
  board.claim(1);
  board.claim(2);
  CHECK(board.claimed(1));
  CHECK(board.claimed(2));
  CHECK_FALSE(board.claimed(3));
  board.give_up(1);
  CHECK_FALSE(board.claimed(1));
  CHECK(board.claimed(2));
  board.give_up(2);
  CHECK_FALSE(board.claimed(2));
}

}  // namespace
}  // namespace varve::internal
