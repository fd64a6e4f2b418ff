// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "varve/export.hpp"

// Epoch reclamation: when may an object that was unlinked from a shared structure be freed, if
// readers take no lock?
//
//   reader   Guard guard = EpochDomain::pin();  load pointers, read objects      ~ 1-4 ns
//   writer   unlink the object (nobody who pins from now on can find it);  domain.retire(object)
//   freed    by a later collect(), once every reader that was pinned at the time is out
//
// Why that is sound. Pinning is: load the global epoch e, store it into the thread's slot, *light
// fence*, then load pointers. Collecting is: take what was retired, *heavy fence* F, raise the
// epoch from t to t + 1, look at all slots, free what was taken once no slot holds an epoch <= t.
// The fences make one total order, so for a reader's light fence A there are two cases:
//   A before F: the collector, looking after F, sees the reader's store (or a later one of the same
//     slot). The reader loaded e before F and the epoch was raised after F, so e <= t: the slot
//     blocks the object. A later store of the slot is a release store behind the reader's last
//     access, and the collector's load acquires it: the free happens after that access.
//   F before A: the unlinking happened before F, so the reader's loads behind A find the object
//     unlinked: it cannot hold it, whatever its slot says. (It may say an old epoch: then the free
//     is merely late.)
// The fences are asymmetric: the light one only keeps the compiler from reordering, since
// membarrier(2) in the heavy one makes every running thread pass a full barrier. Where the kernel
// has no membarrier, the light one is a full fence. ThreadSanitizer knows no fences: under it the
// slot's operations are sequentially consistent, and the order that it needs for a free is the
// slot's release and acquire alone.

#if defined(__SANITIZE_THREAD__)
#define VARVE_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VARVE_THREAD_SANITIZER 1
#endif
#endif
#if !defined(VARVE_THREAD_SANITIZER)
#define VARVE_THREAD_SANITIZER 0
#endif

namespace varve::concurrent {

namespace internal {

// One thread's mark. Slots are one list for the whole process; a thread takes one at its first pin,
// gives it back at its end, and the next thread takes it over. None is ever freed.
struct alignas(128) EpochSlot {
  std::atomic<std::uint64_t> epoch{0};  // 0: not pinned.
  std::uint32_t depth = 0;              // Nested pins. Its thread's alone.
  bool full_fence = true;               // No membarrier here.
  bool returns_at_unpin = false;        // Its thread is past the destructors of its thread_locals.
  std::atomic<bool> taken{false};
  std::atomic<std::uint64_t> thread_id{0};       // The system's number of the thread.
  std::atomic<std::uint64_t> observed_epoch{0};  // What collect() saw here, and since when.
  std::atomic<std::int64_t> observed_since{0};
  EpochSlot* next = nullptr;
};

enum class FenceKind : std::uint8_t { Unknown, Asymmetric, Full };

// Plain and constant-initialized, so that they are reached without an initialization wrapper.
extern VARVE_EXPORT constinit thread_local EpochSlot* epoch_slot;
extern VARVE_EXPORT constinit std::atomic<std::uint64_t> epoch_now;
extern VARVE_EXPORT constinit std::atomic<FenceKind> fence_kind;
extern VARVE_EXPORT constinit std::atomic<std::uint64_t> fence_word;

[[nodiscard]] VARVE_EXPORT EpochSlot* take_epoch_slot() noexcept;
VARVE_EXPORT void return_epoch_slot(EpochSlot* slot) noexcept;

}  // namespace internal

// Objects of one structure that wait to be freed.
//
// Thread-safety: all methods, any thread. retire() is lock-free; one thread at a time collects, and
// another one that comes meanwhile has nothing to do.
// Lifetime: no reader may be inside the structure when its domain is destroyed.
// Not promised: an order of destruction; that an object is freed soon. One thread that stays pinned
// keeps everything that was retired since, in all domains: see Statistics.
// A child of fork() must not use the domains that its parent made: there they free nothing. Domains
// that it makes itself work as in any process; pins of its parent's other threads do not count.
class VARVE_EXPORT EpochDomain {
 public:
  // Pins the calling thread from construction to destruction, for all domains: what it finds in a
  // shared structure stays allocated. Pins nest. To be destroyed on the same thread.
  class [[nodiscard]] Guard {
   public:
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() {
      if (--slot_->depth != 0) return;
      slot_->epoch.store(0, kStoreOrder);
      if (slot_->returns_at_unpin) internal::return_epoch_slot(slot_);
    }

   private:
    friend class EpochDomain;
    Guard() noexcept : slot_(internal::epoch_slot) {
      if (slot_ == nullptr) slot_ = internal::take_epoch_slot();
      if (slot_->depth++ != 0) return;
      // A release store, since it may hide the 0 of the pin before it from a collector.
      slot_->epoch.store(internal::epoch_now.load(kLoadOrder), kStoreOrder);
#if !VARVE_THREAD_SANITIZER
      if (slot_->full_fence) std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }

    internal::EpochSlot* slot_;
  };

  // What intrusive objects derive from: retiring one allocates nothing.
  class Retired {
   protected:
    Retired() = default;
    ~Retired() = default;

