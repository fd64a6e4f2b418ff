// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "varve/directory_lock.hpp"
#include "varve/error.hpp"
#include "varve/limits.hpp"
#include "varve/lock_health.hpp"
#include "varve/options.hpp"
#include "varve/scan.hpp"
#include "varve/statistics.hpp"
#include "varve/write_batch.hpp"

namespace varve {

class SegmentIndex;
namespace internal {
class Index;
struct SegmentIndexAccess;
}  // namespace internal

// A moment of the index that reads can refer to as long as this object lives. Holding one makes
// compaction keep what it needs; it costs nothing else.
// Lifetime: may outlive close() and the index's handle; reads through it then throw Closed.
// Thread-safety: that of its index.
class VARVE_EXPORT Snapshot {
 public:
  Snapshot(Snapshot&&) noexcept;
  Snapshot& operator=(Snapshot&&) noexcept;
  ~Snapshot();
  // The highest sequence that is visible.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }

 private:
  friend struct internal::SegmentIndexAccess;
  Snapshot(std::shared_ptr<internal::Index> index, std::uint64_t sequence) noexcept;
  std::shared_ptr<internal::Index> index_;
  std::uint64_t sequence_ = 0;
};

// Life cycle of an index handle. Failed is latched: a write failed in a way that leaves the disk
// in doubt; reads go on, writes throw ReadOnly with the reason, close() releases everything.
enum class Lifecycle : std::uint8_t { New, Opening, Ready, Closing, Closed, Failed };
[[nodiscard]] VARVE_EXPORT std::string_view to_string(Lifecycle lifecycle) noexcept;

// Stops a running maintenance call from another thread, or from its own progress callback.
// Thread-safety: any.
class CancelToken {
 public:
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool cancelled() const noexcept {
    return cancelled_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<bool> cancelled_ = false;
};

struct MaintenanceProgress {
  // The total changes while segments are split and merged; with the last one they are equal.
  std::uint64_t segments_done = 0, segments_total = 0;
  std::uint64_t bytes_written = 0;
};

struct CompactOptions {
  std::string_view from = {};  // Segments that overlap [from, to); empty: no bound.
  std::string_view to = {};
  std::function<void(const MaintenanceProgress&)> progress = {};  // After each segment; may cancel.
  const CancelToken* cancel = nullptr;  // Checked between segments and within merges.
};

// Why try_open() gave no index.
enum class OpenRefusal : std::uint8_t { None, NotFound, Locked };
struct TryOpen;

// A persistent ordered map from byte keys to byte values, kept in segments by key range. Keys are
// ordered as unsigned bytes.
//
// Ownership: an open handle holds the directory's lock until close() or destruction; arguments are
// copied.
// Thread-safety: by Options::access. Bare: one thread at a time (debug builds abort on a second
// one). Synchronized and Concurrent: any thread, any method, except destruction and moves.
// Durability: by Options::durability and WriteOptions; see docs and the README's table.
// Errors: methods throw Error. Before ready and after close: Closed. In a forked child:
// ForkedHandle. An absent key is an answer, never an Error.
class VARVE_EXPORT SegmentIndex {
 public:
  // Opens the index in `directory`; creates it when absent and Options::create_if_missing. The
  // parent directory must exist.
  // Errors: Locked (naming the holder), NotFound, Corruption, Unsupported, Mismatch,
  // InvalidArgument, Io; what was there is then unchanged.
  [[nodiscard]] static SegmentIndex open(const std::filesystem::path& directory,
                                         const Options& options = {});
  // As open(), but there must be no index yet: AlreadyExists.
  [[nodiscard]] static SegmentIndex create(const std::filesystem::path& directory,
                                           const Options& options = {});
  // As open(), with "not there" and "held by another" as answers.
  [[nodiscard]] static TryOpen try_open(const std::filesystem::path& directory,
                                        const Options& options = {});
  // An index that lives in memory and is gone with its handle: the same engine on the memory
  // directory, for tests and caches.
  [[nodiscard]] static SegmentIndex open_in_memory(const Options& options = {});

  SegmentIndex() noexcept;  // Lifecycle::New: every call throws Closed.
  SegmentIndex(SegmentIndex&&) noexcept;
  SegmentIndex& operator=(SegmentIndex&&) noexcept;
  ~SegmentIndex();  // Closes, and drops the Error that close() would have thrown.

