// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <exception>
#include <mutex>
#include <string>

#include "varve/error.hpp"

namespace varve::internal {

// The first failure that leaves the disk in doubt, told to every later writer by a ReadOnly that
// says what failed and what to do. Reads go on. Whoever met the failure itself throws that.
// Thread-safety: any method from any thread.
class FailureLatch {
 public:
  void record(const std::exception_ptr& failure) noexcept {
    const std::lock_guard lock(mutex_);
    if (failure_ == nullptr) failure_ = read_only_because(failure);
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
  [[nodiscard]] static std::exception_ptr read_only_because(
      const std::exception_ptr& failure) noexcept {
    constexpr auto kSince = "the index is read-only since a failure: ";
    constexpr auto kAdvice =
        "; see to that, close the index and open it again: it then holds what "
        "is on the disk";
    try {
      try {
        std::rethrow_exception(failure);
      } catch (const Error& error) {
        throw Error(ErrorCode::ReadOnly, std::string(kSince) + error.what() + kAdvice, error.path(),
                    error.system());
      } catch (const std::exception& error) {
        throw Error(ErrorCode::ReadOnly, std::string(kSince) + error.what() + kAdvice);
      }
    } catch (...) {
      return std::current_exception();  // Without the memory for a message: bad_alloc.
    }
  }

  mutable std::mutex mutex_;
  std::exception_ptr failure_;  // Guarded by mutex_. Set once, never cleared.
  std::atomic<bool> failed_ = false;
};

}  // namespace varve::internal
