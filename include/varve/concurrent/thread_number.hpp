// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace varve::concurrent {

namespace internal {
inline constinit std::atomic<std::uint32_t> threads_numbered{0};
// Constant-initialized, so that it is reached without an initialization wrapper. 0: none yet.
inline constinit thread_local std::uint32_t thread_number = 0;
inline constinit thread_local std::uint64_t thread_random_state = 0;
}  // namespace internal

// A number of the calling thread, from 1, ascending by first call: what spreads threads over the
// shards of something. Not promised: that numbers are dense, or the same in each shared library.
[[nodiscard]] inline std::uint32_t thread_number() noexcept {
  if (internal::thread_number == 0) {
    internal::thread_number =
        internal::threads_numbered.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  return internal::thread_number;
}

// The next of the thread's pseudo-random numbers, for sampling: fast, and good in its high bits
// only. By chance, since with every 64th call a thread that alternates between two kinds of calls
// would sample one of them only. The sequence depends on the thread's number alone.
[[nodiscard]] inline std::uint64_t thread_random() noexcept {
  std::uint64_t& state = internal::thread_random_state;
  if (state == 0) state = thread_number() * std::uint64_t{0x9e3779b97f4a7c15};
  state = state * 6364136223846793005 + 1442695040888963407;
  return state;
}

}  // namespace varve::concurrent
