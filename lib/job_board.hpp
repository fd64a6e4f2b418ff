// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "directory/lock_class.hpp"
#include "directory/mutex.hpp"

namespace varve::internal {

// Which structural jobs run side by side.
//
//   plan (locked) --begin_writing()--> write files (not locked) --end_writing()--> install (locked)
//
// Planning and installing are short and happen one at a time, under the board's lock. Writing is
// what takes time: a job that joined lets others in meanwhile, and claims its segments so that
// those leave them alone. A job that locked the board is alone from its beginning to its end.
// Thread-safety: lock() and join() from any thread, the rest under the lock they return.
class JobBoard {
 public:
  using Lock = std::unique_lock<directory::Mutex>;

  explicit JobBoard(const directory::LockClass& lock_class) : mutex_(lock_class) {}

  // Waits until no job is writing; no other begins while the lock is held or waited for.
  [[nodiscard]] Lock lock() {
    Lock lock(mutex_);
    ++waiting_alone_;
    changed_.wait(lock, [this] { return writing_ == 0; });
    --waiting_alone_;
    changed_.notify_all();
    return lock;
  }
  // Waits for those that plan, install or are alone, but not for those that write.
  [[nodiscard]] Lock join() {
    Lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_alone_ == 0; });
    return lock;
  }

  void begin_writing(Lock& lock) noexcept {
    ++writing_;
    lock.unlock();
  }
  void end_writing(Lock& lock) noexcept {
    lock.lock();
    if (--writing_ == 0) changed_.notify_all();
  }

  [[nodiscard]] std::size_t writing_count() const noexcept {  // From any thread: about.
    return writing_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] bool claimed(std::uint64_t segment_id) const noexcept {
    return std::find(claims_.begin(), claims_.end(), segment_id) != claims_.end();
  }
  void claim(std::uint64_t segment_id) { claims_.push_back(segment_id); }
  void give_up(std::uint64_t segment_id) noexcept {
    const auto at = std::find(claims_.begin(), claims_.end(), segment_id);
    if (at == claims_.end()) return;
    *at = claims_.back();
    claims_.pop_back();
  }

 private:
  directory::Mutex mutex_;
  std::condition_variable_any changed_;
  std::atomic<std::size_t> writing_ = 0;  // Jobs. Changed under the lock.
  std::size_t waiting_alone_ = 0;         // Threads in lock().
  std::vector<std::uint64_t> claims_;     // Segment ids; a few.
};

}  // namespace varve::internal