  // Requires (else InvalidArgument): sizes within limits.hpp. Errors: Busy, NoSpace, Io, ReadOnly.
  // NoSpace: the write had no effect, and it is not latched: once there is room again, writes go
  // on. Erases, and batches of nothing else, may use what is kept back (Tuning::reserve_size).
  void put(std::string_view key, std::string_view value, const WriteOptions& options = {});
  void erase(std::string_view key, const WriteOptions& options = {});
  // Erases every key in [from, to), atomically; an empty `to` means up to the end. Cost: per
  // segment touched, not per key.
  void erase_range(std::string_view from, std::string_view to, const WriteOptions& options = {});
  void erase_prefix(std::string_view prefix, const WriteOptions& options = {});
  void write(const WriteBatch& batch, const WriteOptions& options = {});  // Atomic.

  [[nodiscard]] std::optional<std::string> get(std::string_view key,
                                               const Snapshot* snapshot = nullptr) const;
  // As get(), into `value`, whose memory is reused. False: absent, and `value` is unspecified.
  [[nodiscard]] bool get(std::string_view key, std::string& value,
                         const Snapshot* snapshot = nullptr) const;
  [[nodiscard]] bool contains(std::string_view key, const Snapshot* snapshot = nullptr) const;
  // One answer per key, in their order, all of one moment.
  [[nodiscard]] std::vector<std::optional<std::string>> multi_get(
      std::span<const std::string_view> keys, const Snapshot* snapshot = nullptr) const;
  // The same into `values`, one for each key, where the memory of strings is reused; after an Error
  // they are unspecified. Returns how many are present. Errors: InvalidArgument (their number).
  std::size_t multi_get(std::span<const std::string_view> keys,
                        std::span<std::optional<std::string>> values,
                        const Snapshot* snapshot = nullptr) const;

  [[nodiscard]] Cursor scan(const ScanOptions& options = {}) const;
  [[nodiscard]] Snapshot snapshot() const;

  // Makes every acknowledged write survive power loss. Cost: one device flush of the log; without
  // a log (Buffered), a flush().
  void sync();
  // Writes all deltas to delta runs and drops the log that they came from.
  void flush();
  // Merges every segment in the range into one main run; splits and merges segments as due. When it
  // came to the end of the index, log files that were kept for reuse are removed, and the log too
  // if it has nothing that is not in runs: the next write makes another one.
  // Errors: Cancelled; the segments done so far stay done.
  void compact(const CompactOptions& options = {});
  // Does maintenance that is due, one job at a time; true when a job was done.
  // For Tuning::inline_maintenance = false.
  bool maintain();

  // Idempotent. Flushes the deltas of Buffered writes, syncs, writes the clean mark, unlocks.
  // Open cursors and snapshots then throw Closed. Errors: as write(); the lock is released anyway.
  void close();

  [[nodiscard]] Lifecycle lifecycle() const noexcept;
  // True while nothing is unfinished or failed: ready, no failure latched, no job to be tried
  // again, and not short of space (Statistics::space).
  [[nodiscard]] bool health() const noexcept;
  [[nodiscard]] Statistics statistics() const;
  // How the locks of Access::Concurrent have fared since open: which were waited for, how often and
  // for how long. Empty unless Options::lock_health.enabled. Thread-safety: any thread.
  [[nodiscard]] LockReport lock_report() const;
  [[nodiscard]] const std::filesystem::path& path() const noexcept;
  // The options in force, with the persisted codec names.
  [[nodiscard]] Options options() const;
  // Records the codec names of an index that has none yet. Errors: Mismatch when it has others.
  void set_codecs(std::string_view key_codec, std::string_view value_codec);

 private:
  friend struct internal::SegmentIndexAccess;
  explicit SegmentIndex(std::shared_ptr<internal::Index> index) noexcept;
  [[nodiscard]] internal::Index& ready() const;  // Throws Closed without an index.
  std::shared_ptr<internal::Index> index_;
};

struct TryOpen {
  std::optional<SegmentIndex> index;
  OpenRefusal refusal = OpenRefusal::None;
  std::optional<LockHolder> holder;  // With OpenRefusal::Locked, where known.
};

}  // namespace varve
