// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/core.hpp"
#include "lib/merge_job.hpp"
#include "varve/scan.hpp"
#include "varve/segment_index.hpp"

namespace varve::internal {

class EngineCursor;

// The bare index: everything that an index does, for one thread at a time. The access modes wrap
// it and add nothing but who may call when.
//
// A put walks: admit -> route map -> log -> delta; maintenance that is due runs before it, so that
// a failing flush is the error of a write that had no effect.
// Thread-safety: one thread at a time. Errors: as SegmentIndex.
class Engine {
 public:
  explicit Engine(std::unique_ptr<Core> core);
  ~Engine();

  void put(std::string_view key, std::string_view value, const WriteOptions& options);
  void erase(std::string_view key, const WriteOptions& options);
  void erase_range(std::string_view from, std::string_view to, const WriteOptions& options);
  void write(const WriteBatch& batch, const WriteOptions& options);

  [[nodiscard]] bool get(std::string_view key, std::string& value, Sequence at);
  [[nodiscard]] bool contains(std::string_view key, Sequence at);
  std::size_t multi_get(std::span<const std::string_view> keys, Sequence at,
                        std::span<std::optional<std::string>> values);

  // The cursor's core; the wrapper owns it and must destroy it before the engine.
  [[nodiscard]] std::unique_ptr<EngineCursor> scan(const ScanOptions& options);
  [[nodiscard]] Sequence take_snapshot();
  void release_snapshot(Sequence sequence) noexcept;

  void sync();
  void flush();
  // Compacts in steps, so that a wrapper can let others in between: the segment that owns `at`,
  // whose end it returns; nullopt when that was the last one before `to`.
  [[nodiscard]] std::optional<std::string> compact_step(std::string_view at, std::string_view to,
                                                        const CancelToken* cancel);
  [[nodiscard]] std::size_t segment_count(std::string_view from, std::string_view to) const;
  bool maintain();
  void close();

  // Without the calls, which the engine does not count.
  [[nodiscard]] Statistics statistics() const;
  [[nodiscard]] segment::FilterTally tally_filters(std::string_view key);
  [[nodiscard]] Options options() const;
  void set_codecs(std::string_view key_codec, std::string_view value_codec);
  [[nodiscard]] Core& core() noexcept { return *core_; }
  [[nodiscard]] const directory::Ownership& ownership() const noexcept { return *core_->ownership; }
  void release_ownership() noexcept { core_->ownership->release(); }
  [[nodiscard]] const FailureLatch& failure() const noexcept { return core_->failure; }
  // Nothing is to be tried again, and there is no lack of space.
  [[nodiscard]] bool healthy() const noexcept {
    return !core_->space.is_short() && !core_->job_failures.any();
  }
  [[nodiscard]] std::uint64_t run_bytes_written() const noexcept {
    return core_->counters.run_bytes;
  }

  // Exclusive scans that are open; writes throw Busy meanwhile.
  [[nodiscard]] std::size_t exclusive_scans() const noexcept { return core_->exclusive_scans; }

 private:
  std::string compact_segment(std::string_view at, const JobControl& control);
  void shrink_log();
  friend class EngineCursor;
  [[nodiscard]] Durability admit(const WriteOptions& options);
  // `erases`: the write consists of erases, which may use what is kept back.
  void make_room(const WriteOptions& options, bool erases);
  void make_room_for_growth();
  void make_room_for_erase();
  void ready_log(std::size_t payload_size, bool erases) {
    if (!core_->log_ready(payload_size)) [[unlikely]]
      core_->ready_log(payload_size, erases);
  }
  void write_one(OperationKind kind, std::string_view key, std::string_view value,
                 const WriteOptions& options);
  void put_range_erase(std::string_view from, std::string_view to, Sequence sequence);
  // A live snapshot may need what a write replaces.
  [[nodiscard]] bool keeps_older() const { return core_->snapshots.newest() != 0; }
  void settle(Durability durability);
  void sync_log();
  bool run_due_jobs();
  void run_due_jobs_of_write();

  std::unique_ptr<Core> core_;
  std::string scratch_;
  bool structure_dirty_ = false;  // A segment may have become due for a merge.
  std::chrono::steady_clock::time_point last_interval_sync_;
};

// Counts a segment that compact_step() is done with; `last`: it returned nullopt. Others may have
// become more or fewer since they were counted, and yet the last one makes it all of them.
void count_segment(MaintenanceProgress& progress, bool last) noexcept;

}  // namespace varve::internal
