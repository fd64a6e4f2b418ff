// SPDX-License-Identifier: Apache-2.0
// Scenarios of readers, of closing and opening, and of the access modes.
#include "tests/crash/scenario_options.hpp"
#include "tests/crash/scenarios.hpp"

namespace varve::test {
namespace {

using enum Step::Kind;
using enum Figure;
using enum Durability;

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

std::vector<Scenario> reader_scenarios() {
  return kReaders;
}
std::vector<Scenario> life_cycle_scenarios() {
  return kLifeCycles;
}

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

}  // namespace varve::test
