// SPDX-License-Identifier: Apache-2.0
// Scenarios of writes of all kinds and durabilities.
#include "tests/crash/scenario_options.hpp"
#include "tests/crash/scenarios.hpp"

namespace varve::test {
namespace {

using enum Step::Kind;
using enum Figure;
using enum Durability;

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

}  // namespace

std::vector<Scenario> write_scenarios() {
  return kWrites;
}

}  // namespace varve::test
