// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/make_thread.hpp"

namespace varve::internal {

// Calls body(0) to body(count - 1), each once, by `thread_count` threads of which the caller is
// one; by fewer where the system has no more. They are taken up in this order, and have all
// returned when this does. Throws what the first one that failed has thrown: those before it were
// called, not all of those behind. Errors otherwise: std::bad_alloc, with nothing called.
template <typename Body>
void in_parallel(std::size_t count, std::size_t thread_count, const Body& body) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  std::size_t failed = count;
  const auto work = [&]() noexcept {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        body(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < failed) {
          failed = i;
          failure = std::current_exception();
        }
        next = count;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    threads.reserve(thread_count);
    try {
      while (threads.size() + 1 < thread_count) {
        threads.push_back(make_thread<std::jthread>(work));
      }
    } catch (const std::exception&) {  // Fewer do it as well.
    }
    work();
  }
  if (failure != nullptr) std::rethrow_exception(failure);
}

}  // namespace varve::internal
