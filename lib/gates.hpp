// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "directory/check.hpp"
#include "lib/hooks.hpp"

namespace varve::internal {

// A gate says who may be inside the engine. GatedIndex passes through it on every public call and
// on every cursor step.

// Bare: one thread at a time, and the caller sees to it. Checked builds abort when a second thread
// comes in while one is inside.
class BareGate {
 public:
  class Guard {
   public:
    explicit Guard([[maybe_unused]] BareGate& gate) noexcept {
#if defined(VARVE_ENABLE_DCHECK)
      gate_ = &gate;
      const std::thread::id me = std::this_thread::get_id();
      std::thread::id nobody;
      const bool entered = gate.inside_.compare_exchange_strong(nobody, me);
      VARVE_CHECK(entered || nobody == me);
      ++gate.depth_;
#endif
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() {
#if defined(VARVE_ENABLE_DCHECK)
      if (--gate_->depth_ == 0) gate_->inside_.store(std::thread::id());
#endif
    }

   private:
#if defined(VARVE_ENABLE_DCHECK)
    BareGate* gate_;
#endif
  };
  // There is nobody to wait for: the engine refuses a write beside an exclusive scan by itself.
  class WriteGuard : public Guard {
   public:
    template <typename HeldOff>
    WriteGuard(BareGate& gate, const HeldOff&,
               const std::optional<std::chrono::nanoseconds>&) noexcept
        : Guard(gate) {}
  };
  // For what may as well be left out: enters only when nobody is inside.
  class TryGuard : public Guard {
   public:
    using Guard::Guard;
    [[nodiscard]] static constexpr bool entered() noexcept { return true; }
  };
  void exclusive_scan_began() noexcept {}
  void exclusive_scan_ended() noexcept {}

 private:
  [[maybe_unused]] std::atomic<std::thread::id> inside_;
  [[maybe_unused]] int depth_ = 0;  // Of the thread that is inside.
};

// Synchronized: any thread, one at a time, re-entrant.
class SynchronizedGate {
 public:
  class Guard {
   public:
    explicit Guard(SynchronizedGate& gate) : gate_(gate), lock_(gate.mutex_) {
      ++gate_.depth_;
      VARVE_HOOK("gate.entered");
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { --gate_.depth_; }

   protected:
    SynchronizedGate& gate_;
    std::unique_lock<std::recursive_mutex> lock_;
  };
  // Waits until no other thread has an exclusive scan open (`held_off` tells whether any has), or
  // until the deadline. A thread never waits for itself, nor while it holds the lock further out:
  // it goes on, and the engine answers Busy.
  class WriteGuard : public Guard {
   public:
    template <typename HeldOff>
    WriteGuard(SynchronizedGate& gate, const HeldOff& held_off,
               const std::optional<std::chrono::nanoseconds>& deadline)
        : Guard(gate) {
      const auto may_go = [&] {
        return !held_off() || gate.scanner_ == std::this_thread::get_id() || gate.depth_ > 1;
      };
      if (may_go()) return;
      // The waiters share depth_ with whoever is inside meanwhile: give up our part of it.
      --gate.depth_;
      if (deadline) {
        gate.scans_ended_.wait_for(lock_, *deadline, [&] { return !held_off(); });
      } else {
        gate.scans_ended_.wait(lock_, [&] { return !held_off(); });
      }
      ++gate.depth_;
    }
  };
  // For what may as well be left out: enters only when no other thread is inside.
  class TryGuard {
   public:
    explicit TryGuard(SynchronizedGate& gate) : gate_(gate), lock_(gate.mutex_, std::try_to_lock) {
      if (entered()) ++gate_.depth_;
    }
    TryGuard(const TryGuard&) = delete;
    TryGuard& operator=(const TryGuard&) = delete;
    ~TryGuard() {
      if (entered()) --gate_.depth_;
    }
    [[nodiscard]] bool entered() const noexcept { return lock_.owns_lock(); }

   private:
    SynchronizedGate& gate_;
    std::unique_lock<std::recursive_mutex> lock_;
  };
  // Requires: inside.
  void exclusive_scan_began() noexcept { scanner_ = std::this_thread::get_id(); }
  void exclusive_scan_ended() noexcept { scans_ended_.notify_all(); }

 private:
  std::recursive_mutex mutex_;
  std::condition_variable_any scans_ended_;
  std::thread::id scanner_;  // Guarded by mutex_. Who opened the last exclusive scan.
  int depth_ = 0;            // Guarded by mutex_. Nested calls of the thread inside.
};

}  // namespace varve::internal
