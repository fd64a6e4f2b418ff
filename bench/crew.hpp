// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <latch>
#include <mutex>
#include <thread>
#include <vector>

namespace varve::bench {

// Threads that stand ready before the clock starts, and begin together.
//
//   constructed: waiting --run()--> working --> ended, run() returns
class Crew {
 public:
  // Each thread calls `work` with its number once. `work` ends early when failed() says so.
  Crew(std::size_t thread_count, std::function<void(std::size_t)> work);
  ~Crew();  // Without run(): the threads end without having worked.
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Errors: what the first thread that failed threw.
  void run();
  // Another thread has thrown.
  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

 private:
  void work(std::size_t number) noexcept;
  void join();

  std::function<void(std::size_t)> work_;
  std::latch ready_, start_{1};
  std::atomic<bool> failed_ = false, dismissed_ = false;
  std::mutex mutex_;
  std::exception_ptr failure_;  // Guarded by mutex_.
  std::vector<std::thread> threads_;
};

// The operations 0 to `count` - 1, all outstanding from the start, taken a slice at a time by
// whichever thread is free: no thread waits while there are any.
// Thread-safety: any.
class OperationQueue {
 public:
  struct Slice {
    std::uint64_t begin = 0, end = 0;
    [[nodiscard]] bool empty() const noexcept { return begin == end; }
  };
  OperationQueue(std::uint64_t count, std::uint64_t slice_count) noexcept
      : count_(count), slice_count_(slice_count) {}
  [[nodiscard]] Slice take() noexcept {
    const std::uint64_t begin =
        std::min(next_.fetch_add(slice_count_, std::memory_order_relaxed), count_);
    return {begin, std::min(begin + slice_count_, count_)};
  }

 private:
  const std::uint64_t count_, slice_count_;
  alignas(64) std::atomic<std::uint64_t> next_ = 0;
};

}  // namespace varve::bench
