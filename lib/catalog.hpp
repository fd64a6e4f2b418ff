// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "directory/directory.hpp"
#include "lib/failure_latch.hpp"
#include "lib/manifest.hpp"

namespace varve::internal {

// The manifest in memory and on disk. replace() is the index's only commit point: before it the
// old structure holds, after it the new one, at any crash in between one of the two.
// Thread-safety: manifest() from any thread; replace() by one at a time.
class Catalog {
 public:
  Catalog(directory::Directory& directory, Manifest manifest, FailureLatch& failure)
      : directory_(directory),
        manifest_(std::make_shared<const Manifest>(std::move(manifest))),
        failure_(failure) {}

  [[nodiscard]] std::shared_ptr<const Manifest> manifest() const noexcept {
    const std::lock_guard lock(mutex_);
    return manifest_;
  }
  // Applies `edit` to a copy and makes the copy durable; then it is manifest(). `ownership` is
  // verified first.
  // Errors: NoSpace, and Io for want of descriptors or memory: nothing changed, may be tried again.
  // Anything else is latched, because the disk may hold either manifest.
  void replace(const directory::Ownership& ownership, const std::function<void(Manifest&)>& edit);
  [[nodiscard]] std::uint64_t bytes_written() const noexcept {
    return bytes_written_.load(std::memory_order_relaxed);
  }

 private:
  [[nodiscard]] bool is_on_disk(const std::string& bytes) const noexcept;

  directory::Directory& directory_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Manifest> manifest_;  // The pointer is guarded by mutex_.
  FailureLatch& failure_;
  std::atomic<std::uint64_t> bytes_written_ = 0;
};

}  // namespace varve::internal
