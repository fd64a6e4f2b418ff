// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <exception>
#include <mutex>
#include <utility>

namespace varve::internal {

// The first failure that leaves the disk in doubt, thrown again to every later writer. Reads go on.
// Thread-safety: any method from any thread.
class FailureLatch {
 public:
  void record(std::exception_ptr failure) noexcept {
    const std::lock_guard lock(mutex_);
    if (failure_ == nullptr) failure_ = std::move(failure);
    failed_.store(true, std::memory_order_release);
  }
  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }
  void rethrow_if_failed() const {
    if (!failed()) [[likely]]
      return;
    std::unique_lock lock(mutex_);
    const std::exception_ptr failure = failure_;
    lock.unlock();
    std::rethrow_exception(failure);
  }

 private:
  mutable std::mutex mutex_;
  std::exception_ptr failure_;  // Guarded by mutex_. Set once, never cleared.
  std::atomic<bool> failed_ = false;
};

}  // namespace varve::internal
