// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "directory/mutex.hpp"
#include "lib/log_format.hpp"
#include "lib/manifest.hpp"
#include "varve/concurrent/latency_histogram.hpp"
#include "varve/error.hpp"
#include "varve/options.hpp"

namespace varve::internal {

// A log that recovery read and that stays live. Its entry must be sealed, and synced that far.
struct RecoveredLog {
  LogRecordEntry entry;
  Sequence last_sequence = 0;  // 0: no records.
};

// Seals what recovery accepted of an unsealed log, so that the next recovery ends at the same
// record and the log may be followed by new ones: makes `bytes` up to scan.end durable by rewriting
// the file as just that, unless `synced_end` already reaches it and nothing follows.
// Idempotent. Errors: Io, NoSpace. Cost: one device flush and a copy of the records.
[[nodiscard]] RecoveredLog seal_recovered_log(directory::Directory& directory,
                                              std::string_view bytes, const LogScan& scan,
                                              std::uint64_t synced_end);

// The write-ahead log: a chain of preallocated files, the last of which is appended to.
//
//   rotate(): current file -> sealed (synced, closed)       a new or recycled file -> current
//   seal(): likewise, and no file is current until the next rotate()
//   release_through(): sealed -> released                   remove_released(): released -> spare
//                                                           or removed
//
// Invariant: all but the current file are sealed and durable, so a hole can only be at the end of
// the chain. Numbers and sequences ascend along it.
// Ownership: the directory must outlive it. Spare files keep their old names until they are reused
// or discarded; no manifest names them, so an open after a crash removes them as strays.
// Thread-safety: sync() and the figures from any thread. append() and fits() by one thread at a
// time, the list of files (live() and what follows, and prepare()) by one thread at a time,
// rotate() by one that excludes both: the caller has a lock for each. Durability: append() = the
// record survives the process; sync() = the device. Errors: Io, NoSpace from rotation and sync.
// After a failed sync, of whatever file, the log is poisoned: append(), rotate() and sync() throw
// the same Error from then on. A rotation that could not make its new file for another reason
// changed nothing and may be tried again.
class WriteLog {
 public:
  static constexpr std::size_t kSpareCountMax = 4;
  // Of the room for a staged record, what is kept for the next one.
  static constexpr std::size_t kStagedCapacityMax = std::size_t{1} << 20;

  // `sync_class`: of the lock that a device flush holds.
  WriteLog(directory::Directory& directory, std::string uuid, std::size_t file_size,
           const directory::LockClass& sync_class);
  WriteLog(const WriteLog&) = delete;
  WriteLog& operator=(const WriteLog&) = delete;
  ~WriteLog();

  // Begins file `number` (recycling a dead one when there is one, else creating), big enough for a
  // record of `payload_size` bytes. Where something that is not ours has that name, it is left
  // alone and one of the next numbers is taken. Syncs and seals the file before it. The caller must
  // make the number, that of live().back(), known in the manifest before it appends.
  // `small`: not the usual size, but enough for some records; for when there is little space.
  // Requires: `number` above all live ones; `first_sequence` above the last one appended.
  void rotate(std::uint64_t number, Sequence first_sequence, std::size_t payload_size,
              bool small = false);
  // Syncs and seals the current file: there is none until the next rotation. `last_sequence`: of
  // all that was appended, the operations of batches included. By one that excludes the same
  // threads as for rotate(). Errors: Io, which poisons the log.
  void seal(Sequence last_sequence);
  // Makes the file of the next rotation ahead of it, beside appends: that one then has one device
  // flush to wait for instead of three, and no new blocks. `first_sequence`: not above that of a
  // record which is appended from now on. Requires: `number` above all live ones.
  // Errors: as rotate(), which does without it.
  void prepare(std::uint64_t number, Sequence first_sequence);
  // The current file is nearly full, and none is prepared. By the thread of prepare().
  [[nodiscard]] bool wants_next() const noexcept {
    return file_ != nullptr && !prepared_ &&
           end_.load(std::memory_order_relaxed) >= capacity_ / 4 * 3;
  }
  // True when a record with that payload fits into the current file.
  [[nodiscard]] bool fits(std::size_t payload_size) const noexcept {
    const std::size_t left = capacity_ - end_.load(std::memory_order_relaxed);
    return payload_size <= left && log_record_size(payload_size) <= left;
  }
  // One record. Requires: fits(); a sequence above the last one appended. `durability`: Synced if
  // the caller syncs next; the record then goes to the file by a write (see LogFile::write()).
  void append(Sequence sequence, std::string_view payload,
              Durability durability = Durability::Process);
  // Like append() of a batch with one operation, without building the payload first.
  void append_operation(Sequence sequence, OperationKind kind, std::string_view key,
                        std::string_view value, Durability durability = Durability::Process);
  // Bytes that one Put or EraseRange takes; an Erase takes one byte less than with an empty value.
  [[nodiscard]] static std::size_t operation_payload_size(std::string_view key,
                                                          std::string_view value) noexcept;
  // Makes everything appended so far survive power loss; nothing to do when it already does.
  // Callers share device flushes (group commit): who arrives during one waits for the next, whose
  // leader gives those who were there last time a moment to come as well.
  void sync() { sync_through(bytes_appended()); }
  // Likewise for everything up to `position`, a value that bytes_appended() had.
  void sync_through(std::uint64_t position);

