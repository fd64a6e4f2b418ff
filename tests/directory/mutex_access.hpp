// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <thread>

#include "directory/mutex.hpp"

namespace varve::directory {

// The word of a mutex, for tests that need a state which threads reach by chance only.
class MutexTestAccess {
 public:
  static constexpr std::uint32_t kWaiters = Mutex::kWaiters, kStarving = Mutex::kStarving;

  static std::atomic<std::uint32_t>& word(Mutex& mutex) { return mutex.word_; }
  // Returns when somebody sleeps on the mutex, or is about to; its wait is published then.
  static void await_waiter(Mutex& mutex) {
    while ((mutex.word_.load() & kWaiters) == 0) std::this_thread::yield();
  }
};

}  // namespace varve::directory
