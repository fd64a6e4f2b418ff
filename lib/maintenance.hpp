// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "lib/core.hpp"
#include "lib/merge_job.hpp"

namespace varve::internal {

// Deltas are flushed at half of the memory budget, an eighth of it at a time: the other half is
// room for what is being written meanwhile. Memory that a flush could not free, because cursors
// still read it, is no reason to flush again before more has been written; with Concurrency that
// memory is known (memory_held()), and so is what jobs in progress are about to free.
[[nodiscard]] inline bool memory_due(const Core& core) noexcept {
  const std::size_t budget = core.memory_budget.deltas();
  const std::size_t size = core.flushable_size();
  if (core.concurrency != nullptr) {
    return size >= budget / 2 + core.memory_in_jobs.load(std::memory_order_relaxed);
  }
  return size >= budget / 2 && (size >= budget || size >= core.memory_after_flush + budget / 16);
}

// Up to where a write may fill the memory. Erases may go beyond the budget while a flush has no
// room: they are what can make some.
[[nodiscard]] inline std::size_t memory_limit(const Core& core, bool erases) noexcept {
  const std::size_t budget = core.memory_budget.deltas();
  return erases && core.space.is_short() ? budget + budget / 4 : budget;
}

// Does the most urgent due job: flush for memory, flush for the log's length, merges that the
// policy asks for, merges of small neighbours. False: nothing is due.
bool maintain_once(Core& core, const JobControl& control = {});

// Merges a segment that a range erase covers whole: that writes no byte but the manifest's. False:
// there is none.
bool drop_erased_segment(Core& core, const JobControl& control = {});

// Flushes the largest segments when memory is due. False: it is not.
bool flush_for_memory(Core& core, const JobControl& control = {});

// Likewise, with what is kept back for jobs when there is no room otherwise: for erases that memory
// has no room for. Requires: lock_jobs().
bool flush_for_erases(Core& core);

// Flushes all that is in memory: nothing is being added to it, and every read has to look there.
// False: there is nothing.
bool flush_for_readers(Core& core, const JobControl& control = {});

// Flushes segments until none has memory.
void flush_all(Core& core, const JobControl& control = {});

}  // namespace varve::internal
