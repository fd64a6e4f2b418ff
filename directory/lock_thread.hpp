// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace varve::directory {

// Threads as locks know them: small numbers from 1, free again when their thread ends. Threads
// beyond the limit share one number, and no wait-for graph tells them apart.
inline constexpr std::uint32_t kLockThreadCountMax = 1U << 17;
inline constexpr std::uint32_t kNamelessThread = kLockThreadCountMax + 1;
inline constexpr std::uint32_t kLockThreadNumberMax = kNamelessThread;

struct LockThread {
  std::uint32_t number = 0;  // 0: none yet.
  // Acquisitions of observed locks until the next sample, and the state of the random distances.
  std::uint32_t until_sample = 0;
  std::uint32_t random = 0;
};
// constinit: read without the call that a dynamically initialised thread_local needs.
extern constinit thread_local LockThread t_lock_thread;

std::uint32_t assign_thread_number() noexcept;

// The calling thread's number; the first call of a thread takes one.
inline std::uint32_t thread_number() noexcept {
  const std::uint32_t number = t_lock_thread.number;
  return number != 0 ? number : assign_thread_number();
}

}  // namespace varve::directory
