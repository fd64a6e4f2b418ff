// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace varve::directory {

// The calling process's number: never zero, and a child of fork() has another one than every
// ancestor of it. One load, after the first call in the process. Thread-safety: any thread.
[[nodiscard]] std::uint64_t process_number() noexcept;

// Remembers the process that made it: forked() is true in every process forked from that one.
//
// A page that the kernel wipes at fork (MADV_WIPEONFORK) holds this process's number, so a check is
// one load, not a system call, and sees raw clone() as well as fork(). Where the kernel lacks that
// (before Linux 4.14) the pid is compared instead.
// Thread-safety: any method, any thread. Not promised: detection in a vfork() child, which shares
// its parent's memory and may only exec.
class ForkMarker {
 public:
  ForkMarker() noexcept;
  [[nodiscard]] bool forked() const noexcept {
    return page_ != nullptr ? page_->load(std::memory_order_relaxed) != number_ : pid_changed();
  }

 private:
  [[nodiscard]] bool pid_changed() const noexcept;

  const std::atomic<std::uint64_t>* page_;  // Lives as long as the process. Zero in a new child.
  std::uint64_t number_;  // Of the process that made us: never zero, a child's is larger.
};

}  // namespace varve::directory
