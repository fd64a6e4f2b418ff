// SPDX-License-Identifier: Apache-2.0
// An executable of its own: whether the kernel wipes a page is asked once in a process.
#include "directory/fork_marker.hpp"

#include <unistd.h>

#include <cerrno>

#include "tests/directory/child_process.hpp"
#include "tests/directory/system_calls.hpp"
#include "tests/support/catch.hpp"

namespace varve::directory {

TEST_CASE("where the kernel wipes no page, the pid tells a forked child", "[directory][fork]") {
  const test::Refusal refusal(test::SystemCall::Madvise, EINVAL, 0, test::kAlways);
  const ForkMarker marker;
  CHECK(refusal.refused() == 1);
  CHECK_FALSE(marker.forked());
  CHECK(process_number() == static_cast<std::uint64_t>(::getpid()));
  const ForkMarker second;
  CHECK(refusal.refused() == 1);  // Not asked again.
  CHECK_FALSE(second.forked());
  CHECK(test::in_child([&] {
          if (!marker.forked()) return 1;
          const ForkMarker of_child;
          if (of_child.forked()) return 2;
          return process_number() == static_cast<std::uint64_t>(::getpid()) ? 0 : 3;
        }) == 0);
}

}  // namespace varve::directory
