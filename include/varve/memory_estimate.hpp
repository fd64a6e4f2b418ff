// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

#include "varve/export.hpp"
#include "varve/memory_statistics.hpp"
#include "varve/options.hpp"

namespace varve {

// What an index will report of its memory (Statistics::memory), by owner, before it is opened.
struct MemoryEstimate {
  // When open() returns. Deltas: what is replayed from the logs, as if they were full.
  MemoryStatistics at_open;
  // With the same data, once the deltas are full, the hot path as well, and every thread of
  // maintenance at the largest job. Open scans come on top: cursor_size for each.
  MemoryStatistics at_most;
};

// Of the index in `directory` with these options. Reads its manifest and the last bytes of each
// run, changes nothing and takes no lock, so that it is in nobody's way and works while another
// process writes; it then tells of the structure as of one moment.
//
// How good it is: sparse indexes to a few per cent, filters and mapped runs exactly, the rest is
// what the options allow. `at_open` is higher than what comes where logs are to be replayed, since
// it does not read them, and lower by runs that an open makes of them.
// Errors: NotFound (no index there), Corruption, Unsupported, InvalidArgument (of options), Io.
[[nodiscard]] VARVE_EXPORT MemoryEstimate estimate_memory(const std::filesystem::path& directory,
                                                          const Options& options = {});

// What is to be kept in an index that is not there yet. Sizes are averages, in bytes.
struct PlannedData {
  std::uint64_t entry_count = 0;
  double key_size = 16;
  double value_size = 100;
};
// Likewise, as if all of it was in main runs: filters are larger while entries that were written
// again wait for a merge, by Tuning::compaction_ratio at most. Sparse indexes are good to a
// fifth for keys that are as good as random (with long common beginnings they need more, up to
// key_size for each block), filters to 2 %, the small rest, `structure`, to a half.
// Errors: InvalidArgument.
[[nodiscard]] VARVE_EXPORT MemoryEstimate estimate_memory(const PlannedData& data,
                                                          const Options& options = {});

}  // namespace varve
