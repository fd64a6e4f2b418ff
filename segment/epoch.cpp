// SPDX-License-Identifier: Apache-2.0
#include "varve/concurrent/epoch.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cstddef>
#include <iterator>
#include <limits>
#include <new>
#include <thread>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "directory/check.hpp"
#include "directory/fork_marker.hpp"
#include "directory/memory_barrier.hpp"
#include "directory/mutant.hpp"

namespace varve::concurrent {
namespace internal {

constinit thread_local EpochSlot* epoch_slot = nullptr;
constinit std::atomic<std::uint64_t> epoch_now{1};
constinit std::atomic<FenceKind> fence_kind{FenceKind::Unknown};
constinit std::atomic<std::uint64_t> fence_word{0};

namespace {

constinit std::atomic<EpochSlot*> slots{nullptr};

// Graces are numbered from 1. The newest whose fence may have begun, and of those whose fence and
// epoch are over the newest.
constinit std::atomic<std::uint64_t> graces_started{0}, graces_begun{0};

// A pin cannot fail, so most processes need no memory for one: the slots of the first threads that
// are there together.
constinit EpochSlot first_slots[64];
constinit std::atomic<std::size_t> first_slot_count{0};

// After the destructor of SlotReturn ran, a later destructor of the thread may pin again.
constinit thread_local bool thread_is_ending = false;

struct SlotReturn {
  EpochSlot* slot = nullptr;
  SlotReturn() = default;
  SlotReturn(const SlotReturn&) = delete;
  SlotReturn& operator=(const SlotReturn&) = delete;
  ~SlotReturn() {
    thread_is_ending = true;
    if (slot == nullptr) return;
    if (slot->depth == 0) {
      return_epoch_slot(slot);
    } else {
      slot->returns_at_unpin = true;
    }
  }
};
thread_local SlotReturn slot_return;

// The kind is decided once: a heavy fence and a light one must never disagree about it. Until it
// is, light fences are full ones, which both kinds allow.
FenceKind decided_fence_kind() noexcept {
  FenceKind kind = fence_kind.load(std::memory_order_acquire);
  if (kind != FenceKind::Unknown) return kind;
  const FenceKind mine =
      directory::register_expedited_barrier() ? FenceKind::Asymmetric : FenceKind::Full;
  return fence_kind.compare_exchange_strong(kind, mine, std::memory_order_acq_rel) ? mine : kind;
}

EpochSlot* find_free_slot() noexcept {
  for (EpochSlot* slot = slots.load(std::memory_order_acquire); slot != nullptr;
       slot = slot->next) {
    if (slot->taken.load(std::memory_order_relaxed)) continue;
    // Acquire: what its last thread left in it.
    if (!slot->taken.exchange(true, std::memory_order_acquire)) return slot;
  }
  return nullptr;
}

EpochSlot* make_slot() noexcept {
  const std::size_t number = first_slot_count.fetch_add(1, std::memory_order_relaxed);
  if (number < std::size(first_slots)) return &first_slots[number];
  first_slot_count.store(std::size(first_slots), std::memory_order_relaxed);  // Never wraps.
  return new (std::nothrow) EpochSlot;
}

EpochSlot* add_slot() noexcept {
  EpochSlot* const slot = make_slot();
  VARVE_CHECK(slot != nullptr);
  slot->taken.store(true, std::memory_order_relaxed);
  slot->next = slots.load(std::memory_order_relaxed);
  while (!slots.compare_exchange_weak(slot->next, slot, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
  }
  return slot;
}

std::uint64_t thread_number() noexcept {
#if defined(__linux__)
  return static_cast<std::uint64_t>(::syscall(SYS_gettid));
#else
  return 0;
#endif
}

std::int64_t now() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The oldest epoch that a slot holds; notes for the statistics since when each pin is seen.
std::uint64_t oldest_pinned() noexcept {
  std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
  for (EpochSlot* slot = slots.load(std::memory_order_acquire); slot != nullptr;
       slot = slot->next) {
    const std::uint64_t epoch = slot->epoch.load(std::memory_order_acquire);
    if (epoch == 0) continue;
    if (epoch < oldest) oldest = epoch;
    if (slot->observed_epoch.load(std::memory_order_relaxed) != epoch) {
      slot->observed_since.store(now(), std::memory_order_relaxed);
      slot->observed_epoch.store(epoch, std::memory_order_relaxed);
    }
  }
  return oldest;
}

// Unpinning is a plain store that wakes nobody, so a long wait is a slow look now and then.
void wait_for_unpin(const EpochSlot& slot, std::uint64_t epoch) noexcept {
  constexpr int kYieldCountMax = 100;
  constexpr std::chrono::microseconds kPauseMax{1000};
  std::chrono::microseconds pause{20};
  for (int round = 0;; ++round) {
    const std::uint64_t pinned = slot.epoch.load(std::memory_order_acquire);
    if (pinned == 0 || pinned > epoch) return;
    if (round < kYieldCountMax) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(pause);
      if (pause < kPauseMax) pause *= 2;
    }
  }
}

// A child of fork() has one thread: the slots of the others would block its domains forever. A pin
// that the forking thread holds stays, and so does its slot. Async-signal-safe: the parent may have
// had other threads, which held any lock.
void keep_own_slot_alone() noexcept {
  for (EpochSlot* slot = slots.load(std::memory_order_relaxed); slot != nullptr;
       slot = slot->next) {
    if (slot == epoch_slot) {
      slot->thread_id.store(thread_number(), std::memory_order_relaxed);
      continue;
    }
    slot->depth = 0;
    slot->returns_at_unpin = false;
    slot->epoch.store(0, std::memory_order_relaxed);
    slot->taken.store(false, std::memory_order_relaxed);
  }
}

// While the library is loaded, so that no fork can come in between.
const int kForkHandlerError = ::pthread_atfork(nullptr, nullptr, keep_own_slot_alone);

}  // namespace

EpochSlot* take_epoch_slot() noexcept {
  EpochSlot* slot = find_free_slot();
  if (slot == nullptr) slot = add_slot();
  slot->full_fence = decided_fence_kind() == FenceKind::Full;
  slot->thread_id.store(thread_number(), std::memory_order_relaxed);
  slot->returns_at_unpin = thread_is_ending;
  if (!thread_is_ending) slot_return.slot = slot;
  epoch_slot = slot;
  return slot;
}

void return_epoch_slot(EpochSlot* slot) noexcept {
  epoch_slot = nullptr;
  slot->taken.store(false, std::memory_order_release);
}

}  // namespace internal

namespace {
// Objects that are not intrusive are retired in one of these.
struct Boxed : EpochDomain::Retired {
  Boxed(void* doomed, void (*how)(void*) noexcept) noexcept : object(doomed), destroy(how) {}
  void* object;
  void (*destroy)(void*) noexcept;
};

// A collection costs a system call and a look at every slot.
constexpr std::uint64_t kRetirementsPerCollection = 64;
}  // namespace

EpochDomain::EpochDomain() noexcept : process_number_(directory::process_number()) {
  VARVE_CHECK(internal::kForkHandlerError == 0);
}

// Handles throw in a child of fork(). What is destroyed there nevertheless was left by its parent's
// threads at any point.
bool EpochDomain::forked() const noexcept {
  return process_number_ != directory::process_number();
}

EpochDomain::~EpochDomain() {
  if (forked()) return;
  VARVE_CHECK(!pinned());
  // An object's destruction may retire others.
  while (retired_count_.load(std::memory_order_acquire) !=
         freed_count_.load(std::memory_order_acquire) +
             leaked_count_.load(std::memory_order_acquire)) {
    synchronize();
    collect();
  }
}

void EpochDomain::retire(void* object, void (*destroy)(void*) noexcept) noexcept {
  auto* const boxed = new (std::nothrow) Boxed(object, destroy);
  if (boxed != nullptr) {
    return retire_intrusive(boxed, [](Retired* retired) noexcept {
      auto* const doomed = static_cast<Boxed*>(retired);
      doomed->destroy(doomed->object);
      delete doomed;
    });
  }
  retired_count_.fetch_add(1, std::memory_order_relaxed);
  if (pinned()) {
    leaked_count_.fetch_add(1, std::memory_order_release);
    return;
  }
  synchronize();
  destroy(object);
  freed_count_.fetch_add(1, std::memory_order_release);
}

void EpochDomain::retire_intrusive(Retired* object, void (*destroy)(Retired*) noexcept) noexcept {
  object->destroy_ = destroy;
  const std::uint64_t number = retired_count_.fetch_add(1, std::memory_order_relaxed) + 1;
  object->next_ = incoming_.load(std::memory_order_relaxed);
  // Release: the unlinking happens before the fence of the collector that takes the object.
  while (!incoming_.compare_exchange_weak(object->next_, object, std::memory_order_release,
                                          std::memory_order_relaxed)) {
  }
  if (number % kRetirementsPerCollection == 0) collect();
}

std::size_t EpochDomain::collect() noexcept {
  if (forked()) return 0;
  if (collecting_.exchange(true, std::memory_order_acquire)) return 0;
  std::size_t freed_count = 0;
  Retired* const taken = incoming_.exchange(nullptr, std::memory_order_acquire);
  if (taken != nullptr || oldest_ != nullptr) {
    take_incoming(taken, begin_grace());
    const std::uint64_t pinned = internal::oldest_pinned();
    freed_count = free_before(VARVE_MUTANT("epoch.pins_ignored") ? UINT64_MAX : pinned);
  }
  collecting_.store(false, std::memory_order_release);
  return freed_count;
}

void EpochDomain::take_incoming(Retired* taken, std::uint64_t epoch) noexcept {
  while (taken != nullptr) {
    Retired* const next = taken->next_;
    taken->epoch_ = epoch;
    taken->next_ = nullptr;
    (newest_ == nullptr ? oldest_ : newest_->next_) = taken;
    newest_ = taken;
    taken = next;
  }
}

// Objects whose destruction retires others only add to incoming_: collecting_ is held.
std::size_t EpochDomain::free_before(std::uint64_t epoch) noexcept {
  std::size_t freed_count = 0;
  while (oldest_ != nullptr && oldest_->epoch_ < epoch) {
    Retired* const doomed = oldest_;
    oldest_ = doomed->next_;
    if (oldest_ == nullptr) newest_ = nullptr;
    doomed->destroy_(doomed);
    ++freed_count;
  }
  freed_count_.fetch_add(freed_count, std::memory_order_release);
  return freed_count;
}

void EpochDomain::synchronize() noexcept {
  VARVE_CHECK(!pinned());
  const std::uint64_t epoch = begin_grace();
  for (const internal::EpochSlot* slot = internal::slots.load(std::memory_order_acquire);
       slot != nullptr; slot = slot->next) {
    internal::wait_for_unpin(*slot, epoch);
  }
}

std::uint64_t EpochDomain::begin_grace() noexcept {
  // Before the fence: whoever does not see it has unlinked what this fence shows to all.
  const std::uint64_t number = internal::graces_started.fetch_add(1, std::memory_order_seq_cst) + 1;
  heavy_fence();
  const std::uint64_t ticket = internal::epoch_now.fetch_add(1, std::memory_order_seq_cst);
  std::uint64_t newest = internal::graces_begun.load(std::memory_order_relaxed);
  while (newest < number &&
         !internal::graces_begun.compare_exchange_weak(newest, number, std::memory_order_release,
                                                       std::memory_order_relaxed)) {
  }
  return ticket;
}

std::uint64_t EpochDomain::mark_unlinked() noexcept {
  light_fence();
  return internal::graces_started.load(std::memory_order_seq_cst);
}

// The ticket of a later grace than the one that was found does as well.
std::optional<std::uint64_t> EpochDomain::grace_since(std::uint64_t mark) noexcept {
  const std::uint64_t newest = internal::graces_begun.load(std::memory_order_acquire);
  if (newest < mark || (newest == mark && !VARVE_MUTANT("epoch.grace_at_mark_counts"))) return {};
  return internal::epoch_now.load(std::memory_order_acquire) - 1;
}

bool EpochDomain::grace_over(std::uint64_t ticket) noexcept {
  for (const internal::EpochSlot* slot = internal::slots.load(std::memory_order_acquire);
       slot != nullptr; slot = slot->next) {
    if (slot == internal::epoch_slot) continue;
    const std::uint64_t epoch = slot->epoch.load(std::memory_order_acquire);
    if (epoch != 0 && epoch <= ticket) return false;
  }
  return true;
}

void EpochDomain::heavy_fence() noexcept {
#if VARVE_THREAD_SANITIZER
  internal::fence_word.fetch_add(1, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
  if (internal::decided_fence_kind() == internal::FenceKind::Asymmetric) {
    directory::expedited_barrier();
  }
}

EpochDomain::Statistics EpochDomain::statistics(std::chrono::nanoseconds age_limit) const noexcept {
  Statistics result;
  // Freed before retired: the difference is never negative.
  result.freed_count = freed_count_.load(std::memory_order_acquire);
  result.leaked_count = leaked_count_.load(std::memory_order_acquire);
  result.retired_count = retired_count_.load(std::memory_order_acquire);
  result.pending_count = result.retired_count - result.freed_count - result.leaked_count;
  const std::int64_t time = internal::now();
  for (const internal::EpochSlot* slot = internal::slots.load(std::memory_order_acquire);
       slot != nullptr; slot = slot->next) {
    const std::uint64_t epoch = slot->epoch.load(std::memory_order_acquire);
    if (epoch == 0) continue;
    ++result.pinned_thread_count;
    if (slot->observed_epoch.load(std::memory_order_relaxed) != epoch) continue;
    const std::chrono::nanoseconds age{time - slot->observed_since.load(std::memory_order_relaxed)};
    if (age > age_limit) ++result.aged_pin_count;
    if (age <= result.oldest_pin_age) continue;
    result.oldest_pin_age = age;
    result.oldest_pin_thread_id = slot->thread_id.load(std::memory_order_relaxed);
  }
  return result;
}

}  // namespace varve::concurrent
