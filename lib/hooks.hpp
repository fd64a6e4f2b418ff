// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <limits>
#include <string_view>

namespace varve::internal {

// Points in the engine at which a test can stop a thread and let another one go ahead, so that an
// interleaving which stress meets once a year is tried at every run. VARVE_HOOK("write.routed")
// marks one; names are <what is going on>.<what has just been done>.
//
// Cost: nothing in release builds; one relaxed load in checked builds while nobody listens.
class HookListener {
 public:
  virtual ~HookListener() = default;
  // The calling thread is at the hook. May block it; must not call the index.
  virtual void reached(std::string_view hook) noexcept = 0;
};

namespace hooks {

inline std::atomic<HookListener*> listener = nullptr;
inline std::atomic<int> listening = 0;  // Threads that may be using the listener.

// At most one listener at a time; null: none. When this returns, no thread is left in the one
// before, so that it may be destroyed. Requires: the one before lets every thread go.
inline void listen(HookListener* next) noexcept {
  listener.store(next);
  if (next != nullptr) return;
  for (int count = listening.load(); count != 0; count = listening.load()) listening.wait(count);
}

// Set while a thread does what only some of its calls do, by chance: a script could not rely on the
// hooks there.
inline constinit thread_local bool unheard = false;

class Unheard {
 public:
  Unheard() noexcept { unheard = true; }
  Unheard(const Unheard&) = delete;
  Unheard& operator=(const Unheard&) = delete;
  ~Unheard() { unheard = false; }
};

// Set by tests before an index is opened: its hot path is on and lets every key in at once.
inline constinit std::atomic<bool> eager_hot_path = false;

// Changed by tests: after how long a failed job is tried again for the first time, and how many
// threads an index can start yet.
inline constinit std::atomic<std::chrono::milliseconds> retry_pause{
    std::chrono::milliseconds(1000)};
inline constinit std::atomic<int> threads_left = std::numeric_limits<int>::max();

// Apart from the macro, which shall stay small where it stands.
[[gnu::noinline]] inline void tell(std::string_view hook) noexcept {
  if (unheard) return;
  listening.fetch_add(1);  // Before the load: listen(nullptr) stores first and counts then.
  if (HookListener* const present = listener.load()) present->reached(hook);
  listening.fetch_sub(1);
  listening.notify_all();
}

inline void reached(std::string_view hook) noexcept {
  if (listener.load(std::memory_order_relaxed) != nullptr) [[unlikely]]
    tell(hook);
}

}  // namespace hooks
}  // namespace varve::internal

#if defined(VARVE_ENABLE_DCHECK)
#define VARVE_HOOK(name) ::varve::internal::hooks::reached(name)
#else
#define VARVE_HOOK(name) static_cast<void>(0)
#endif
