// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace varve::segment {

// A segment's monotonic version. Writers bump it before a change (a delta write, a flush, a
// compaction, a split) becomes visible; whoever remembered an earlier value and finds it moved
// knows that what it read may be out of date.
// Thread-safety: version() by any thread; bump() and raise() by the segment's one writer at a time,
// hence no read-modify-write.
class VersionController {
 public:
  explicit VersionController(std::uint64_t start = 0) noexcept : version_(start) {}
  [[nodiscard]] std::uint64_t version() const noexcept {
    return version_.load(std::memory_order_acquire);
  }
  // To at least `version`.
  void raise(std::uint64_t version) noexcept {
    if (version > version_.load(std::memory_order_relaxed))
      version_.store(version, std::memory_order_release);
  }
  void bump() noexcept {
    version_.store(version_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

 private:
  std::atomic<std::uint64_t> version_;
};

// Remembers a version; still_valid() says whether nothing was published since.
class OptimisticLock {
 public:
  explicit OptimisticLock(const VersionController& controller) noexcept
      : controller_(&controller), version_(controller.version()) {}
  [[nodiscard]] bool still_valid() const noexcept { return controller_->version() == version_; }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

 private:
  const VersionController* controller_;
  std::uint64_t version_;
};

}  // namespace varve::segment
