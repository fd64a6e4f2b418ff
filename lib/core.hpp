// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "directory/mutex.hpp"
#include "lib/catalog.hpp"
#include "lib/concurrency.hpp"
#include "lib/engine_locks.hpp"
#include "lib/failure_latch.hpp"
#include "lib/job_failures.hpp"
#include "lib/memory_budget.hpp"
#include "lib/relaxed_counter.hpp"
#include "lib/route_map.hpp"
#include "lib/run_store.hpp"
#include "lib/snapshots.hpp"
#include "lib/space.hpp"
#include "lib/write_log.hpp"
#include "segment/arena.hpp"
#include "segment/compaction.hpp"
#include "varve/error.hpp"
#include "varve/options.hpp"

namespace varve::internal {

// Figures of jobs since open; see Statistics for their meanings. CallRecorder counts the calls.
struct Counters {
  std::atomic<std::uint64_t> run_bytes = 0;
  std::atomic<std::uint64_t> flush = 0, compaction = 0, split = 0, merge = 0;
  // Of writes that do the jobs themselves.
  RelaxedCounter stalled_writes, stalled_microseconds_max;
  RelaxedCounter recovered_operations, recovery_microseconds;
  bool recovered_after_crash = false;
};

// The state of one open index that the write path, the jobs and recovery share. It knows how the
// parts belong together; what to do with them is said in engine, flush, compaction and recovery.
//
// Invariant: routes().at(i) is the segment of manifest()->segments[i]; every live run of the
// manifest is open in exactly one view.
// Thread-safety: without `concurrency`, one thread at a time. With it: routes() and views under an
// epoch pin; publish() from any thread; jobs under lock_jobs() or join_jobs(); the rest as each
// says.
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
  const EngineLocks locks;
  FailureLatch failure;
  JobFailures job_failures;
  Space space;
  segment::ChunkPool pool;
  MemoryBudget memory_budget;
  std::atomic<std::size_t> jobs_size = 0;  // Bytes that jobs in progress have to write runs with.
  Catalog catalog;
  RunStore run_store;  // Used by jobs only.
  Snapshots snapshots;
  Counters counters;
  std::unique_ptr<WriteLog> log;  // Null for a read-only index, and until recovery has begun one.
  // A write without log record is in memory: flushes must then take all segments at one moment,
  // so that a crash leaves a prefix of the writes and whole batches. Set under the lock of the
  // segment that the write goes to.
  std::atomic<bool> unlogged_writes = false;
  // A flush has taken such writes from memory, and they are not durable yet. Set before it resets
  // unlogged_writes; a flush that fails leaves both set.
  std::atomic<bool> unlogged_in_flush = false;
  std::atomic<std::size_t> memory_after_flush = 0;  // What the last flush for memory left, bytes.
  std::atomic<std::size_t> memory_in_jobs = 0;     // Bytes that a flush in progress will give back.
  std::atomic<std::size_t> exclusive_scans = 0;    // That are open: nobody may write.
  std::atomic<bool> reads_may_want_merge = false;  // See segment::View::reads_want_merge().
  const std::unique_ptr<Concurrency> concurrency;  // Null where there is one thread at a time.

  [[nodiscard]] std::shared_ptr<const Manifest> manifest() const noexcept {
    return catalog.manifest();
  }
  [[nodiscard]] const RouteMap& routes() const noexcept {
    return *routes_.load(std::memory_order_acquire);
  }
  void set_routes(std::unique_ptr<const RouteMap> routes);
  // Keeps what routes() and view() give from being freed.
  [[nodiscard]] static concurrent::EpochDomain::Guard pin() noexcept {
    return concurrent::EpochDomain::pin();
  }
  // The segment's present view, kept alive by the caller: for jobs, which take their time.
  [[nodiscard]] static segment::ViewRef view_of(const segment::Segment& segment) noexcept {
    const auto pinned = pin();
    return segment::ViewRef(segment.view());
  }
  // The last sequence handed out. Stored under lock_log().
  [[nodiscard]] Sequence last_sequence() const noexcept {
    return last_sequence_.load(std::memory_order_acquire);
  }
  void set_last_sequence(Sequence sequence) noexcept {
    last_sequence_.store(sequence, std::memory_order_release);
  }
  // For recovery, before there are other threads: what is in memory up to here can be read.
  void set_recovered_sequence(Sequence sequence) noexcept {
    set_last_sequence(sequence);
    if (concurrency != nullptr) concurrency->published.reset(sequence);
  }
  // The sequence that a reader of the present reads at.
  [[nodiscard]] Sequence visible_sequence() const noexcept {
    return concurrency != nullptr ? concurrency->published.published() : last_sequence();
  }
  // Registers the present moment as a snapshot.
  [[nodiscard]] Sequence take_snapshot();
  // The live snapshots as a merge must respect them: everything written so far is visible.
  [[nodiscard]] std::vector<Sequence> snapshots_for_merge() const;

