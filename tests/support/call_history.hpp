// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace varve::test {

// The names of keys and values in a history: keys are numbered in key order, values by the write
// that they come from, so that a value that was read tells which write was seen.
using KeyNumber = std::uint32_t;
using ValueNumber = std::uint64_t;
inline constexpr ValueNumber kAbsent = 0;
inline constexpr ValueNumber kPresent = std::numeric_limits<ValueNumber>::max();

// Moments are ticks of one counter that every call takes two of. kNever: the call did not return.
using Moment = std::uint64_t;
inline constexpr Moment kNever = std::numeric_limits<Moment>::max();

// What one call did to one key, or was told about it. A call on many keys is many of these with
// the same two moments.
struct Operation {
  enum class Kind : std::uint8_t { Put, Erase, Get, Contains };
  Kind kind = Kind::Get;
  std::uint32_t thread = 0;
  KeyNumber key = 0;
  ValueNumber value = kAbsent;  // Put: written. Get: read. Contains: kAbsent or kPresent.
  Moment invoked = 0;
  Moment returned = kNever;  // A write that never returned took effect at some later time or not.

  [[nodiscard]] bool is_write() const noexcept { return kind == Kind::Put || kind == Kind::Erase; }
};
using CallHistory = std::vector<Operation>;

// "put 2.17 by thread 2 [310, 316]"; a value of thread_value() is written thread.number.
[[nodiscard]] std::string to_string(const Operation& operation);
[[nodiscard]] std::string value_to_string(ValueNumber value);
// The `number`-th value (from 0) that `thread` writes: unique, and neither of the two constants.
[[nodiscard]] constexpr ValueNumber thread_value(std::uint32_t thread, std::uint32_t number) {
  return (ValueNumber{thread} + 1) << 32 | number;
}

// The counter behind the moments. Under ThreadSanitizer it must not order the threads that use it,
// or it would hide the races of what is tested; x86 keeps its order without being asked.
class CallClock {
 public:
  [[nodiscard]] Moment tick() noexcept { return now_.fetch_add(1, kOrder) + 1; }

 private:
#if defined(__SANITIZE_THREAD__)
  static constexpr std::memory_order kOrder = std::memory_order_relaxed;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
  static constexpr std::memory_order kOrder = std::memory_order_relaxed;
#else
  static constexpr std::memory_order kOrder = std::memory_order_seq_cst;
#endif
#else
  static constexpr std::memory_order kOrder = std::memory_order_seq_cst;
#endif
  std::atomic<Moment> now_ = 0;
};

// One thread's part of a history.
// Thread-safety: one thread; the clock is shared.
class CallLog {
 public:
  CallLog(CallClock& clock, std::uint32_t thread) : clock_(&clock), thread_(thread) {}

  // One call, from its construction to returned() or refused(). Destroyed without either, as by an
  // exception: its writes may have happened or may still happen, its reads told nothing.
  // Requires: one at a time per log.
  class Call {
   public:
    explicit Call(CallLog& log)
        : log_(log), first_(log.operations_.size()), invoked_(log.clock_->tick()) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();

    void put(KeyNumber key, ValueNumber value) { add(Operation::Kind::Put, key, value); }
    void erase(KeyNumber key) { add(Operation::Kind::Erase, key, kAbsent); }
    void erase_range(KeyNumber first, KeyNumber end);
    void get(KeyNumber key, ValueNumber value) { add(Operation::Kind::Get, key, value); }
    void contains(KeyNumber key, bool found) {
      add(Operation::Kind::Contains, key, found ? kPresent : kAbsent);
    }
    // The call is over. Answers may be added afterwards: they are of the time until here.
    void returned() noexcept { returned_ = log_.clock_->tick(); }
    // The call promised that it had no effect.
    void refused() noexcept { log_.operations_.resize(first_); }

    [[nodiscard]] Moment invoked_at() const noexcept { return invoked_; }
    [[nodiscard]] Moment returned_at() const noexcept { return returned_; }

   private:
    void add(Operation::Kind kind, KeyNumber key, ValueNumber value);
    CallLog& log_;
    std::size_t first_;
    Moment invoked_;
    Moment returned_ = kNever;
  };
  // An answer of an earlier moment, as through a snapshot that was taken in [invoked, returned].
  void saw(KeyNumber key, ValueNumber value, Moment invoked, Moment returned);
  [[nodiscard]] Moment tick() noexcept { return clock_->tick(); }
  [[nodiscard]] std::uint32_t thread() const noexcept { return thread_; }
  [[nodiscard]] const CallHistory& operations() const noexcept { return operations_; }

 private:
  CallClock* clock_;
  std::uint32_t thread_;
  CallHistory operations_;
};

// The logs of all threads of one test.
class CallRecorder {
 public:
  explicit CallRecorder(std::uint32_t thread_count);
  [[nodiscard]] CallLog& log(std::uint32_t thread) { return *logs_.at(thread); }
  // By invocation. Requires: no call is under way.
  [[nodiscard]] CallHistory merged() const;

 private:
  CallClock clock_;
  std::vector<std::unique_ptr<CallLog>> logs_;  // Apart in memory: no false sharing.
};

}  // namespace varve::test
