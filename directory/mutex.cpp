// SPDX-License-Identifier: Apache-2.0
#include "directory/mutex.hpp"

#include <algorithm>
#include <thread>

#include "directory/check.hpp"
#include "directory/futex.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

using Clock = Mutex::Clock;

// Longer than most sections that these locks guard, shorter than a sleep and its wake-up.
constexpr int kSpinCountMax = 64;
// A waiter that has been overtaken for this long asks newcomers to let it go first ...
constexpr std::chrono::milliseconds kStarvingAfter{1};
// ... which they do for at most this long, whatever has become of it.
constexpr std::chrono::milliseconds kPoliteFor{1};

void pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

bool Mutex::try_take() noexcept {
  std::uint32_t seen = word_.load(std::memory_order_relaxed);
  while ((seen & kThreadMask) == 0) {
    if (word_.compare_exchange_weak(seen, thread_number(), std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void Mutex::wait() {
  static_cast<void>(wait_until(Clock::time_point::max(), nullptr));
}

bool Mutex::wait_until(Clock::time_point deadline, WaitGraph* why) {
  for (int spin = 0; spin < kSpinCountMax; ++spin) {
    pause();
    if (word_.load(std::memory_order_relaxed) == 0 && take_if_free()) return true;
  }
  return take_as_waiter(deadline, why);
}

bool Mutex::take_as_waiter(Clock::time_point deadline, WaitGraph* why) {
  const PublishedWait published(*this);
  const std::uint32_t self = thread_number();
  const Clock::time_point begin = Clock::now();
  bool has_slept = false, is_starving = false, is_late = false;
  std::uint32_t seen = word_.load(std::memory_order_relaxed);
  for (;;) {
    if (seen == 0 || (seen == kStarving && has_slept)) {
      // A wake-up may have been meant for others as well, who then sleep on: say so in the word.
      const std::uint32_t taken = has_slept ? self | kWaiters : self;
      if (word_.compare_exchange_weak(seen, taken, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
        return true;
      }
      continue;
    }
    std::uint32_t expected = seen;
    Clock::time_point until = deadline;
    if (seen == kStarving) {
      until = std::min(until, Clock::now() + kPoliteFor);
    } else {
      expected |= kWaiters | (is_starving ? kStarving : 0);
      if (expected != seen &&
          !word_.compare_exchange_weak(seen, expected, std::memory_order_relaxed)) {
        continue;
      }
      // Not earlier: a wake-up that this thread had consumed is now in the word again.
      if (is_late) break;
    }
    futex_wait(&word_, expected, until);
    has_slept = true;
    const Clock::time_point now = Clock::now();
    is_starving = now - begin >= kStarvingAfter;
    is_late = now >= deadline;
    seen = word_.load(std::memory_order_relaxed);
  }
  if (why != nullptr) *why = wait_graph(*this);
  return false;
}

void Mutex::lock_before(Clock::time_point deadline) {
  WaitGraph why;
  if (try_lock_until(deadline, &why)) return;
  if (why.is_deadlock) {
    throw Error(ErrorCode::PotentialDeadlock, "potential deadlock: " + why.text);
  }
  throw Error(ErrorCode::Busy, to_string(*this) + " was not free before the deadline: " + why.text);
}

void Mutex::release_slowly(std::uint32_t seen) noexcept {
  // One store for both: free, and newcomers let the starving waiter go first.
  const std::uint32_t left = seen & kStarving;
  if ((word_.exchange(left, std::memory_order_release) & kWaiters) != 0) wake_one(&word_);
}

void Mutex::wake_one(std::atomic<std::uint32_t>* word) noexcept {
  futex_wake_one(word);
}

void Mutex::count_acquisition() noexcept {}

void Mutex::assert_held() const {
  VARVE_DCHECK(held_by_this_thread());
}

std::string to_string(const Mutex& mutex) {
  std::string text(mutex.lock_class().name());
  if (mutex.order_number() != Mutex::kOnly) text += " " + std::to_string(mutex.order_number());
  return text;
}

LockClass::LockClass(std::string_view name, std::uint8_t rank, LockMonitor* monitor)
    : name_(name), rank_(rank), monitor_(monitor) {}

}  // namespace varve::directory
