// SPDX-License-Identifier: Apache-2.0
// Scenarios of logs, and of what is replayed from them.
#include "tests/crash/scenario_options.hpp"
#include "tests/crash/scenarios.hpp"

namespace varve::test {
namespace {

using enum Step::Kind;
using enum Figure;
using enum Durability;

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
     .steps = {{Load, 30, 3000}, {Compact}, {Erase, 3}, {Append, 330, 3000}},
     .expectations = {{LogFiles, 2}, {RecycledLogs}, {Flushes, 3}}},
    {.name = "compactions that end the log, and writes that begin it again",
     .steps = {{Load, 20},
               {Compact},
               {Overwrite, 4, 0, Synced},
               {Compact},
               {Batch, 4},
               {Erase, 3},
               {Compact},
               {Compact}},
     .expectations = {{LogFiles, 3, 3}}},
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
    {.name = "recovery that flushes some segments while it replays what could still be lost",
     .options =
         [](Options& options) {
           options.memory_budget = 4 << 20;
           options.tuning.log_file_size = 1 << 20;
         },
     .other_options = [](Options& options) { options.memory_budget = 256 << 10; },
     .steps = {{Overwrite, 4}},
     .before = Before{{{Load, 80, 3000}, {Compact}, {Overwrite, 70, 3000}}},
     .expectations = {{Replayed, 70}, {Splits, 0}, {RecoveryFlushes}}},
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

}  // namespace

std::vector<Scenario> log_scenarios() {
  return kLogs;
}
std::vector<Scenario> recovery_scenarios() {
  return kRecoveries;
}

}  // namespace varve::test
