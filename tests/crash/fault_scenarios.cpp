// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/scenario_options.hpp"
#include "tests/crash/scenarios.hpp"

namespace varve::test {
namespace {

using enum Step::Kind;
using enum Durability;

const std::vector<Scenario> kFaults = {
    {.name = "writes, a flush and a sync",
     .steps = {{Load, 6}, {Flush}, {Overwrite, 3}, {Sync}, {Erase, 2}, {Load, 2}}},
    {.name = "synced writes",
     .steps = {{Load, 4, 40, Synced}, {Flush}, {Overwrite, 2, 40, Synced}, {Batch, 2, 40, Synced}}},
    {.name = "durabilities mixed",
     .options = piling_up,
     .steps = {{Load, 3, 40, Buffered},
               {Load, 2},
               {Flush},
               {Overwrite, 2, 40, Buffered},
               {Overwrite, 2, 40, Synced},
               {Sync},
               {Erase, 2},
               {Load, 1, 40, Buffered}}},
    {.name = "merges of delta runs",
     .options =
         [](Options& options) {
           piling_up(options);
           options.tuning.tier_fanout = 2;
         },
     .steps = {{Load, 12, 200},
               {Compact},
               {Overwrite, 1},
               {Flush},
               {Overwrite, 1},
               {Flush},
               {Erase, 1},
               {Flush},
               {Overwrite, 1},
               {Compact},
               {Load, 1}}},
    {.name = "a split and a merge of neighbours",
     .options = piling_up,
     .steps = {{Load, 24, 3000},
               {Compact},
               {Batch, 2},
               {Flush},
               {EraseAll},
               {Load, 2},
               {Compact},
               {Overwrite, 1}}},
    {.name = "logs rotated and used again", .steps = {{Load, 24, 6000}, {Overwrite, 14, 9000}}},
};

const std::vector<Scenario> kOpenFaults = {
    {.name = "a log that cannot be mapped",
     .steps = {{Load, 4}, {Sync}, {Overwrite, 2}, {Flush}, {Erase, 2}},
     .mappable = false},
    {.name = "runs that are read",
     .options = [](Options& options) { options.reads = Reads::Buffered; },
     .steps = {{Load, 8, 400}, {Flush}, {Read}, {Overwrite, 2}, {Compact}, {Read}, {Erase, 1}}},
    {.name = "readers held over merges",
     .options = piling_up,
     .steps = {{Load, 8},
               {Compact},
               {HoldSnapshot},
               {Overwrite, 2},
               {Flush},
               {HoldCursor},
               {EraseRange, 1},
               {Compact},
               {DropCursor},
               {DropSnapshot},
               {Load, 1}}},
    {.name = "closed, checked and reopened",
     .steps = {{Load, 4}, {Reopen}, {Overwrite, 2}, {Check}, {ReadOnly}, {Erase, 1}}},
    {.name = "recovery",
     .options = piling_up,
     .steps = {{Overwrite, 1}, {Flush}, {Load, 1}},
     .before = Before{{{Load, 8}, {Compact}, {Overwrite, 3}, {Flush}, {Erase, 2}, {Batch, 2}}}},
    {.name = "recovery after power loss",
     .steps = {{Overwrite, 1}, {Sync}, {Load, 1}},
     .before = Before{{{Load, 6}, {EraseRange, 1}, {Batch, 2}}, true}},
    {.name = "concurrent, maintenance by hand",
     .options =
         [](Options& options) {
           piling_up(options);
           options.access = Access::Concurrent;
           options.tuning.inline_maintenance = false;
         },
     .steps = {{Load, 5}, {Flush}, {Overwrite, 2, 40, Synced}, {Batch, 2}, {Compact}, {Load, 2}}},
};

}  // namespace

std::vector<Scenario> fault_scenarios() {
  return kFaults;
}
std::vector<Scenario> open_fault_scenarios() {
  return kOpenFaults;
}

}  // namespace varve::test
