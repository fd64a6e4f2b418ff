// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace varve {

// Memory by owner, now, in bytes: what an index has taken and not given back. The owners that
// for_each_memory_owner() names do not overlap, and total_size() is their sum.
//
// Not in here: the stacks of its threads, what one call needs while it lasts (a block that is read
// into memory, the answers of a multi_get, an open's look at the logs), what the caller holds
// (batches, values, figures like these), and the page cache behind files.
struct MemoryStatistics {
  std::uint64_t active_deltas_size = 0;  // What writes go to.
  std::uint64_t frozen_deltas_size = 0;  // Waiting to be flushed, or being flushed.
  // Deltas that are flushed but still held by open cursors, reads and jobs in progress.
  std::uint64_t held_by_readers_size = 0;
  // Obtained from the kernel for deltas: all of the above, and the next.
  std::uint64_t pool_size = 0;
  std::uint64_t pool_free_size = 0;  // Holes between deltas, and room that is kept for reuse.
  std::uint64_t sparse_indexes_size = 0;
  std::uint64_t filters_size = 0;
  // Sparse indexes and filters of runs that are replaced but still held by open cursors, reads and
  // jobs, or that a job in progress has just written.
  std::uint64_t held_runs_size = 0;
  // Holes between sparse indexes and filters, and room that is kept for the next ones. None until
  // they take 4 MiB together: from then on they lie in huge pages.
  std::uint64_t tables_free_size = 0;
  std::uint64_t jobs_size = 0;  // What flushes and merges in progress write their runs with.
  // Open scans: their number times cursor_size. What they hold of deltas and runs is above.
  std::uint64_t cursors_size = 0;
  std::uint64_t cursor_size = 0;  // Of one scan, as if it were in the segment with the most runs.
  std::uint64_t snapshots_size = 0;   // Where snapshots are noted. What they keep is in the runs.
  std::uint64_t hot_path_size = 0;    // As HotKeyStatistics::memory_size.
  std::uint64_t log_buffer_size = 0;  // A record on its way to the log; kept for the next one.
  // Segments and their views, also retired ones, the route map, the manifest, names of files.
  std::uint64_t structure_size = 0;
  std::uint64_t statistics_size = 0;  // What counts the calls.

  // Address space of mapped files, not memory of the index: the kernel's page cache holds of it
  // what it likes, and takes it back when it wants to.
  std::uint64_t mapped_runs_size = 0;
  std::uint64_t mapped_log_size = 0;

  [[nodiscard]] std::uint64_t total_size() const noexcept;
};

// Calls visit(name, bytes) for each owner, in the order above.
template <typename Visit>
void for_each_memory_owner(const MemoryStatistics& memory, const Visit& visit) {
  visit("active_deltas", memory.active_deltas_size);
  visit("frozen_deltas", memory.frozen_deltas_size);
  visit("held_by_readers", memory.held_by_readers_size);
  visit("pool_free", memory.pool_free_size);
  visit("sparse_indexes", memory.sparse_indexes_size);
  visit("filters", memory.filters_size);
  visit("held_runs", memory.held_runs_size);
  visit("tables_free", memory.tables_free_size);
  visit("jobs", memory.jobs_size);
  visit("cursors", memory.cursors_size);
  visit("snapshots", memory.snapshots_size);
  visit("hot_path", memory.hot_path_size);
  visit("log_buffer", memory.log_buffer_size);
  visit("structure", memory.structure_size);
  visit("statistics", memory.statistics_size);
}

inline std::uint64_t MemoryStatistics::total_size() const noexcept {
  std::uint64_t total = 0;
  for_each_memory_owner(*this, [&total](const char*, std::uint64_t size) { total += size; });
  return total;
}

}  // namespace varve