  // Live files for the manifest, oldest first; the last one is being written.
  [[nodiscard]] const std::vector<LogRecordEntry>& live() const noexcept;
  // What live() will be after release_through(checkpoint); changes nothing.
  [[nodiscard]] std::vector<LogRecordEntry> live_after(Sequence checkpoint) const;
  // The lowest checkpoint with which release_through() brings live_size() down to `size`, or as
  // near as it can; 0: it need not, or there is no file to release.
  [[nodiscard]] Sequence checkpoint_for_live_size(std::uint64_t size) const noexcept;
  // Takes over sealed files that recovery read and that are still needed, in ascending order.
  // Requires: nothing live yet.
  void adopt(const std::vector<RecoveredLog>& recovered);
  // Goes on in the last one of them, which was never sealed: `scan` tells what a process of this
  // machine run left in it, of which the medium has what lies before entry.synced_end. The rest
  // counts as appended and not synced. Requires: no current file; adopt() first.
  // Errors: as Directory::resume_log().
  void resume(const LogRecordEntry& entry, const LogScan& scan);
  // Bytes in live files that recovery would read.
  [[nodiscard]] std::uint64_t live_size() const noexcept;
  // Bytes of the record that is staged, or was: kept for the next one. By the thread of append().
  [[nodiscard]] std::size_t buffer_size() const noexcept { return staged_.capacity(); }
  // Bytes of the current file and of a prepared one, which are mapped where that is possible. As
  // live().
  [[nodiscard]] std::size_t mapped_size() const noexcept {
    return capacity_ + (prepared_ ? prepared_->file->capacity() : 0);
  }
  // Files whose records are all <= checkpoint leave live(), but never the current one; they become
  // removable after the next manifest replacement.
  void release_through(Sequence checkpoint);
  // After that replacement: keeps up to kSpareCountMax released files for recycling, removes the
  // others. Errors: Io; the files that are left are tried again by the next call.
  void remove_released();
  // Removes what is kept for recycling, and a prepared file: before a clean close, and when there
  // is no space. False: there was nothing. Errors: Io.
  bool remove_spares();
  // Positions; with what a resumed file had that was not synced.
  [[nodiscard]] std::uint64_t bytes_appended() const noexcept {
    return bytes_appended_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t bytes_written() const noexcept {  // By this process.
    return bytes_appended() - bytes_resumed_;
  }
  [[nodiscard]] std::uint64_t bytes_unsynced() const noexcept {
    // In this order: what is synced by then was appended before.
    const std::uint64_t synced = bytes_synced_.load(std::memory_order_acquire);
    return bytes_appended() - synced;
  }
  // Poisoned: see above.
  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t sync_count() const noexcept {  // Device flushes of records.
    return sync_count_.load(std::memory_order_relaxed);
  }
  // Their counts and latencies, failed ones included.
  void describe_device_flushes(concurrent::OperationSnapshot& to) const {
    flush_latencies_.describe(to);
    to.success_count = sync_count();
    to.failure_count = to.latency_count - std::min(to.latency_count, to.success_count);
  }

 private:
  struct Retired {
    std::uint64_t number;
    bool recyclable;  // Of the usual size.
  };
  char* begin_record(Sequence sequence, std::size_t payload_size, Durability durability);
  void end_record(Sequence sequence, std::string_view payload, Durability durability);
  void rethrow_if_failed() const;
  [[noreturn]] void poison(const Error& error);  // Requires: sync_mutex_ held, or no other thread.
  void sync_current();                           // Requires: sync_mutex_ held.
  // Requires: sync_mutex_ held; the current file is synced, the lists have room for one more.
  void note_sealed(Sequence last_sequence) noexcept;
  void set_current(std::unique_ptr<directory::LogFile> file, std::size_t end,
                   std::size_t synced_end) noexcept;  // Null, 0 and 0: none.
  void gather() noexcept;
  void lead();
  struct NewFile {
    std::uint64_t number = 0;
    std::unique_ptr<directory::LogFile> file;
  };
  // With its header, durable. Errors: also directory::SyncError; the file is gone again then.
  NewFile make_file_with_header(std::uint64_t number, std::size_t capacity,
                                Sequence first_sequence);
  NewFile take_prepared(std::uint64_t number, std::size_t capacity);
  std::unique_ptr<directory::LogFile> make_file(std::uint64_t& number, std::size_t capacity);
  std::unique_ptr<directory::LogFile> make_file_named(std::uint64_t number, std::size_t capacity);

  directory::Directory& directory_;
  const std::string uuid_, boot_id_;
  const std::size_t file_size_;

  // The current file. Written by the one thread; file_, and synced_end_, only under sync_mutex_.
  std::unique_ptr<directory::LogFile> file_;
  char* data_ = nullptr;
  std::size_t capacity_ = 0;
  std::atomic<std::size_t> end_ = 0;  // Stored with release after the record.
  std::atomic<std::size_t> synced_end_ = 0;
  std::uint64_t seed_ = 0;
  Sequence last_sequence_ = 0;
  std::string staged_;  // A record on its way to LogFile::write().

  mutable std::vector<LogRecordEntry>
      live_;                              // live() brings synced_end of the last one up to date.
  std::vector<Sequence> last_sequences_;  // Of live_, but the current file.
  std::vector<bool> recyclable_;          // Of live_.
  std::vector<Retired> released_;
  std::vector<std::uint64_t> spares_;
  std::optional<NewFile> prepared_;
  std::atomic<std::uint64_t> bytes_appended_ = 0;  // Stored with release after end_.
  std::atomic<std::uint64_t> bytes_synced_ = 0;    // Never above bytes_appended_.
  std::uint64_t bytes_resumed_ = 0;
  std::atomic<std::uint64_t> sync_count_ = 0;
  concurrent::LatencyHistogram flush_latencies_;

  // Of group commit: the leader takes sync_mutex_, the others wait for the count to move.
  std::atomic<bool> has_leader_ = false;
  std::atomic<std::uint32_t> flush_count_ = 0;
  std::atomic<std::uint32_t> arrival_count_ = 0;  // Calls of sync_through() that had to wait.
  std::uint32_t arrivals_flushed_ = 0;            // From here on: the leader's alone.
  std::uint32_t expected_count_ = 1;
  std::uint32_t vain_count_ = 0;
  std::uint32_t flushes_to_skip_ = 0;
  std::atomic<std::int64_t> flush_time_ = 0;  // Nanoseconds; of about the last ones.

  directory::Mutex sync_mutex_;   // Held during a device flush; the last lock of all.
  std::optional<Error> failure_;  // Set once, before failed_.
  std::atomic<bool> failed_ = false;
};

}  // namespace varve::internal