  // The locks of Concurrency, in its order; they lock nothing where there is only one thread.
  [[nodiscard]] JobBoard::Lock lock_jobs() const;  // Alone.
  [[nodiscard]] JobBoard::Lock join_jobs() const;  // Beside jobs that write: see JobBoard.
  [[nodiscard]] std::unique_lock<directory::Mutex> lock_catalog() const;
  [[nodiscard]] std::unique_lock<directory::Mutex> lock_log() const;
  [[nodiscard]] std::unique_lock<segment::WriterMutex> lock_writer(segment::Segment& segment) const;

  // Numbers that no file or segment has had. Any thread.
  [[nodiscard]] std::uint64_t take_delta_number() {
    return take_number(next_delta_number_, manifest()->next_delta_number);
  }
  [[nodiscard]] std::uint64_t take_segment_id() {
    return take_number(next_segment_id_, manifest()->next_segment_id);
  }

  // A segment object for a manifest record, of which `runs` are the runs; its memory is empty.
  [[nodiscard]] std::shared_ptr<segment::Segment> make_segment(const SegmentRecord& record,
                                                               std::string upper,
                                                               std::vector<segment::RunLayer> runs);
  // `expected_count`: keys, as far as the deltas before it can tell.
  [[nodiscard]] std::shared_ptr<segment::Delta> make_delta(std::uint64_t expected_count);
  // A delta that is filled when somebody first asks for it. Errors: std::bad_alloc.
  [[nodiscard]] std::shared_ptr<segment::Delta> make_unfilled_delta(
      std::unique_ptr<segment::DeltaFiller> filler);
  // Replaces a segment's view by what `change` makes of a copy.
  void publish(segment::Segment& segment, const std::function<void(segment::View&)>& change);
  // Likewise. Requires: the segment's writer lock is held.
  void publish_locked(segment::Segment& segment, const std::function<void(segment::View&)>& change);

  // Replaces the manifest: `edit` for the structure; sequence, checkpoint and logs are filled in
  // here. Afterwards dead logs are recycled. Errors: as Catalog::replace.
  void commit(const std::function<void(Manifest&)>& edit);
  // For recovery: the log to go on with. The manifest names its files.
  void take_log(std::unique_ptr<WriteLog> taken);
  // True when the log takes such a record, in a file that the manifest knows. Under lock_log().
  [[nodiscard]] bool log_ready(std::size_t payload_size) const noexcept {
    return log_listed_ && log->fits(payload_size);
  }
  // Makes it so, unless another thread uses the room up. For `erases` what is kept back may go,
  // a small file will do, and jobs in progress are waited for. Requires: no lock of Concurrency, or
  // jobs alone and no erases.
  void ready_log(std::size_t payload_size, bool erases);

  // Makes the log's next file if it will soon be needed. Where there is no room nothing happens:
  // who needs it will ask again. Requires: no lock of Concurrency. Errors: Io.
  void prepare_log();

