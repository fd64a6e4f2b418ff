// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/core.hpp"
#include "lib/merge_job.hpp"

namespace varve::internal {

// Deltas are flushed at half of the memory budget, an eighth of it at a time: the other half is
// room for what is being written meanwhile.
[[nodiscard]] inline bool memory_due(const Core& core) noexcept {
  return core.memory_size() >= core.options.memory_budget / 2;
}

// Does the most urgent due job: flush for memory, flush for the log's length, merges that the
// policy asks for, merges of small neighbours. False: nothing is due.
bool maintain_once(Core& core, const JobControl& control = {});

// Flushes the largest segments when memory is due. False: it is not.
bool flush_for_memory(Core& core, const JobControl& control = {});

// Flushes segments until none has memory.
void flush_all(Core& core, const JobControl& control = {});

}  // namespace varve::internal
