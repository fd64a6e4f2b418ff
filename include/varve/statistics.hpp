// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "varve/concurrent/operation_snapshot.hpp"
#include "varve/lock_health.hpp"
#include "varve/memory_statistics.hpp"

namespace varve {

// One segment, as of the call. Sizes in bytes.
struct SegmentStatistics {
  std::uint64_t id = 0;
  std::string first_key;          // The fence: the segment owns keys from here to the next fence.
  std::uint64_t version = 0;      // Of the segment; raised by every write and every job.
  std::uint64_t memory_size = 0;  // Delta cache, active and frozen.
  std::uint64_t memory_entry_count = 0;  // Versions and tombstones included.
  std::uint32_t delta_run_count = 0;     // Runs.
  std::uint64_t delta_runs_size = 0;
  std::uint64_t main_run_size = 0;
  std::uint64_t run_entry_count = 0;  // Over all runs; shadowed versions and tombstones included.
  std::uint32_t range_tombstone_count = 0;  // Range erases that its merges have yet to apply.
};

// The calls on an index by kind, since open. A call that threw is a failure, a key that is absent
// is none. Latencies are wall time inside the call, waiting included, of a sample of the calls: of
// about every 64th get, put and erase of a thread, every 16th multi_get, erase_range, batch and
// scan, and all others. So `max` is the highest of the sample; see stalled_microseconds_max for
// writes that had to wait.
struct OperationsByKind {
  concurrent::OperationSnapshot get;          // And contains().
  concurrent::OperationSnapshot multi_get;    // Calls, of any number of keys.
  concurrent::OperationSnapshot put;          // Single puts: those of batches are not among them.
  concurrent::OperationSnapshot erase;        // Single erases.
  concurrent::OperationSnapshot erase_range;  // And erase_prefix().
  concurrent::OperationSnapshot batch;        // write().
  concurrent::OperationSnapshot scan;         // scan() itself, not the steps of its cursor.
  concurrent::OperationSnapshot sync;
  concurrent::OperationSnapshot flush;
  concurrent::OperationSnapshot compact;
};

// Calls visit(name, figures) for each kind, in the order above.
template <typename Visit>
void for_each_operation(const OperationsByKind& operations, const Visit& visit) {
  visit("get", operations.get);
  visit("multi_get", operations.multi_get);
  visit("put", operations.put);
  visit("erase", operations.erase);
  visit("erase_range", operations.erase_range);
  visit("batch", operations.batch);
  visit("scan", operations.scan);
  visit("sync", operations.sync);
  visit("flush", operations.flush);
  visit("compact", operations.compact);
}

// What the segments consist of, together, now.
struct RunStatistics {
  std::uint64_t segment_count = 0;
  std::uint64_t run_count = 0;        // Main runs and delta runs.
  std::uint64_t delta_run_count = 0;  // Of these.
  std::uint32_t run_count_max = 0;    // The most in one segment.
  std::uint64_t main_runs_size = 0;   // Bytes.
  std::uint64_t delta_runs_size = 0;  // Bytes.
  // Versions and tombstones; those that are shadowed and not yet merged away included.
  std::uint64_t run_entry_count = 0;
  std::uint64_t memory_entry_count = 0;
  std::uint64_t range_tombstone_count = 0;

  // Runs that a get may have to look into before filters: the average over the segments, memory
  // not counted.
  [[nodiscard]] double read_amplification() const noexcept {
    return segment_count == 0 ? 0.0
                              : static_cast<double>(run_count) / static_cast<double>(segment_count);
  }
  // All runs over the main runs: what superseded entries and tombstones may cost. 0: no main run.
  [[nodiscard]] double space_amplification() const noexcept {
    return main_runs_size == 0 ? 0.0
                               : static_cast<double>(main_runs_size + delta_runs_size) /
                                     static_cast<double>(main_runs_size);
  }
};

// What merges have yet to do, now.
struct CompactionStatistics {
  std::uint64_t due_segment_count = 0;  // Segments with a merge that should run now.
  std::uint64_t due_size = 0;           // Bytes that these merges read, and about what they write.
  std::uint64_t unmerged_size = 0;      // Bytes of delta runs, due or not.
};

// The log, now; counts since open. All zero for an index that is open read-only.
struct LogStatistics {
  std::uint64_t live_size = 0;                 // Bytes that a recovery would read.
  std::uint64_t unsynced_size = 0;             // Bytes appended that a power loss may take.
  concurrent::OperationSnapshot device_flush;  // One may serve many writes. All are timed.
};

// What filters are worth, since open, from a sample: of about every 1,000th get, all filters of the
// key's segment are asked again, and those that say "perhaps" are checked against their run.
struct FilterStatistics {
  std::uint64_t probe_count = 0;           // Filters asked.
  std::uint64_t negative_count = 0;        // Of these: said that the key is not there.
  std::uint64_t false_positive_count = 0;  // Of these: did not say so, and it was not there.

  // Of the keys that a run does not have, the share that its filter lets pass. 0: no sample yet.
  [[nodiscard]] double false_positive_rate() const noexcept {
    const std::uint64_t absent_count = negative_count + false_positive_count;
    return absent_count == 0
               ? 0.0
               : static_cast<double>(false_positive_count) / static_cast<double>(absent_count);
  }
};

// The hot path of Access::Concurrent (Tuning::hot_path_size): whether it is on, and what it is
// worth. Counts are of single gets of the present moment, since open.
struct HotKeyStatistics {
  bool on = false;                // Now.
  std::uint64_t hit_count = 0;    // Answered by it.
  std::uint64_t miss_count = 0;   // Not in it.
  std::uint64_t stale_count = 0;  // In it, but the segment had been written to since.
  std::uint64_t entry_count = 0;  // Now.
  std::uint64_t memory_size = 0;  // Bytes, now; those that wait for readers included.
  std::uint64_t switched_on_count = 0, switched_off_count = 0;

