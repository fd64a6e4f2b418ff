// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/manifest.hpp"
#include "varve/memory_statistics.hpp"
#include "varve/options.hpp"

namespace varve::internal {

// What the parts of an index take that do not count themselves, or do not exist yet: for the
// statistics, the memory limit and the estimate, so that these agree.

// Segments, views, the route map, open files, and the manifest itself. Cost: a look at each run.
[[nodiscard]] std::uint64_t structure_size(const Manifest& manifest, const Options& options);

// Threads of maintenance; and with the relief, which may write runs at the same time.
[[nodiscard]] std::size_t maintenance_thread_count(const Options& options) noexcept;
[[nodiscard]] std::size_t job_thread_count(const Options& options) noexcept;

// What one job may take to write a main run of so many entries in so many bytes.
[[nodiscard]] std::uint64_t job_size_of(std::uint64_t entry_count, std::uint64_t run_size,
                                        const Options& options);
// All threads at the largest job that there can be with these segments.
[[nodiscard]] std::uint64_t jobs_size_max(const Manifest& manifest, const Options& options);

// One open scan in a segment of so many runs.
[[nodiscard]] std::uint64_t cursor_size(std::size_t run_count, const Options& options) noexcept;

}  // namespace varve::internal
