// SPDX-License-Identifier: Apache-2.0
#include "lib/memory_statistics.hpp"

#include <algorithm>

#include "lib/memory_model.hpp"

namespace varve::internal {
namespace {

std::uint64_t difference(std::uint64_t all, std::uint64_t part) noexcept {
  return all - std::min(all, part);
}

}  // namespace

void add_memory(const Core& core, const Manifest& manifest, Statistics& figures) {
  MemoryStatistics& memory = figures.memory;
  memory.pool_size = core.pool.size_mapped();
  memory.pool_free_size =
      difference(memory.pool_size, memory.active_deltas_size + memory.frozen_deltas_size +
                                       memory.held_by_readers_size);
  memory.held_runs_size = difference(core.run_store.tables_size(), figures.table_memory_size);
  memory.tables_free_size = core.run_store.tables_free_size();
  memory.jobs_size = core.jobs_size.load(std::memory_order_relaxed);
  memory.cursor_size = cursor_size(figures.runs.run_count_max, core.options);
  memory.snapshots_size = core.snapshots.memory_size();
  memory.structure_size = structure_size(manifest, core.options);
  if (core.log == nullptr) return;
  const auto catalog_lock = core.lock_catalog();
  memory.mapped_log_size = core.log->mapped_size();
  const auto log_lock = core.lock_log();
  memory.log_buffer_size = core.log->buffer_size();
}

}  // namespace varve::internal