  // Of the gets while it was on, the share that it answered. 0: none yet.
  [[nodiscard]] double hit_rate() const noexcept {
    const std::uint64_t count = hit_count + miss_count + stale_count;
    return count == 0 ? 0.0 : static_cast<double>(hit_count) / static_cast<double>(count);
  }
};

// The room on the medium. Short of it is an index that had none for a job, for a log file or for
// its reserve (Tuning::reserve_size), until what failed has succeeded; health() is false meanwhile.
// Without Access::Concurrent it is the next write, or maintain(), that finds room again.
struct SpaceStatistics {
  bool is_short = false;                 // Now.
  std::uint64_t short_microseconds = 0;  // For how long.
  std::string shortage;                  // What failed; empty: it is not short.
  std::uint64_t shortage_count = 0;      // Times that one began, since open.
  std::uint64_t reserve_size = 0;        // Bytes kept back, now. 0: none yet, or given up.
};

// All figures of an index. "since open" figures start at 0 at every open. Taken beside other
// threads, each figure is one that was true during the call; they need not belong together.
struct Statistics {
  std::string uuid;
  std::uint64_t writer_epoch = 0;           // How often the index was opened for writing.
  std::uint64_t manifest_edit = 0;          // How often its structure has changed.
  std::uint64_t last_sequence = 0;          // Of the newest write.
  std::vector<SegmentStatistics> segments;  // In key order.

  OperationsByKind operations;
  RunStatistics runs;
  MemoryStatistics memory;
  CompactionStatistics compaction;
  LogStatistics log;
  FilterStatistics filters;
  HotKeyStatistics hot_path;
  SpaceStatistics space;
  LockReport locks;  // As SegmentIndex::lock_report(): empty unless Options::lock_health.enabled.

  // Since open. Keys that were put, erased (a range counts as one) and asked for, in single calls
  // and in batches; scans begun; entries that cursors have given, once they are destroyed.
  std::uint64_t put_count = 0, erase_count = 0, get_count = 0, get_hit_count = 0, scan_count = 0;
  std::uint64_t scanned_entry_count = 0;
  std::uint64_t open_scan_count = 0;         // Whose cursors are not destroyed, now.
  std::uint64_t user_bytes_written = 0;      // Keys and values of puts and erases.
  std::uint64_t log_bytes_written = 0;       // Records, in bytes.
  std::uint64_t run_bytes_written = 0;       // Flushes and compactions, blocks to footer.
  std::uint64_t manifest_bytes_written = 0;  // Bytes, over all replacements.
  std::uint64_t flush_count = 0, compaction_count = 0, split_count = 0, merge_count = 0;  // Jobs.
  std::uint64_t log_sync_count = 0;             // Device flushes of the log.
  std::uint64_t recovered_operation_count = 0;  // Replayed from the log by this open.
  std::uint64_t recovery_microseconds = 0;      // From lock to ready, of this open.
  bool recovered_after_crash = false;           // The last writer had not closed.

  // Since open. Without Access::Concurrent, a write that has to wait does the job itself, and none
  // is paced.
  std::uint64_t paced_write_count = 0;    // Writes that were slowed, because memory was filling up.
  std::uint64_t paced_microseconds = 0;   // By how much, over all of them.
  std::uint64_t stalled_write_count = 0;  // Writes that had to wait until a job had made room.
  std::uint64_t stalled_microseconds_max = 0;  // The longest of these waits.

  // Jobs that were not done, since open: in the background, or beside a write that went on.
  std::uint64_t failed_job_count = 0;
  std::string last_job_failure;  // Of a job that is still to be tried again; empty: there is none.
  // With Access::Concurrent.
  std::uint64_t retired_view_count = 0;          // Views that readers may still be in, now.
  std::uint64_t oldest_reader_microseconds = 0;  // How long one read has been keeping them, now,
  std::uint64_t oldest_reader_thread_id = 0;     // and on which thread (gettid). 0: none does.

  // Now, in bytes but for the last.
  std::uint64_t memory_size = 0;                   // Deltas; Options::memory_budget bounds it, but
                                                   // for erases when there is no space.
  std::uint64_t memory_budget = 0;                 // What deltas may take now: memory_budget of
                                                   // the options, or what memory_limit leaves.
  std::uint64_t memory_limit = 0;                  // Options::memory_limit. 0: none.
  std::uint64_t table_memory_size = 0;             // Sparse indexes and filters held in memory.
  std::uint64_t disk_size = 0;                     // All files of the index, logs included.
  std::uint64_t log_disk_size = 0;                 // Of these, log files (preallocated).
  std::uint32_t live_snapshot_count = 0;           // Snapshots and snapshot scans, now.
  std::uint64_t oldest_snapshot_microseconds = 0;  // How long the oldest of them has been there.
  // Of these, and of reads in progress, those beyond Options::reader_age_limit, now.
  std::uint64_t aged_reader_count = 0;

  // (log + runs + manifest) / user bytes since open; 0 before the first write.
  [[nodiscard]] double write_amplification() const noexcept {
    return user_bytes_written == 0 ? 0.0
                                   : static_cast<double>(log_bytes_written + run_bytes_written +
                                                         manifest_bytes_written) /
                                         static_cast<double>(user_bytes_written);
  }
};

}  // namespace varve
