// SPDX-License-Identifier: Apache-2.0
// Tiny histories: a state must be recovered, checked and compared in about a millisecond. Where
// segments split, values are large instead, so that a few dozen writes suffice.
#include "tests/crash/scenarios.hpp"

#include <iterator>
#include <utility>

namespace varve::test {
namespace {

using enum Step::Kind;
using enum Figure;
using enum Durability;

// Delta runs pile up instead of going into the main run.
void piling_up(Options& options) {
  options.tuning.compaction_ratio = 4;
  options.tuning.tier_fanout = 16;
  options.tuning.delta_runs_max = 64;
}
void two_of_a_tier(Options& options) {
  options.tuning.compaction_ratio = 4;
  options.tuning.tier_fanout = 2;
  options.tuning.delta_runs_max = 64;
}
void much_memory(Options& options) {
  options.memory_budget = 1 << 20;
}
void much_memory_piling_up(Options& options) {
  piling_up(options);
  much_memory(options);
}
void by_hand(Options& options) {
  piling_up(options);
  options.tuning.inline_maintenance = false;
}

const std::vector<Scenario> kWrites = {
    {.name = "puts of new keys", .steps = {{Load, 60}}, .expectations = {{LogFiles, 1, 1}}},
    {.name = "overwrites", .steps = {{Load, 10}, {Overwrite, 50}}},
    {.name = "erases", .steps = {{Load, 20}, {Erase, 25}, {Overwrite, 5}, {Erase, 5}}},
    {.name = "batches over several segments",
     .options = piling_up,
     .steps = {{Load, 28, 3000}, {Compact}, {Batch, 15}, {Flush}, {Batch, 10}},
     .expectations = {{Splits}, {SegmentsMax, 2}}},
    {.name = "values in blocks of their own",
     .steps = {{Load, 6, 9000}, {Flush}, {Overwrite, 4, 20000}, {Compact}, {Erase, 3}}},
    {.name = "values larger than a log file",
     .steps = {{Load, 2, 70000}, {Overwrite, 3, 100000}, {Load, 2}},
     .expectations = {{LogFiles, 4}, {StalledWrites}}},
    {.name = "range erases in memory, in runs and in the log",
     .options = piling_up,
     .steps = {{Load, 30},
               {Compact},
               {EraseRange, 2},
               {Load, 8},
               {EraseRange, 2},
               {Flush},
               {Overwrite, 5},
               {EraseRange, 2}},
     .expectations = {{RangeTombstonesMax}}},
    {.name = "everything erased, more than once",
     .steps =
         {{Load, 30}, {Flush}, {EraseAll}, {Load, 5}, {Compact}, {EraseAll}, {Compact}, {Load, 2}}},
    {.name = "synced writes",
     .steps = {{Load, 20, 40, Synced},
               {Erase, 5, 0, Synced},
               {Batch, 8, 40, Synced},
               {EraseRange, 2, 0, Synced}},
     .expectations = {{LogSyncs, 30}}},
    {.name = "buffered writes",
     .steps = {{Load, 25, 40, Buffered},
               {Flush},
               {Overwrite, 10, 40, Buffered},
               {Erase, 5, 0, Buffered},
               {Sync},
               {Batch, 5, 40, Buffered}},
     .expectations = {{Flushes, 2}}},
    {.name = "writes without a log record beside those with one",
     .steps = {{Load, 5, 40, Buffered},
               {Load, 5},
               {Overwrite, 4, 40, Buffered},
               {Erase, 3},
               {Flush},
               {Overwrite, 5},
               {Batch, 3, 40, Buffered},
               {Overwrite, 5},
               {Erase, 3}},
     .expectations = {{Flushes}}},
    {.name = "all three durabilities mixed",
     .options = piling_up,
     .steps = {{Load, 6, 40, Synced},
               {Load, 6, 40, Buffered},
               {Overwrite, 5},
               {Sync},
               {Erase, 3, 0, Synced},
               {Batch, 3, 40, Buffered},
               {Batch, 3},
               {Flush},
               {Overwrite, 4, 40, Buffered},
               {Overwrite, 4, 40, Synced},
               {EraseRange, 1},
               {Load, 3, 40, Buffered}},
     .expectations = {{Flushes, 2}, {LogSyncs, 10}}},
    {.name = "syncs now and then",
     .steps = {{Load, 12}, {Sync}, {Overwrite, 12}, {Sync}, {Sync}, {Erase, 8}, {Sync}, {Batch, 6}},
     .expectations = {{LogSyncs, 3}}},
};

const std::vector<Scenario> kMerges = {
    {.name = "a flush straight into the main run",
     .steps = {{Load, 30}, {Flush}, {Overwrite, 3}},
     .expectations = {{Flushes}, {MainRuns, 1}}},
    {.name = "a flush into a delta run",
     .options = piling_up,
     .steps = {{Load, 30}, {Compact}, {Overwrite, 4}, {Flush}, {Overwrite, 3}},
     .expectations = {{Flushes}}},
    {.name = "delta runs one over the other",
     .options = piling_up,
     .steps = {{Load, 20},
               {Compact},
               {Overwrite, 3},
               {Flush},
               {Erase, 3},
               {Flush},
               {Load, 3},
               {Flush},
               {EraseRange, 1},
               {Flush},
               {Overwrite, 3},
               {Flush}},
     .expectations = {{Flushes, 5}}},
    {.name = "a main merge over delta runs",
     .options = piling_up,
     .steps = {{Load, 20},
               {Compact},
               {Overwrite, 4},
               {Flush},
               {Erase, 4},
               {Flush},
               {Overwrite, 4},
               {Compact},
               {Load, 4}},
     .expectations = {{Compactions, 2}, {MainRuns, 2}, {RemovedFiles, 3}}},
    {.name = "tier merges",
     .options = two_of_a_tier,
     .steps = {{Load, 30, 200},
               {Compact},
               {Overwrite, 2},
               {Flush},
               {Overwrite, 2},
               {Flush},
               {Erase, 2},
               {Flush},
               {Overwrite, 2},
               {Flush},
               {Load, 2},
               {Flush}},
     .expectations = {{TierMerges}, {Compactions, 2}}},
    {.name = "a tier merge under a range erase",
     .options = two_of_a_tier,
     .steps = {{Load, 30, 200},
               {Compact},
               {Overwrite, 2},
               {Flush},
               {EraseRange, 1},
               {Overwrite, 2},
               {Flush},
               {EraseRange, 1},
               {Overwrite, 2},
               {Flush},
               {Overwrite, 2},
               {Flush},
               {Compact}},
     .expectations = {{TierMerges}, {RangeTombstonesMax}}},
    {.name = "a merge that leaves nothing",
     .options = piling_up,
     .steps =
         {{Load, 15}, {Compact}, {EraseAll}, {Flush}, {Compact}, {Load, 4}, {Erase, 10}, {Compact}},
     .expectations = {{Compactions, 2}}},
    {.name = "maintenance by hand",
     .options = by_hand,
     .steps = {{Load, 20},
               {Flush},
               {Maintain},
               {Overwrite, 5},
               {Flush},
               {Overwrite, 5},
               {Flush},
               {Maintain},
               {Erase, 5},
               {Maintain},
               {Compact}},
     .expectations = {{Flushes, 3}, {Compactions}}},
    {.name = "flushes for want of memory",
     .steps = {{Load, 60, 3000}, {Overwrite, 30, 3000}},
     .expectations = {{StalledWrites, 2}, {Flushes, 1}, {Splits}}},
    {.name = "compactions with nothing to do",
     .steps =
         {{Compact}, {Load, 6}, {Compact}, {Compact}, {Flush}, {Flush}, {Erase, 2}, {Compact}}},
};

const std::vector<Scenario> kSplits = {
    {.name = "a split",
     .steps = {{Load, 30, 3000}, {Compact}, {Overwrite, 6}},
     .expectations = {{Splits}, {SegmentsMax, 2}}},
    {.name = "a split into many",
     .options = much_memory,
     .steps = {{Load, 70, 3000}, {Compact}, {Batch, 6}},
     .expectations = {{Splits}, {SegmentsMax, 4}}},
    {.name = "a split of a segment with delta runs",
     .options = piling_up,
     .steps = {{Load, 18, 3000},
               {Compact},
               {Load, 4, 3000},
               {Flush},
               {Load, 4, 3000},
               {Flush},
               {Erase, 2},
               {Compact},
               {Overwrite, 3}},
     .expectations = {{Splits}, {SegmentsMax, 2}}},
    {.name = "an append split",
     .steps = {{Append, 15, 3000},
               {Compact},
               {Append, 15, 3000},
               {Compact},
               {Append, 15, 3000},
               {Compact},
               {Append, 3}},
     .expectations = {{Splits, 2}, {SegmentsMax, 3}, {RemovedFiles, 0, 8}}},
    {.name = "neighbours that became small",
     .steps = {{Load, 28, 3000}, {Compact}, {EraseAll}, {Load, 4}, {Compact}, {Load, 3}},
     .expectations = {{Splits}, {Merges}}},
    {.name = "neighbours that became small, with range erases left",
     .options = by_hand,
     .steps = {{Load, 28, 3000},
               {Compact},
               {EraseRange, 12},
               {Erase, 10},
               {Flush},
               {EraseAll},
               {Load, 3},
               {Maintain},
               {Compact}},
     .expectations = {{Splits}, {Merges}}},
    {.name = "a delta file of several segments, part of which is dead",
     .options = much_memory_piling_up,
     .steps =
         {{Load, 55, 3000}, {Compact}, {Load, 15}, {Flush}, {Overwrite, 8}, {Flush}, {Compact}},
     .expectations = {{Splits}, {SegmentsMax, 3}, {Punches}}},
    {.name = "writes without log records over several segments",
     .options = piling_up,
     .steps = {{Load, 28, 3000, Buffered},
               {Compact},
               {Batch, 6, 40, Buffered},
               {Flush},
               {Batch, 4, 40, Buffered},
               {Batch, 4},
               {Sync},
               {EraseRange, 2, 0, Buffered}},
     .expectations = {{Splits}, {Flushes, 2}}},
};

const std::vector<Scenario> kLogs = {
    {.name = "one log file after the other",
     .options = much_memory,
     .steps = {{Load, 70, 3000}, {Overwrite, 4}},
     .expectations = {{LogFiles, 4}}},
    {.name = "logs are used again",
     .steps = {{Load, 40, 3000}, {Overwrite, 70, 3000}},
     .expectations = {{RecycledLogs, 2}}},
    {.name = "rotation with synced writes",
     .options = much_memory,
     .steps = {{Load, 45, 3000, Synced}, {Sync}},
     .expectations = {{LogFiles, 3}, {LogSyncs, 45}}},
    {.name = "rotation and syncs",
     .options = much_memory,
     .steps = {{Load, 15, 3000},
               {Sync},
               {Load, 15, 3000},
               {Sync},
               {Overwrite, 15, 3000},
               {Flush},
               {Overwrite, 3}},
     .expectations = {{LogFiles, 2}, {LogSyncs, 2}}},
    {.name = "a log that cannot be mapped",
     .steps = {{Load, 20}, {Sync}, {Overwrite, 10}, {Flush}, {Erase, 5, 0, Synced}, {Batch, 5}},
     .mappable = false},
    {.name = "a log that cannot be mapped, rotated and used again",
     .steps = {{Load, 40, 3000}, {Overwrite, 40, 3000}},
     .expectations = {{RecycledLogs}},
     .mappable = false},
    {.name = "a sync interval",
     .options = [](Options& options) { options.sync_interval = std::chrono::milliseconds(1); },
     .steps = {{Load, 40}, {Overwrite, 20}, {Batch, 10}}},
    {.name = "a log that outgrows the memory budget",
     .options = piling_up,
     .steps = {{Load, 30, 3000}, {Compact}, {Erase, 3}, {Append, 260, 3000}},
     .expectations = {{LogFiles, 2}, {RecycledLogs, 2}, {Flushes, 3}}},
};

const std::vector<Scenario> kReaders = {
    {.name = "a snapshot held over flush and merge",
     .steps = {{Load, 20},
               {HoldSnapshot},
               {Overwrite, 15},
               {Erase, 5},
               {Flush},
               {Compact},
               {Load, 5},
               {DropSnapshot},
               {Compact}},
     .expectations = {{KeptVersions}}},
    {.name = "a snapshot held over a range erase and its merge",
     .options = piling_up,
     .steps = {{Load, 25},
               {Compact},
               {HoldSnapshot},
               {EraseRange, 3},
               {Load, 5},
               {Flush},
               {Compact},
               {EraseRange, 1},
               {DropSnapshot},
               {Compact}},
     .expectations = {{KeptVersions}, {RangeTombstonesMax}}},
    {.name = "a snapshot held over a split",
     .steps = {{Load, 26, 3000},
               {HoldSnapshot},
               {Overwrite, 10, 3000},
               {Compact},
               {DropSnapshot},
               {Compact}},
     .expectations = {{KeptVersions}, {Splits}}},
    {.name = "an open cursor over flush and merge",
     .options = piling_up,
     .steps = {{Load, 25},
               {Compact},
               {Load, 5},
               {Flush},
               {HoldCursor},
               {Overwrite, 10},
               {Erase, 3},
               {Flush},
               {Compact},
               {DropCursor},
               {Compact}}},
    {.name = "an open cursor over a split and dead slices",
     .options = much_memory_piling_up,
     .steps = {{Load, 55, 3000},
               {Compact},
               {Load, 15},
               {Flush},
               {HoldCursor},
               {Overwrite, 5},
               {Compact},
               {DropCursor},
               {Overwrite, 5},
               {Flush},
               {Compact}},
     .expectations = {{Splits}, {Punches}}},
    {.name = "runs that are read, not mapped",
     .options = [](Options& options) { options.reads = Reads::Buffered; },
     .steps = {{Load, 25}, {Flush}, {Read}, {Overwrite, 10}, {Compact}, {Read}, {Erase, 5}}},
    {.name = "reads in between",
     .options = piling_up,
     .steps = {{Load, 10},
               {Read},
               {Flush},
               {Read},
               {Batch, 5},
               {Read},
               {Compact},
               {Read},
               {EraseRange, 1},
               {Read}}},
};

const std::vector<Scenario> kLifeCycles = {
    {.name = "open and close",
     .steps = {{Reopen, 3}, {Load, 1}, {Reopen, 2}},
     .expectations = {{Opens, 6}}},
    {.name = "close and reopen",
     .steps = {{Load, 15},
               {Reopen},
               {Overwrite, 10},
               {Reopen},
               {Erase, 5},
               {Flush},
               {Reopen},
               {Batch, 5}},
     .expectations = {{Opens, 4}, {Replayed, 0, 0}}},
    {.name = "reopening with other options",
     .options = piling_up,
     .other_options =
         [](Options& options) {
           options.tuning.block_size = 4096;
           options.tuning.filter_bits_per_key = 0;
           options.tuning.log_file_size = 128 << 10;
           options.tuning.compaction_ratio = 0.1;
           options.reads = Reads::Buffered;
         },
     .steps = {{Load, 20},
               {Flush},
               {Reopen},
               {Overwrite, 8},
               {Flush},
               {Reopen},
               {Overwrite, 8},
               {Flush},
               {Reopen},
               {Erase, 4},
               {Compact}}},
    {.name = "reopening with larger segments, and back",
     .other_options = [](Options& options) { options.tuning.segment_size = 1 << 20; },
     .steps =
         {{Load, 28, 3000}, {Compact}, {Reopen}, {Load, 4, 3000}, {Compact}, {Reopen}, {Compact}},
     .expectations = {{Splits}, {Merges}}},
    {.name = "buffered writes that only close() saves",
     .steps = {{Load, 10, 40, Buffered},
               {Reopen},
               {Overwrite, 8, 40, Buffered},
               {Load, 3},
               {Reopen},
               {Erase, 4, 0, Buffered}}},
    {.name = "opened read-only in between",
     .steps = {{Load, 15}, {ReadOnly}, {Overwrite, 8}, {Flush}, {Erase, 3}, {ReadOnly}, {Batch, 4}},
     .expectations = {{Opens, 5}}},
    {.name = "checked in between",
     .options = piling_up,
     .steps = {{Check},
               {Load, 15},
               {Check},
               {Overwrite, 8},
               {Flush},
               {EraseRange, 1},
               {Check},
               {Compact},
               {Check}},
     .expectations = {{Opens, 5}}},
    {.name = "codecs set after the fact",
     .steps = {{Load, 5}, {SetCodecs}, {Overwrite, 5}, {SetCodecs}, {Flush}, {Load, 2}}},
};

const std::vector<Scenario> kRecoveries = {
    {.name = "recovery after the death of the process",
     .steps = {{Overwrite, 4}, {Flush}, {Load, 3}},
     .before = Before{{{Load, 20}, {Flush}, {Overwrite, 10}, {Erase, 5}, {Batch, 4}}},
     .expectations = {{Replayed, 15}}},
    {.name = "recovery after power loss",
     .steps = {{Overwrite, 4}, {Load, 3}},
     .before = Before{{{Load, 20}, {Overwrite, 10}, {EraseRange, 2}, {Batch, 4}}, true},
     .expectations = {{Replayed, 30}}},
    {.name = "recovery from several logs",
     .options = much_memory,
     .steps = {{Overwrite, 4}, {Flush}},
     .before = Before{{{Load, 50, 3000}, {Erase, 4}}},
     .expectations = {{Replayed, 50}}},
    {.name = "recovery that must flush while it replays",
     .options = much_memory,
     .other_options = [](Options& options) { options.memory_budget = 256 << 10; },
     .steps = {{Overwrite, 4}},
     .before = Before{{{Load, 30, 3000}, {Flush}, {Load, 6}, {Overwrite, 40, 3000}, {Erase, 4}}},
     .expectations = {{Replayed, 50}, {MainRuns}}},
    {.name = "recovery of segments that flushed at different times",
     .options = piling_up,
     .steps = {{Batch, 3}, {Flush}, {Batch, 3}},
     .before = Before{{{Load, 28, 3000}, {Compact}, {Batch, 8}, {Append, 45, 3000}, {Batch, 4}}},
     .expectations = {{Replayed, 4}}},
    {.name = "recovery, then nothing but close",
     .steps = {},
     .before = Before{{{Load, 12}, {EraseRange, 1}, {Overwrite, 4}}},
     .expectations = {{Replayed, 16}}},
    {.name = "recovery after power loss of a log that cannot be mapped",
     .steps = {{Overwrite, 3}, {Sync}, {Erase, 2}},
     .before = Before{{{Load, 12}, {Overwrite, 4}}, true},
     .expectations = {{Replayed, 16}},
     .mappable = false},
};

// A bit of everything.
std::vector<Step> a_day() {
  return {{Load, 12},
          {Batch, 5},
          {Flush},
          {Overwrite, 6},
          {Erase, 3, 0, Synced},
          {EraseRange, 1},
          {Sync},
          {Compact},
          {Overwrite, 5},
          {Reopen},
          {Batch, 4, 40, Synced},
          {Flush},
          {Load, 3}};
}

}  // namespace

std::vector<Scenario> access_scenarios() {
  const auto with = [](Access access, bool maintenance) {
    return [access, maintenance](Options& options) {
      piling_up(options);
      options.access = access;
      options.tuning.inline_maintenance = maintenance;
      options.tuning.maintenance_threads = 1;
    };
  };
  const auto concurrent = with(Access::Concurrent, false);
  return {
      {.name = "bare", .options = with(Access::Bare, true), .steps = a_day()},
      {.name = "synchronized", .options = with(Access::Synchronized, true), .steps = a_day()},
      {.name = "concurrent, maintenance by hand", .options = concurrent, .steps = a_day()},
      {.name = "concurrent, segments",
       .options = concurrent,
       .steps = {{Load, 28, 3000},
                 {Compact},
                 {Batch, 6},
                 {Batch, 4, 40, Synced},
                 {Flush},
                 {EraseAll},
                 {Load, 3},
                 {Compact}},
       .expectations = {{Splits}, {Merges}}},
      {.name = "concurrent, buffered writes beside others",
       .options = concurrent,
       .steps = {{Load, 8, 40, Buffered},
                 {Load, 4},
                 {Flush},
                 {Overwrite, 4, 40, Buffered},
                 {Overwrite, 3, 40, Synced},
                 {Sync},
                 {Batch, 3, 40, Buffered}},
       .expectations = {{Flushes}}},
      {.name = "concurrent, readers held",
       .options = concurrent,
       .steps = {{Load, 15},
                 {HoldSnapshot},
                 {Overwrite, 8},
                 {Flush},
                 {HoldCursor},
                 {Compact},
                 {EraseRange, 1},
                 {DropCursor},
                 {Compact},
                 {DropSnapshot},
                 {Compact}},
       .expectations = {{KeptVersions}}},
      {.name = "concurrent, with a maintenance thread",
       .options = with(Access::Concurrent, true),
       .steps = {{Load, 70, 3000}, {Overwrite, 20, 3000}, {Flush}, {Batch, 10}, {Reopen}},
       .expectations = {{Flushes}}},
  };
}

std::vector<Scenario> write_scenarios() {
  return kWrites;
}
std::vector<Scenario> merge_scenarios() {
  return kMerges;
}
std::vector<Scenario> split_scenarios() {
  return kSplits;
}
std::vector<Scenario> log_scenarios() {
  return kLogs;
}
std::vector<Scenario> reader_scenarios() {
  return kReaders;
}
std::vector<Scenario> life_cycle_scenarios() {
  return kLifeCycles;
}
std::vector<Scenario> recovery_scenarios() {
  return kRecoveries;
}

std::vector<Scenario> all_scenarios() {
  std::vector<Scenario> all;
  for (const auto& group :
       {write_scenarios, merge_scenarios, split_scenarios, log_scenarios, reader_scenarios,
        life_cycle_scenarios, recovery_scenarios, access_scenarios}) {
    std::vector<Scenario> some = group();
    all.insert(all.end(), std::make_move_iterator(some.begin()),
               std::make_move_iterator(some.end()));
  }
  return all;
}

}  // namespace varve::test
