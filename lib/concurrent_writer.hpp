// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "directory/mutex.hpp"
#include "directory/thread_annotations.hpp"
#include "lib/background.hpp"
#include "lib/core.hpp"
#include "varve/options.hpp"
#include "varve/write_batch.hpp"

namespace varve::internal {

// The write path of the concurrent index.
//
//   admit -> pace -> [ pin, route, lock segment(s), look again -> log: sequence, record -> delta(s)
//   -> mark as published ] -> wait until everything before is published too -> sync if asked for
//
// What is in brackets waits for nothing but locks that are held as shortly. A log that is full and
// a scan that holds writers off are waited for outside, without any lock, and then the write begins
// anew.
//
// A returned write is visible to every read that begins afterwards, and reads never see a write
// without those of lower sequences.
// Thread-safety: any thread.
class ConcurrentWriter {
 public:
  ConcurrentWriter(Core& core, Background& background)
      : core_(core), background_(background), scan_mutex_(core.locks.scan) {}

  // Kind: Put or Erase.
  void write_one(OperationKind kind, std::string_view key, std::string_view value,
                 const WriteOptions& options);
  void erase_range(std::string_view from, std::string_view to, const WriteOptions& options);
  void write(const WriteBatch& batch, const WriteOptions& options);

  // Waits until no other scan holds writers off, then holds them off until end_exclusive_scan().
  // `open` makes the cursor, which counts itself. Errors: Busy when this thread has such a scan.
  template <typename Open>
  auto begin_exclusive_scan(const Open& open) {
    std::unique_lock lock(scan_mutex_);
    wait_for_scans(lock, {});
    auto cursor = open();
    scanner_ = std::this_thread::get_id();
    lock.unlock();
    drain_writers();
    return cursor;
  }
  void end_exclusive_scan() noexcept;
  // Writers that wait find the index closed.
  void stop() noexcept;

 private:
  using Clock = Background::Clock;
  struct Request {
    Durability durability = Durability::Process;
    Background::Deadline deadline;
    bool erases = false;  // The write consists of erases, which may use what is kept back.
    [[nodiscard]] bool logged() const noexcept { return durability != Durability::Buffered; }
  };
  // What a write has got once it is in the log.
  struct Taken {
    Sequence first = 0, last = 0;
    std::uint64_t log_position = 0;
  };
  // What stands in a write's way when it has its locks.
  enum class Obstacle : std::uint8_t { None, Retired, Scan, Log };
  class Publication;

  // Errors: Busy or PotentialDeadlock when the deadline passes first.
  // The lock goes to the caller, which the compiler's analysis cannot follow.
  [[nodiscard]] static std::unique_lock<directory::Mutex> lock_for(
      const Request& request, directory::Mutex& mutex) VARVE_NO_THREAD_SAFETY_ANALYSIS {
    if (!request.deadline) [[likely]]
      return std::unique_lock(mutex);
    mutex.lock_before(*request.deadline);
    return {mutex, std::adopt_lock};
  }
  [[nodiscard]] Request admit(const WriteOptions& options, std::size_t size, bool erases);
  void admit_erase(const Request& request, std::size_t size);
  template <typename Append>
  [[nodiscard]] Obstacle take(const Request& request, std::size_t payload_size, Sequence count,
                              const Append& append, Taken& taken);
  [[nodiscard]] Obstacle try_write_one(const Request& request, OperationKind kind,
                                       std::string_view key, std::string_view value, Taken& taken);
  template <typename Append>
  [[nodiscard]] Obstacle try_write_all(const Request& request,
                                       const std::vector<Operation>& operations,
                                       std::size_t payload_size, const Append& append,
                                       Taken& taken);
  template <typename Append>
  void write_all(const Request& request, const std::vector<Operation>& operations,
                 std::size_t payload_size, const Append& append);
  void overcome(Obstacle obstacle, const Request& request, std::size_t payload_size);
  void apply(const std::vector<Operation>& operations,
             const std::vector<std::size_t>& first_segments, const RouteMap& routes,
             Sequence sequence);
  void finish(const Request& request, const Taken& taken);
  void wait_for_scans(std::unique_lock<directory::Mutex>& lock,
                      const Background::Deadline& deadline);
  void drain_writers();

  Core& core_;
  Background& background_;

  directory::Mutex scan_mutex_;
  std::condition_variable_any scans_ended_;
  std::thread::id scanner_;  // Guarded by scan_mutex_. Who opened the last exclusive scan.
  bool stopped_ = false;     // Guarded by scan_mutex_.
};

}  // namespace varve::internal
