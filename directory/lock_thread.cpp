// SPDX-License-Identifier: Apache-2.0
#include "directory/lock_thread.hpp"

#include <new>

#include "directory/lock_slot.hpp"

namespace varve::directory {

constinit thread_local LockThread t_lock_thread;

namespace {

// The table grows by chunks that stay until the process ends: a graph may be read at any time. No
// lock here, so that a forked child can always take numbers.
constexpr std::uint32_t kChunkSlotCount = 256;
constexpr std::uint32_t kChunkCountMax = kLockThreadCountMax / kChunkSlotCount;
constinit std::atomic<LockSlot*> g_chunks[kChunkCountMax] = {};

// Null when there is no memory.
LockSlot* chunk(std::uint32_t index) noexcept {
  LockSlot* present = g_chunks[index].load(std::memory_order_acquire);
  if (present != nullptr) return present;
  auto* added = new (std::nothrow) LockSlot[kChunkSlotCount];
  if (added == nullptr) return nullptr;
  if (g_chunks[index].compare_exchange_strong(present, added, std::memory_order_acq_rel)) {
    return added;
  }
  delete[] added;  // Another thread was faster; `present` is its chunk.
  return present;
}

struct NumberReturn {
  std::uint32_t number = 0;
  ~NumberReturn() {
    t_lock_thread.number = 0;
    if (LockSlot* slot = find_lock_slot(number)) slot->is_taken.store(false);
  }
};

}  // namespace

LockSlot* find_lock_slot(std::uint32_t number) noexcept {
  if (number == 0 || number > kLockThreadCountMax) return nullptr;
  const std::uint32_t index = number - 1;
  LockSlot* slots = g_chunks[index / kChunkSlotCount].load(std::memory_order_acquire);
  return slots == nullptr ? nullptr : slots + index % kChunkSlotCount;
}

std::uint32_t assign_thread_number() noexcept {
  for (std::uint32_t index = 0; index < kChunkCountMax; ++index) {
    LockSlot* slots = chunk(index);
    if (slots == nullptr) break;
    for (std::uint32_t i = 0; i < kChunkSlotCount; ++i) {
      if (slots[i].is_taken.load(std::memory_order_relaxed)) continue;
      if (slots[i].is_taken.exchange(true)) continue;
      // Locks taken while this thread's thread_locals are being destroyed may come after the
      // return; the number that they take then is not returned.
      static thread_local NumberReturn number_return;
      number_return.number = t_lock_thread.number = index * kChunkSlotCount + i + 1;
      return t_lock_thread.number;
    }
  }
  return t_lock_thread.number = kNamelessThread;
}

}  // namespace varve::directory
