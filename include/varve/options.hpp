// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "varve/directory_lock.hpp"
#include "varve/lock_health.hpp"

namespace varve {

// Who may call an index at the same time. One engine serves all three.
enum class Access : std::uint8_t {
  Bare,          // One thread at a time, no locks; maintenance runs inside the calls.
  Synchronized,  // Any thread; the bare engine behind one re-entrant lock.
  Concurrent,    // Any thread: reads take no lock and never wait, but for the first scans of an
                 // index whose last process died; writers of different segments go side by side,
                 // maintenance runs on threads of the index.
};

// What a returned write has survived. A weaker write may ride on a stronger one's sync.
enum class Durability : std::uint8_t {
  Buffered,  // Memory only until the next flush: lost when the process dies. No log is written.
  Process,   // In the log's mapped pages: survives the death of the process, not of the machine.
  Synced,    // Synced to the device: survives power loss.
};

// What close() does with a background job in progress (Access::Concurrent). Nothing is lost either
// way: a job that did not finish leaves the index as it was.
enum class CloseMode : std::uint8_t {
  CancelJobs,  // Stops it at its next look, within milliseconds.
  FinishJobs,  // Waits for it.
};

// How runs are read.
enum class Reads : std::uint8_t {
  Mapped,    // Memory-mapped; fastest. A device error under a mapping is a SIGBUS.
  Buffered,  // Read into memory by block; a device error is an Error for the keys concerned.
};

[[nodiscard]] VARVE_EXPORT std::string_view to_string(Access access) noexcept;
[[nodiscard]] VARVE_EXPORT std::string_view to_string(Durability durability) noexcept;
[[nodiscard]] VARVE_EXPORT std::string_view to_string(Reads reads) noexcept;

// Knobs for those who measure. Every field is checked at open (InvalidArgument names it).
// "new files": may change at any reopen and holds for files written from then on.
// "at once": may change at any reopen and holds from then on for everything.
struct Tuning {
  std::size_t segment_size = 64 << 20;   // Bytes of a main run at which it splits. At once.
                                         // [64 KiB, 16 GiB]
  std::size_t block_size = 4096;         // Target bytes of a block. New files. [512, 64 KiB]
  double filter_bits_per_key = 12;       // 0 = no filter. New files. [0, 32]
  double compaction_ratio = 0.5;         // alpha: a segment's deltas over its main run. At once.
                                         // [0.05, 4]
  std::uint32_t tier_fanout = 4;         // Delta runs of one tier that are merged. At once. [2, 16]
  std::uint32_t delta_runs_max = 12;     // Per segment. At once. [2, 64]
  std::size_t log_file_size = 64 << 20;  // Bytes preallocated per log file. New files.
                                         // [64 KiB, 1 GiB]
  // Bytes of the medium that are kept back for erases and compact() when it is full; an eighth of
  // the runs while that is less, and nothing below 64 KiB. While they cannot be had, writes other
  // than erases throw NoSpace. Half a segment_size is enough to compact a segment of which half was
  // erased. 0: none. At once. [0, 16 GiB]
  std::size_t reserve_size = 32 << 20;
  // Reads of a segment of several runs pay for each of them, and once they have paid enough the
  // runs are merged, although the writes alone give no reason yet. So an index that is only read
  // may be rewritten once. Scans count, and gets with Access::Concurrent, where threads of the
  // index do the merge. False: only writes, and compact(), cause merges. At once.
  bool merge_for_reads = true;
  bool inline_maintenance = true;  // False: only maintain(), flush() and compact() do any, and
                                   // writes throw Busy once the memory budget is used up. True:
                                   // in calls, or (Access::Concurrent) on threads of the index.
  // Access::Concurrent: threads that do maintenance, as many jobs of different segments side by
  // side; as many at most read the runs when a large index is opened. 0: one per processor, 4 at
  // most. At once. [0, 64]
  std::uint32_t maintenance_threads = 0;
  // Access::Concurrent: the part of their time in which these threads work on a job, as long as no
  // writer has to wait for them. At once. [0.05, 1]
  double maintenance_share = 1;
  // Access::Concurrent: by how much these threads are nicer than the one that opens the index, so
  // that reads and writes need not share their processors with them where processors are scarce
  // (setpriority(2)). Once memory is nearly full, one more thread, which is no nicer, works as
  // well. 0: neither. At open. [0, 19]
  std::uint32_t maintenance_nice = 10;
  // Access::Concurrent: bytes for the values of the keys that are read most, which then answer
  // before the segments are asked (the hot path). Used only while it pays: see Statistics. 0: none.
  // At open. [0, 1 GiB]
  std::size_t hot_path_size = std::size_t{4} << 20;
};

struct Options {
  Access access = Access::Concurrent;
  Durability durability = Durability::Process;  // Default of every write; WriteOptions overrides.
  // 0 = only when asked. Otherwise the log is synced by the first write after this time; with
  // Access::Concurrent by a thread of the index, whether there are writes or not.
  std::chrono::milliseconds sync_interval{0};
  std::size_t memory_budget = std::size_t{128} << 20;  // Bytes of deltas. [256 KiB, 1 TiB]
  // Bytes of all that the index holds in memory: Statistics::memory.total_size(). Deltas get what
  // the other owners leave of it, at most memory_budget and at least 256 KiB, and writes are slowed
  // and wait accordingly. What the data itself needs, above all sparse indexes and filters, is not
  // refused: see estimate_memory() for how much that is. 0: none. [0, 16 TiB]
  std::size_t memory_limit = 0;
  Reads reads = Reads::Mapped;
  CloseMode close = CloseMode::CancelJobs;
  LockHealthOptions lock_health = {};  // Of the locks of Access::Concurrent: see lock_report().
  // Reads, snapshots and snapshot scans that last longer are counted in the statistics: they keep
  // memory, and entries that merges would drop. 0: none are. [0, 1 day]
  std::chrono::milliseconds reader_age_limit{60'000};
  bool create_if_missing = true;  // open() of an absent index creates it; false: NotFound.
  bool read_only = false;         // Shared lock; writes throw ReadOnly; nothing on disk changes.
  std::chrono::milliseconds lock_wait = kOpenWaitDefault;  // For the directory lock.
  // For a directory that may have been made to harm (docs/SECURITY.md): open() reads and verifies
  // all of it, as check({.deep = true}), before it uses any; blocks are read into memory whatever
  // `reads` says; and what a file may demand of memory has lower limits (LimitExceeded).
  bool untrusted = false;
  bool allow_network_file_system = false;  // NFS, CIFS, 9p, FUSE: weaker promises, see README.
  // Names of the typed layer's codecs; persisted at creation. Where both sides are non-empty and
  // differ, open() throws Mismatch. TypedIndex fills them in.
  std::string key_codec = {};
  std::string value_codec = {};
  Tuning tuning = {};
};

struct WriteOptions {
  std::optional<Durability> durability = {};  // Default: Options::durability.
  // A write that cannot finish in this time has no effect and throws Busy (or PotentialDeadlock,
  // should it have waited for a lock in a circle). Once it has its locks it finishes, though, and
  // Synced writes wait for the device. Default: none.
  std::optional<std::chrono::nanoseconds> deadline = {};
};

}  // namespace varve
