// SPDX-License-Identifier: Apache-2.0
#include "directory/futex.hpp"

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>
#else
#include <thread>
#endif

namespace varve::directory {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t) &&
              std::atomic<std::uint32_t>::is_always_lock_free);

#if defined(__linux__)

void futex_wait(const std::atomic<std::uint32_t>* word, std::uint32_t expected,
                std::chrono::steady_clock::time_point deadline) noexcept {
  using std::chrono::nanoseconds;
  constexpr std::int64_t kSecond = 1'000'000'000;
  ::timespec until{};
  const bool is_bounded = deadline != std::chrono::steady_clock::time_point::max();
  if (is_bounded) {
    const std::int64_t since_boot = nanoseconds(deadline.time_since_epoch()).count();
    if (since_boot <= 0) return;
    until.tv_sec = static_cast<std::time_t>(since_boot / kSecond);
    until.tv_nsec = static_cast<long>(since_boot % kSecond);
  }
  // WAIT_BITSET takes an absolute time of the monotonic clock, which steady_clock is.
  ::syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, is_bounded ? &until : nullptr,
            nullptr, FUTEX_BITSET_MATCH_ANY);
}

void futex_wake_one(const std::atomic<std::uint32_t>* word) noexcept {
  ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

#else

// TODO(port): an address wait of the system; polling is correct, and all that is promised.
void futex_wait(const std::atomic<std::uint32_t>* word, std::uint32_t expected,
                std::chrono::steady_clock::time_point deadline) noexcept {
  if (word->load() != expected || std::chrono::steady_clock::now() >= deadline) return;
  std::this_thread::sleep_for(std::chrono::microseconds(50));
}

void futex_wake_one(const std::atomic<std::uint32_t>*) noexcept {}

#endif

}  // namespace varve::directory