  // Of the room on the medium. Requires: no lock of Concurrency but jobs.
  //
  // Does a job. One that finds no room is tried once more without the files that nothing needs now:
  // it must look for its segments itself, as the first attempt may have replaced some.
  void do_job(const std::function<void()>& job);
  // Does `work`; once more without what is kept back for jobs when there is no room otherwise.
  void with_reserve(const std::function<void()>& work);
  // Gives up what nothing needs now and what is kept back for jobs. False: there was none.
  bool give_up_room();
  // Takes the reserve that belongs to the runs, if there is room. Cheap while they are the same.
  void keep_reserve();
  // Refuses a write other than an erase as long as the reserve cannot be had. Errors: NoSpace.
  void admit_growth();
  // Tries again what had no room, if that makes sense now; jobs are their callers' to try.
  void look_for_room();
  // Writes a file of runs. Errors: as Directory::put_immutable(); a SyncError is latched.
  void put_runs(const std::string& name, const std::function<void(directory::Sink&)>& write);
  // What must follow a commit, so that memory and manifest agree: a failure of it is latched.
  void after_commit(const std::function<void()>& step);
  // Removes and punches what has become free. What the medium refuses is noted and tried again.
  void sweep();
  // A merge that failed so concerns its segment only; it is noted, to be tried again.
  [[nodiscard]] bool is_local(const Error& error) const noexcept {
    return (error.code() == ErrorCode::Io || error.code() == ErrorCode::Corruption) &&
           !failure.failed();
  }
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
  // Where the log ends now, for sync_log_through().
  [[nodiscard]] std::uint64_t log_position() const noexcept {
    return log != nullptr ? log->bytes_appended() : 0;
  }
  void sync_log_through(std::uint64_t position) {
    if (log != nullptr) on_log([position](WriteLog& open) { open.sync_through(position); });
  }
  // For a clean close: everything is in runs, so the manifest names no log, and none is left.
  void end_log();
  // For who wants the room: removes the log's spare files and, if all that was written is in runs,
  // the log; the next write begins another one. Requires: no lock of Concurrency but jobs. Errors:
  // Io; the log is whole then.
  void shrink_log();
  [[nodiscard]] std::size_t memory_size() const noexcept { return pool.size_in_use(); }
  // Of these, what flushes can give back.
  [[nodiscard]] std::size_t flushable_size() const noexcept {
    const std::size_t size = memory_size(), held = memory_held();
    return size - std::min(size, held);
  }
  // Bytes that only readers still hold and no flush gives back, as of the last look at it; less
  // what was given back since, as nobody says whose that was.
  [[nodiscard]] std::size_t memory_held() const noexcept {
    const std::uint64_t until = held_until_.load(std::memory_order_relaxed);
    const std::uint64_t released = pool.size_released();
    return until > released ? static_cast<std::size_t>(until - released) : 0;
  }
  // Gives the deltas what the others leave of Options::memory_limit, as of now.
  void share_memory();
  // Brings memory_held() up to date. Under join_jobs().
  void measure_held_memory();
  // alpha for this segment: Tuning::compaction_ratio, +-20 % so that segments do not fall due
  // together.
  [[nodiscard]] double compaction_ratio(const segment::Segment& segment) const noexcept;
  // What the policy, or the scans, ask for, of a segment whose view is `view`.
  [[nodiscard]] segment::MergePlan merge_plan(const segment::Segment& segment,
                                              const segment::View& view) const noexcept;

 private:
  [[nodiscard]] Sequence checkpoint_for(const Manifest& manifest) const noexcept;
  [[nodiscard]] static std::uint64_t take_number(std::atomic<std::uint64_t>& next,
                                                 std::uint64_t at_least) noexcept;
  void replace_manifest(const std::function<void(Manifest&)>& edit);  // Under lock_catalog().
  void begin_log(std::size_t payload_size, bool small);
  [[nodiscard]] bool seal_log_without_use();
  [[nodiscard]] std::uint64_t next_log_number() const;  // Under lock_catalog().
  // Frees what nothing needs now: spare log files, and the files that retired views alone hold
  // open. False: there was none.
  bool free_unneeded();
  void remove_dead(const std::function<void()>& remove);
  [[nodiscard]] bool may_write_behind() const noexcept;

  // Of every read, and of every write: neither waits for the other's cache line.
  alignas(segment::kLineSize) std::atomic<const RouteMap*> routes_ = nullptr;
  alignas(segment::kLineSize) std::atomic<Sequence> last_sequence_ = 0;
  std::atomic<std::uint64_t> next_delta_number_ = 0, next_segment_id_ = 0;  // If the manifest's
                                                                            // are not higher.
  std::atomic<std::uint64_t> held_until_ = 0;  // What the pool will have got back by then.
  bool log_listed_ = false;  // The manifest names the log file that is being written.
  std::atomic<std::uint64_t> reserve_edit_ = 0;  // Of the manifest whose runs have their reserve.
  std::atomic<std::size_t> lacking_payload_ =
      0;  // Of the record that had no room for its log file.
};

// The lowest sequence that `view` holds and `flushed_sequence` does not cover; kSequenceMax: none.
[[nodiscard]] Sequence oldest_unflushed(const segment::View& view,
                                        Sequence flushed_sequence) noexcept;

}  // namespace varve::internal
