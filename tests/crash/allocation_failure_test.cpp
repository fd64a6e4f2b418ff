// SPDX-License-Identifier: Apache-2.0
// The engine without memory: each allocation fails once, or it and all later ones; see
// allocation_sweep.hpp for the method. The least numbers of failures below are over 10,000
// together.
#include "tests/crash/allocation_failure.hpp"

#include <barrier>
#include <cstdint>
#include <thread>
#include <vector>

#include "tests/crash/allocation_sweep.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/longer_run.hpp"
#include "varve/concurrent/epoch.hpp"

namespace varve::test {
namespace {

using enum Step::Kind;
using enum Durability;

// Every allocation in one mode, which is 10,000 failures together; what differs in the others is
// tried by samples of each script.
struct Sweep {
  AllocationMode mode = AllocationMode::Bare;
  std::uint64_t failures_min = 0;
  std::uint64_t stride = 1;
};

void sweep(const Scenario& scenario, const std::vector<Sweep>& sweeps) {
  const std::uint64_t seed = setting("VARVE_SWEEP_SEED", 1);
  const Script script(scenario, seed);
  for (const Sweep& one : sweeps) {
    CAPTURE(to_string(one.mode));
    const AllocationReport report = sweep_allocations(script, one.mode, one.stride);
    CHECK(report.problem == "");
    // The least numbers are of the writes that the first seed draws, and of threads that come to
    // do their part before the index is closed.
    const bool by_chance = seed != 1 || one.mode == AllocationMode::Concurrent;
    CHECK(report.points >= (by_chance ? one.failures_min / 2 : one.failures_min));
    CHECK(report.thrown > 0);
    WARN(scenario.name << ", " << to_string(one.mode) << ": " << to_string(report));
    tell_reached(report.points, "failing allocations");
  }
}

void merging_late(Options& options) {
  options.tuning.compaction_ratio = 4;
}

}  // namespace

TEST_CASE("an allocation that fails in writes, flush and merge loses nothing",
          "[crash][allocation]") {
  sweep({.name = "writes, a flush and a merge",
         .steps = {{Load, 6},
                   {Batch, 2},
                   {Flush},
                   {Overwrite, 2, 40, Synced},
                   {Sync},
                   {EraseRange, 1},
                   {Compact},
                   {Read},
                   {Overwrite, 2},
                   {Erase, 1}}},
        {{AllocationMode::Bare, 900},
         {AllocationMode::Synchronized, 140, 6},
         {AllocationMode::ConcurrentByHand, 300, 3},
         {AllocationMode::Concurrent, 400, 2}});
}
TEST_CASE("an allocation that fails amid writes without a log loses no others",
          "[crash][allocation]") {
  sweep({.name = "buffered writes",
         .options = merging_late,
         .steps = {{Load, 4, 40, Buffered},
                   {Flush},
                   {Overwrite, 2, 40, Buffered},
                   {Load, 2},
                   {Sync},
                   {Batch, 2, 40, Buffered},
                   {Read},
                   {Compact}}},
        {{AllocationMode::Bare, 1200},
         {AllocationMode::ConcurrentByHand, 260, 4},
         {AllocationMode::Concurrent, 300, 3}});
}
TEST_CASE("an allocation that fails in a split loses nothing", "[crash][allocation]") {
  sweep({.name = "a split, delta runs and a merge of neighbours",
         .options = merging_late,
         .steps = {{Load, 24, 3000},
                   {Compact},
                   {Batch, 2},
                   {Flush},
                   {HoldSnapshot},
                   {EraseAll},
                   {Load, 2},
                   {Compact},
                   {DropSnapshot},
                   {Compact},
                   {Read}}},
        {{AllocationMode::Bare, 2000},
         {AllocationMode::ConcurrentByHand, 300, 6},
         {AllocationMode::Concurrent, 300, 4}});
}
TEST_CASE("an allocation that fails while the log is rotated loses nothing",
          "[crash][allocation]") {
  sweep({.name = "logs rotated and used again",
         .options = [](Options& options) { options.reads = Reads::Buffered; },
         .steps = {{Load, 24, 6000}, {Overwrite, 14, 9000}, {Read}}},
        {{AllocationMode::Bare, 3000}, {AllocationMode::Concurrent, 200, 6}});
}
TEST_CASE("an allocation that fails beside readers takes nothing from them",
          "[crash][allocation]") {
  sweep({.name = "a snapshot and a cursor over flushes, range erases and merges",
         .options =
             [](Options& options) {
               merging_late(options);
               options.tuning.tier_fanout = 2;
             },
         .steps = {{Load, 10, 300},
                   {Compact},
                   {HoldCursor},
                   {HoldSnapshot},
                   {EraseRange, 2},
                   {Overwrite, 1},
                   {Flush},
                   {Erase, 1},
                   {Flush},
                   {Read},
                   {Maintain},
                   {DropCursor},
                   {Overwrite, 1},
                   {Compact},
                   {DropSnapshot},
                   {Read}}},
        {{AllocationMode::Bare, 1500},
         {AllocationMode::Synchronized, 100, 12},
         {AllocationMode::ConcurrentByHand, 200, 6},
         {AllocationMode::Concurrent, 200, 4}});
}
TEST_CASE("an allocation that fails in an open, a replay or a check damages nothing",
          "[crash][allocation]") {
  sweep({.name = "a log is replayed; closed, checked and reopened",
         .options = merging_late,
         .steps = {{Overwrite, 1}, {Reopen}, {EraseRange, 1}, {Check}, {Load, 1}, {Read}},
         .before = Before{{{Load, 6}, {Compact}, {Overwrite, 2}, {Flush}, {Erase, 1}, {Batch, 2}}}},
        {{AllocationMode::Bare, 1500},
         {AllocationMode::Synchronized, 100, 12},
         {AllocationMode::ConcurrentByHand, 200, 6},
         {AllocationMode::Concurrent, 200, 4}});
}
TEST_CASE("new threads read without memory for their marks", "[crash][allocation]") {
  constexpr int kThreadCount = 16;
  std::barrier all_pinned(kThreadCount);
  std::vector<std::thread> threads;
  AllocationFailure::arm(0, true);
  for (int i = 0; i < kThreadCount; ++i) {
    threads.emplace_back([&] {
      const auto pinned = concurrent::EpochDomain::pin();
      all_pinned.arrive_and_wait();
    });
  }
  for (std::thread& thread : threads) thread.join();
  AllocationFailure::disarm();
  CHECK_FALSE(AllocationFailure::fired());
}

}  // namespace varve::test
