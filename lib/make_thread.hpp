// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <system_error>
#include <utility>

#include "lib/hooks.hpp"

namespace varve::internal {

// A std::thread or std::jthread that runs `body`. Errors: std::system_error where there are no
// more, which tests bring about; std::bad_alloc.
template <typename Thread, typename Body>
[[nodiscard]] Thread make_thread(Body body) {
  if (hooks::threads_left.fetch_sub(1, std::memory_order_relaxed) <= 0) {
    throw std::system_error(EAGAIN, std::generic_category());
  }
  return Thread(std::move(body));
}

}  // namespace varve::internal
