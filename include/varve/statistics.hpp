// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace varve {

// One segment, as of the call. Sizes in bytes.
struct SegmentStatistics {
  std::uint64_t id = 0;
  std::string first_key;  // The fence: the segment owns keys from here to the next fence.
  std::uint64_t version = 0;
  std::uint64_t memory_size = 0;         // Delta cache, active and frozen.
  std::uint64_t memory_entry_count = 0;  // Versions and tombstones included.
  std::uint32_t delta_run_count = 0;
  std::uint64_t delta_runs_size = 0;
  std::uint64_t main_run_size = 0;
  std::uint64_t run_entry_count = 0;  // Over all runs; shadowed versions and tombstones included.
  std::uint32_t range_tombstone_count = 0;
};

// A snapshot of an index's figures. "since open" figures start at 0 at every open.
struct Statistics {
  std::string uuid;
  std::uint64_t writer_epoch = 0;
  std::uint64_t manifest_edit = 0;
  std::uint64_t last_sequence = 0;
  std::vector<SegmentStatistics> segments;  // In key order.

  // Since open.
  std::uint64_t put_count = 0, erase_count = 0, get_count = 0, get_hit_count = 0, scan_count = 0;
  std::uint64_t user_bytes_written = 0;  // Keys and values of puts and erases.
  std::uint64_t log_bytes_written = 0;
  std::uint64_t run_bytes_written = 0;  // Flushes and compactions, blocks to footer.
  std::uint64_t manifest_bytes_written = 0;
  std::uint64_t flush_count = 0, compaction_count = 0, split_count = 0, merge_count = 0;
  std::uint64_t log_sync_count = 0;
  std::uint64_t filter_probe_count = 0, filter_negative_count = 0;
  std::uint64_t recovered_operation_count = 0;  // Replayed from the log by this open.
  std::uint64_t recovery_microseconds = 0;      // From lock to ready, of this open.
  bool recovered_after_crash = false;           // The last writer had not closed.

  // Since open, with Access::Concurrent.
  std::uint64_t paced_write_count = 0;    // Writes that were slowed, because memory was filling up.
  std::uint64_t paced_microseconds = 0;   // By how much, over all of them.
  std::uint64_t stalled_write_count = 0;  // Writes that had to wait until a job had made room.
  std::uint64_t stalled_microseconds_max = 0;  // The longest of these waits.
  std::uint64_t failed_job_count = 0;
  std::string last_job_failure;                  // Empty: the last background job succeeded.
  std::uint64_t retired_view_count = 0;          // Views that readers may still be in, now.
  std::uint64_t oldest_reader_microseconds = 0;  // How long one read has been keeping them, now.

  // Now.
  std::uint64_t memory_size = 0;        // Deltas; Options::memory_budget bounds it.
  std::uint64_t table_memory_size = 0;  // Sparse indexes and filters held in memory.
  std::uint64_t disk_size = 0;          // All files of the index, logs included.
  std::uint64_t log_disk_size = 0;      // Of these, log files (preallocated).
  std::uint32_t live_snapshot_count = 0;

  // (log + runs + manifest) / user bytes since open; 0 before the first write.
  [[nodiscard]] double write_amplification() const noexcept {
    return user_bytes_written == 0 ? 0.0
                                   : static_cast<double>(log_bytes_written + run_bytes_written +
                                                         manifest_bytes_written) /
                                         static_cast<double>(user_bytes_written);
  }
};

}  // namespace varve
