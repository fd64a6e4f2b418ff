// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <thread>

#include "lib/hooks.hpp"

namespace varve::test {

// As long as it lives, jobs that failed are tried again after a moment.
class QuickRetries {
 public:
  QuickRetries() { internal::hooks::retry_pause = std::chrono::milliseconds(1); }
  QuickRetries(const QuickRetries&) = delete;
  QuickRetries& operator=(const QuickRetries&) = delete;
  ~QuickRetries() { internal::hooks::retry_pause = before_; }

 private:
  const std::chrono::milliseconds before_ = internal::hooks::retry_pause;
};

// Waits until `condition` holds, which threads of the index bring about. False: it never did.
template <typename Condition>
[[nodiscard]] bool becomes(const Condition& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace varve::test
