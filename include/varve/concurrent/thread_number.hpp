// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace varve::concurrent {

namespace internal {
inline constinit std::atomic<std::uint32_t> threads_numbered{0};
// Constant-initialized, so that it is reached without an initialization wrapper. 0: none yet.
inline constinit thread_local std::uint32_t thread_number = 0;
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

}  // namespace varve::concurrent