   private:
    friend class EpochDomain;
    Retired* next_ = nullptr;
    std::uint64_t epoch_ = 0;
    void (*destroy_)(Retired*) noexcept = nullptr;
  };

  EpochDomain() noexcept;
  EpochDomain(const EpochDomain&) = delete;
  EpochDomain& operator=(const EpochDomain&) = delete;
  // Waits as synchronize() does, then frees everything. Requires: the thread is not pinned.
  ~EpochDomain();

  [[nodiscard]] static Guard pin() noexcept {
    return Guard();
  }
  [[nodiscard]] static bool pinned() noexcept {
    return internal::epoch_slot != nullptr && internal::epoch_slot->depth != 0;
  }

  // Calls destroy(object) once no reader that is pinned now can hold it. Before: the object is
  // unlinked. Calls collect() now and then. The thread may be pinned. `destroy` may retire.
  // When there is no memory to note it: an unpinned thread synchronizes and destroys at once; for a
  // pinned one that would be waiting for itself, and the object is leaked (and counted).
  void retire(void* object, void (*destroy)(void*) noexcept) noexcept;
  template <class T>
  void retire(T* object) noexcept {
    retire(object, [](void* doomed) noexcept { delete static_cast<T*>(doomed); });
  }
  // The same for T derived from Retired, without an allocation.
  void retire_intrusive(Retired* object, void (*destroy)(Retired*) noexcept) noexcept;

  // Frees what may be freed now and returns how many objects that was. Never waits for a reader.
  std::size_t collect() noexcept;

  // Returns when every pin that existed at the call has ended. Requires: the thread is not pinned.
  static void synchronize() noexcept;

  // For an owner that reuses the memory of unlinked objects rather than freeing it, and that must
  // not wait: unlink objects, take a ticket, and reuse them once it is over. begin_grace() costs a
  // heavy fence. grace_over(): no pin of another thread that existed at begin_grace() is left; a
  // pin of the calling thread does not count, so that a pinned writer can reuse what it unlinked.
  [[nodiscard]] static std::uint64_t begin_grace() noexcept;
  [[nodiscard]] static bool grace_over(std::uint64_t ticket) noexcept;
  // A grace that others have begun serves as well, and saves the fence: unlink objects, take a
  // mark, and ask later for a ticket. Each begin_grace(), synchronize() and collect() of any thread
  // that began behind the mark gives one, the last if it had something to look at; nothing: there
  // was none yet. mark_unlinked() costs a light fence.
  [[nodiscard]] static std::uint64_t mark_unlinked() noexcept;
  [[nodiscard]] static std::optional<std::uint64_t> grace_since(std::uint64_t mark) noexcept;

  // The two sides of an asymmetric fence, for other protocols of the kind "store mine, fence, load
  // yours": of two threads that do so, one with the light and one with the heavy fence, at least
  // one sees the other's store. Light: about nothing. Heavy: a system call, microseconds.
  static void light_fence() noexcept {
#if VARVE_THREAD_SANITIZER
    internal::fence_word.fetch_add(1, std::memory_order_seq_cst);
#else
    if (internal::fence_kind.load(std::memory_order_relaxed) == internal::FenceKind::Asymmetric) {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      std::atomic_thread_fence(std::memory_order_seq_cst);
    }
#endif
  }
  static void heavy_fence() noexcept;

  struct Statistics {
    // Of this domain.
    std::uint64_t retired_count = 0, freed_count = 0;
    std::uint64_t pending_count = 0;  // Retired, neither freed nor leaked.
    std::uint64_t leaked_count = 0;
    // Of the process.
    std::uint64_t pinned_thread_count = 0;
    // How long collect(), of any domain, has been seeing the same pin; 0: none, or not looked yet.
    std::chrono::nanoseconds oldest_pin_age{0};
    std::uint64_t oldest_pin_thread_id = 0;  // The system's number (gettid) of its thread.
    std::uint64_t aged_pin_count = 0;        // Those seen for longer than `age_limit`.
  };
  [[nodiscard]] Statistics statistics(
      std::chrono::nanoseconds age_limit = std::chrono::nanoseconds::max()) const noexcept;

 private:
  [[nodiscard]] bool forked() const noexcept;

  static constexpr std::memory_order kLoadOrder =
      VARVE_THREAD_SANITIZER ? std::memory_order_seq_cst : std::memory_order_relaxed;
  static constexpr std::memory_order kStoreOrder =
      VARVE_THREAD_SANITIZER ? std::memory_order_seq_cst : std::memory_order_release;

  void take_incoming(Retired* taken, std::uint64_t epoch) noexcept;
  std::size_t free_before(std::uint64_t epoch) noexcept;

  const std::uint64_t process_number_;       // Of the process that made us.
  std::atomic<Retired*> incoming_{nullptr};  // Newest first.
  std::atomic<std::uint64_t> retired_count_{0};
  std::atomic<std::uint64_t> leaked_count_{0};
  std::atomic<std::uint64_t> freed_count_{0};

  // Held by the one that collects; the list, by ascending epoch, is its alone.
  std::atomic<bool> collecting_{false};
  Retired* oldest_ = nullptr;
  Retired* newest_ = nullptr;
};

}  // namespace varve::concurrent
