// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "varve/directory_lock.hpp"
#include "varve/export.hpp"
#include "varve/statistics.hpp"

namespace varve {

// What the files of an index tell, whoever has it open. They change at flushes, merges and log
// rotations: what is in memory alone, and calls, only the owner's Statistics tell.
struct FileStatistics {
  LockStatus lock;
  std::string uuid;
  std::uint64_t writer_epoch = 0;    // How often the index was opened for writing.
  std::uint64_t manifest_edit = 0;   // How often its structure has changed.
  std::uint64_t last_sequence = 0;   // At least every write that is in the runs.
  bool closed_cleanly = false;       // No log needs replay.
  RunStatistics runs;                // Without memory_entry_count.
  std::uint64_t file_count = 0;      // Of the index, its lock and manifest included.
  std::uint64_t disk_size = 0;       // Bytes of these.
  std::uint64_t log_file_count = 0;  // Of these, logs: live ones, and those kept for reuse.
  std::uint64_t log_disk_size = 0;   // Bytes of these (preallocated).
  std::uint64_t live_log_count = 0;  // Logs that a recovery would read.
};

// Looks at the index in `directory` without opening it: takes no lock, so that it is in nobody's
// way, changes nothing, and works while another process writes. The manifest is of one moment;
// what the files' sizes add up to is of about the same one.
// Errors: NotFound (no index there), Corruption, Unsupported (of MANIFEST), Io.
[[nodiscard]] VARVE_EXPORT FileStatistics file_statistics(const std::filesystem::path& directory);

}  // namespace varve
