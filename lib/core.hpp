// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "directory/directory.hpp"
#include "lib/catalog.hpp"
#include "lib/failure_latch.hpp"
#include "lib/route_map.hpp"
#include "lib/run_store.hpp"
#include "lib/seams.hpp"
#include "lib/snapshots.hpp"
#include "lib/write_log.hpp"
#include "segment/arena.hpp"
#include "varve/error.hpp"
#include "varve/options.hpp"

namespace varve::internal {

// Figures since open; see Statistics for their meanings.
struct Counters {
  std::uint64_t put = 0, erase = 0, get = 0, get_hit = 0, scan = 0;
  std::uint64_t user_bytes = 0, run_bytes = 0;
  std::uint64_t flush = 0, compaction = 0, split = 0, merge = 0;
  std::uint64_t recovered_operations = 0, recovery_microseconds = 0;
  bool recovered_after_crash = false;
};

// The state of one open index that the write path, the jobs and recovery share. It knows how the
// parts belong together; what to do with them is said in engine, flush, compaction and recovery.
//
// Invariant: routes()->at(i) is the segment of manifest().segments[i]; every live run of the
// manifest is open in exactly one view.
// Thread-safety: one thread at a time (the access mode sees to it).
class Core {
 public:
  Core(std::shared_ptr<directory::Directory> directory,
       std::unique_ptr<directory::Ownership> ownership, const Options& options, Manifest manifest);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core();

  std::shared_ptr<directory::Directory> directory;
  std::unique_ptr<directory::Ownership> ownership;
  Options options;
  Seams seams;
  FailureLatch failure;
  segment::ChunkPool pool;
  Catalog catalog;
  RunStore run_store;
  Snapshots snapshots;
  Counters counters;
  std::unique_ptr<WriteLog> log;  // Null for a read-only index, and until recovery has begun one.
  std::shared_ptr<const RouteMap> routes;
  Sequence last_sequence = 0;
  // A write without log record is in memory: flushes must then take all segments at one moment,
  // so that a crash leaves a prefix of the writes and whole batches.
  bool unlogged_writes = false;
  std::size_t memory_after_flush = 0;  // What the last flush for memory left, bytes.

  [[nodiscard]] const Manifest& manifest() const noexcept { return catalog.manifest(); }
  // A segment object for a manifest record, its runs opened, its memory empty.
  [[nodiscard]] std::shared_ptr<segment::Segment> make_segment(const SegmentRecord& record,
                                                               std::string upper);
  [[nodiscard]] std::shared_ptr<segment::Delta> make_delta();
  // Replaces a segment's view by what `change` makes of a copy.
  void publish(segment::Segment& segment, const std::function<void(segment::View&)>& change);

  // Replaces the manifest: `edit` for the structure; sequence, checkpoint and logs are filled in
  // here. Afterwards dead logs are recycled. Errors: as Catalog::replace.
  void commit(const std::function<void(Manifest&)>& edit);
  // Makes sure that the log can take a record, in a file that the manifest knows.
  void ensure_log(std::size_t payload_size);
  // A call on the log. Once the log is poisoned, so is the index.
  template <typename Call>
  void on_log(const Call& call) {
    try {
      call(*log);
    } catch (const Error&) {
      if (log->failed()) failure.record(std::current_exception());
      throw;
    }
  }
  void sync_log() {
    if (log != nullptr) on_log([](WriteLog& open) { open.sync(); });
  }
  // For a clean close: everything is in runs, so the manifest names no log, and none is left.
  void end_log();
  [[nodiscard]] std::size_t memory_size() const noexcept { return pool.size_in_use(); }
  // alpha for this segment: Tuning::compaction_ratio, +-20 % so that segments do not fall due
  // together.
  [[nodiscard]] double compaction_ratio(const segment::Segment& segment) const noexcept;

 private:
  [[nodiscard]] Sequence checkpoint_for(const Manifest& manifest) const noexcept;

  bool log_listed_ = false;  // The manifest names the log file that is being written.
};

// The lowest sequence that `view` holds and `flushed_sequence` does not cover; kSequenceMax: none.
[[nodiscard]] Sequence oldest_unflushed(const segment::View& view,
                                        Sequence flushed_sequence) noexcept;

}  // namespace varve::internal
