// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "directory/lock_class.hpp"
#include "directory/lock_thread.hpp"
#include "directory/thread_annotations.hpp"
#include "directory/wait_graph.hpp"

namespace varve::directory {

// The lock of the concurrent engine: 16 bytes, not re-entrant, with a place in the lock order.
// It fits std::unique_lock, std::scoped_lock, std::condition_variable_any.
//
// The word: 0 free; else the holder's thread number and the flags below. A waiter spins briefly,
// then sleeps on the word (futex) with kWaiters set; unlock wakes one sleeper. A newcomer may take
// the lock before the woken one does, which is what makes short sections fast; a waiter that was
// overtaken for kStarvingAfter sets kStarving, and newcomers then let it go first.
//
// Invariant: while a thread sleeps on the word, the holder's word has kWaiters, or a thread that
//   was woken (or polls) is on its way to set it: no wake-up is lost.
// Order: builds with VARVE_DCHECK abort when a thread that holds a lock waits for one that comes
//   before it: a lower rank, or in the same class an order number that is not higher. try_lock()
//   cannot wait, so it may be out of order; what it took counts for later acquisitions.
// Lifetime: may be destroyed as soon as the last holder's unlock() has released it.
// Thread-safety: any method from any thread; the thread that locked unlocks.
class VARVE_CAPABILITY("mutex") Mutex {
 public:
  using Clock = std::chrono::steady_clock;

  // The order number of a lock that is the only one of its class.
  static constexpr std::uint32_t kOnly = ~0U;

  // `order_number`: the place among the locks of its class; unique among those that one thread may
  // hold at once.
  explicit Mutex(const LockClass& lock_class, std::uint32_t order_number = kOnly) noexcept
      : order_number_(order_number), class_(&lock_class) {}
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() VARVE_ACQUIRE() {
    before_wait();
    if (!take_if_free()) [[unlikely]]
      wait();
    taken();
  }
  [[nodiscard]] bool try_lock() VARVE_TRY_ACQUIRE(true) {
    if (!try_take()) return false;
    taken();
    return true;
  }
  // False when the deadline passed first; `why`, if given, then says who was in the way. A deadline
  // in the past still takes a free lock.
  [[nodiscard]] bool try_lock_until(Clock::time_point deadline, WaitGraph* why = nullptr)
      VARVE_TRY_ACQUIRE(true) {
    before_wait();
    if (!take_if_free() && !wait_until(deadline, why)) return false;
    taken();
    return true;
  }
  template <typename Rep, typename Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> time, WaitGraph* why = nullptr)
      VARVE_TRY_ACQUIRE(true) {
    return try_lock_until(Clock::now() + std::chrono::ceil<Clock::duration>(time), why);
  }
  // Errors: PotentialDeadlock with the wait-for graph, or Busy, when the deadline passes first.
  void lock_before(Clock::time_point deadline) VARVE_ACQUIRE();

  void unlock() VARVE_RELEASE() {
    const std::uint32_t seen = word_.load(std::memory_order_relaxed);
    before_release(seen);
    if ((seen & (kStarving | kSampled)) != 0) [[unlikely]] {
      release_slowly(seen);
      return;
    }
    // From the exchange on, another thread may take, release and destroy *this.
    if ((word_.exchange(0, std::memory_order_release) & kWaiters) != 0) [[unlikely]]
      wake_one(&word_);
  }

  [[nodiscard]] const LockClass& lock_class() const noexcept { return *class_; }
  [[nodiscard]] std::uint32_t order_number() const noexcept { return order_number_; }
  // The number of the thread that holds the lock, 0 for none. Already old when it returns.
  [[nodiscard]] std::uint32_t holder() const noexcept {
    return word_.load(std::memory_order_relaxed) & kThreadMask;
  }
  [[nodiscard]] bool held_by_this_thread() const noexcept { return holder() == thread_number(); }
  // In builds with VARVE_DCHECK: aborts unless this thread holds the lock.
  void assert_held() const VARVE_ASSERT_HELD(this);

 private:
  friend class MutexTestAccess;

  static constexpr std::uint32_t kWaiters = 1U << 31;
  static constexpr std::uint32_t kStarving = 1U << 30;  // May stand alone: free, but let it first.
  static constexpr std::uint32_t kSampled = 1U << 29;   // This hold is being timed.
  static constexpr std::uint32_t kThreadMask = kSampled - 1;
  static_assert(kLockThreadNumberMax <= kThreadMask);

  bool take_if_free() noexcept {
    std::uint32_t expected = 0;
    return word_.compare_exchange_strong(expected, thread_number(), std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  bool try_take() noexcept;
  void taken() {
    after_take();
    if (class_->figures() != nullptr) [[unlikely]]
      count_acquisition();
  }
  void count_acquisition() noexcept {
    if (t_lock_thread.until_sample > 1) {
      --t_lock_thread.until_sample;
    } else {
      sample();
    }
  }
  void wait();
  bool wait_until(Clock::time_point deadline, WaitGraph* why);
  bool spin_until_taken() noexcept;
  bool take_as_waiter(Clock::time_point deadline, WaitGraph* why);
  void look_for_deadlock() const noexcept;
  void sample() noexcept;
  void release_slowly(std::uint32_t seen) noexcept;
  static void wake_one(std::atomic<std::uint32_t>* word) noexcept;

#if defined(VARVE_ENABLE_DCHECK)
  void before_wait() const;
  void after_take() const;
  void before_release(std::uint32_t seen) const;
#else
  static void before_wait() noexcept {}
  static void after_take() noexcept {}
  static void before_release(std::uint32_t) noexcept {}
#endif

  std::atomic<std::uint32_t> word_ = 0;
  const std::uint32_t order_number_;
  const LockClass* const class_;
};
static_assert(sizeof(Mutex) == 16, "thousands of segments have one each");

// Holds a mutex for a scope, in a way that clang's analysis understands.
class VARVE_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) VARVE_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() VARVE_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// "segment 12"; the name alone for the only lock of its class.
[[nodiscard]] std::string to_string(const Mutex& mutex);
[[nodiscard]] std::string lock_name(std::string_view class_name, std::uint32_t order_number);

// What a timed acquisition that ended without the lock throws: PotentialDeadlock or Busy.
[[noreturn]] void throw_not_locked(const WaitGraph& why);

}  // namespace varve::directory
