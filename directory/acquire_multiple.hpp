// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "directory/mutex.hpp"

namespace varve::directory {

// Several mutexes, held until destruction. Which ones is known at run time only, so clang's
// analysis cannot follow. Thread-safety: one thread, the one that acquired.
class [[nodiscard]] HeldMutexes {
 public:
  HeldMutexes() = default;
  HeldMutexes(HeldMutexes&& other) noexcept : mutexes_(std::move(other.mutexes_)) {
    other.mutexes_.clear();
  }
  HeldMutexes& operator=(HeldMutexes&& other) noexcept;
  ~HeldMutexes() { unlock(); }

  // In the lock order, each once.
  [[nodiscard]] const std::vector<Mutex*>& mutexes() const noexcept { return mutexes_; }
  // Early; the last acquired first.
  void unlock() noexcept VARVE_NO_THREAD_SAFETY_ANALYSIS;

 private:
  friend std::optional<HeldMutexes> try_acquire_multiple(std::vector<Mutex*> mutexes,
                                                         Mutex::Clock::time_point deadline,
                                                         WaitGraph* why);
  std::vector<Mutex*> mutexes_;  // Only those that are held.
};

// Locks all of them in the lock order (rank, then order number), each once, however they are given:
// two threads that use it never wait for each other in a circle. Nothing is held when it throws.
[[nodiscard]] HeldMutexes acquire_multiple(std::vector<Mutex*> mutexes);

// All or nothing: nullopt, and nothing held, when the deadline passes first; `why` as in
// Mutex::try_lock_until().
[[nodiscard]] std::optional<HeldMutexes> try_acquire_multiple(
    std::vector<Mutex*> mutexes, Mutex::Clock::time_point deadline,
    WaitGraph* why = nullptr) VARVE_NO_THREAD_SAFETY_ANALYSIS;

// The same, with the Error of Mutex::lock_before() when the deadline passes first.
[[nodiscard]] HeldMutexes acquire_multiple_before(std::vector<Mutex*> mutexes,
                                                  Mutex::Clock::time_point deadline);

}  // namespace varve::directory
