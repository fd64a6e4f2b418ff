// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace varve::test {

// The program's operator new, which throws std::bad_alloc on demand; of allocation_failure.cpp, and
// of its executable only. What counts are the engine's allocations: those of the threads that it
// has started, and of the thread that called arm() while that has an Inside. Which of them is the
// nth is certain only where the engine has no thread of its own that allocates.
// Thread-safety: arm() and disarm() by one thread; the rest by any.
struct AllocationFailure {
  // From now on, the engine's `nth` allocation fails (from 0), and with `sticky` all after it.
  static void arm(std::uint64_t nth, bool sticky) noexcept;
  static void disarm() noexcept;
  static std::uint64_t count() noexcept;  // The engine's allocations since arm().
  static bool fired() noexcept;           // Since arm().
  // Allocations of the process that were not given back, ever.
  static std::int64_t live_count() noexcept;

  // The calling thread is inside the engine.
  class Inside {
   public:
    Inside() noexcept;
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside();
  };
};

}  // namespace varve::test
