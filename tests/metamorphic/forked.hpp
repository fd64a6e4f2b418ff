// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace varve::test::metamorphic {

// How a process of its own ended, and what it had to say.
struct ForkedResult {
  std::string text;  // What the body returned; "" where it did not return.
  int status = 0;    // Of its exit; for a signal 128 and more. SIGALRM: it took too long.
};

// Does `body` in a process of its own, so that one that aborts or never ends is an answer as well.
// Temporary files that it leaves are removed. Requires: no other thread runs.
// Errors: std::system_error where there is no process to be had.
[[nodiscard]] ForkedResult run_forked(const std::function<std::string()>& body,
                                      std::chrono::seconds limit);

}  // namespace varve::test::metamorphic
