// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace varve::test {

// The program's operator new, which throws std::bad_alloc on demand; of allocation_failure.cpp, and
// of its executable only. The thread that arms it is the one that is hit and counted.
struct AllocationFailure {
  // From now on, the `nth` allocation of this thread fails (from 0), and with `sticky` all after
  // it.
  static void arm(std::uint64_t nth, bool sticky) noexcept;
  static void disarm() noexcept;
  static std::uint64_t count() noexcept;  // Allocations since arm().
  static bool fired() noexcept;           // Since arm().
  // Allocations of this thread that were not given back, ever.
  static std::int64_t live_count() noexcept;
};

}  // namespace varve::test
