// SPDX-License-Identifier: Apache-2.0
#include "directory/mutex.hpp"

#include <algorithm>
#include <thread>

#include "directory/check.hpp"
#include "directory/futex.hpp"
#include "directory/lock_monitor.hpp"
#include "directory/lock_sample.hpp"
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
  LockClassFigures* const figures = class_->figures();
  if (figures == nullptr) return spin_until_taken() || take_as_waiter(deadline, why);
  WaitGraph own;
  if (why == nullptr) why = &own;
  const Clock::time_point begin = Clock::now();
  const bool is_taken = spin_until_taken() || take_as_waiter(deadline, why);
  figures->monitor.note_wait(*figures, *this, Clock::now() - begin, is_taken ? nullptr : why);
  return is_taken;
}

bool Mutex::spin_until_taken() noexcept {
  for (int spin = 0; spin < kSpinCountMax; ++spin) {
    pause();
    if (word_.load(std::memory_order_relaxed) == 0 && take_if_free()) return true;
  }
  return false;
}

bool Mutex::take_as_waiter(Clock::time_point deadline, WaitGraph* why) {
  const PublishedWait published(*this);
  const std::uint32_t self = thread_number();
  const Clock::time_point begin = Clock::now();
  Clock::duration check_after = Clock::duration::max();
  if (const auto* figures = class_->figures()) {
    check_after = figures->monitor.options().deadlock_check_after;
  }
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
      if (check_after < Clock::time_point::max() - begin) {
        until = std::min(until, begin + check_after);
      }
    }
    futex_wait(&word_, expected, until);
    has_slept = true;
    const Clock::time_point now = Clock::now();
    is_starving = now - begin >= kStarvingAfter;
    is_late = now >= deadline;
    if (now - begin >= check_after && !is_late) {
      look_for_deadlock();
      check_after += now - begin;
    }
    seen = word_.load(std::memory_order_relaxed);
  }
  if (why != nullptr) *why = wait_graph(*this);
  return false;
}

void Mutex::look_for_deadlock() const noexcept {
  LockClassFigures& figures = *class_->figures();
  try {
    const WaitGraph graph = wait_graph(*this);
    if (graph.is_deadlock) figures.monitor.note_deadlock(figures, *this, graph);
  } catch (...) {  // No memory to look: the next look may have it.
  }
}

void Mutex::lock_before(Clock::time_point deadline) {
  WaitGraph why;
  if (!try_lock_until(deadline, &why)) throw_not_locked(why);
}

void throw_not_locked(const WaitGraph& why) {
  if (why.is_deadlock) {
    throw Error(ErrorCode::PotentialDeadlock, "potential deadlock: " + why.text);
  }
  throw Error(ErrorCode::Busy, "a lock was not free before the deadline: " + why.text);
}

void Mutex::release_slowly(std::uint32_t seen) noexcept {
  if ((seen & kSampled) != 0) end_sampled_hold(*this, *class_->figures());
  // One store for both: free, and newcomers let the starving waiter go first.
  const std::uint32_t left = seen & kStarving;
  if ((word_.exchange(left, std::memory_order_release) & kWaiters) != 0) wake_one(&word_);
}

void Mutex::wake_one(std::atomic<std::uint32_t>* word) noexcept {
  futex_wake_one(word);
}

void Mutex::sample() noexcept {
  LockClassFigures& figures = *class_->figures();
  if (!is_next_sample(figures.monitor.options().sample_period)) return;
  figures.sample_count.fetch_add(1, std::memory_order_relaxed);
  if (begin_sampled_hold(*this)) word_.fetch_or(kSampled, std::memory_order_relaxed);
}

void Mutex::assert_held() const {
  VARVE_DCHECK(held_by_this_thread());
}

std::string to_string(const Mutex& mutex) {
  return lock_name(mutex.lock_class().name(), mutex.order_number());
}

std::string lock_name(std::string_view class_name, std::uint32_t order_number) {
  std::string text(class_name);
  if (order_number != Mutex::kOnly) text += " " + std::to_string(order_number);
  return text;
}

}  // namespace varve::directory
