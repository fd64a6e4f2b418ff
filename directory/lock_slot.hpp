// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace varve::directory {

class Mutex;

// What one thread shows to those who look for deadlocks. Locked by spinning, for a few stores, or
// for the time that a reader needs to read the mutex: while the slot is locked its thread cannot
// end its wait, so the mutex stays alive.
struct alignas(64) LockSlot {
  std::atomic<bool> is_taken = false;  // A living thread has this number.
  std::atomic<bool> is_locked = false;
  const Mutex* waits_for = nullptr;  // Guarded by is_locked, as is the next.
  std::uint64_t wait_count = 0;      // Tells one wait from the next.

  void lock() noexcept;
  void unlock() noexcept { is_locked.store(false, std::memory_order_release); }
};

// Null for 0, for a number beyond the limit, and for one that no thread had yet.
[[nodiscard]] LockSlot* find_lock_slot(std::uint32_t number) noexcept;

}  // namespace varve::directory
