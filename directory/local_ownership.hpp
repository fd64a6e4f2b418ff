// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>

#include "directory/directory.hpp"

namespace varve::directory {

// Ownership of a directory that only this process can see: a readers-writer lock that remembers
// whether its last exclusive owner let go in good order.
//
//   acquire(Exclusive): recovery is due if nothing else happens
//   release(): it is due no more, unless it was before and no set_phase(true, ...) has settled it
//   after_crash(): nobody owns; the rest is as it was at the crash
//
// Thread-safety: any method, any thread. Lifetime: kept alive by the Ownerships it handed out.
class LocalOwnership : public std::enable_shared_from_this<LocalOwnership> {
 public:
  // Waits up to `wait`. Errors: Locked; NotFound unless it was ever owned, or `may_create`.
  [[nodiscard]] std::unique_ptr<Ownership> acquire(LockMode mode, std::chrono::milliseconds wait,
                                                   bool may_create,
                                                   const std::filesystem::path& path);
  // `index_present`: there is a MANIFEST, so that never having been owned is no sign of absence.
  [[nodiscard]] LockStatus status(bool index_present) const;
  // The power is gone: what owners do from here on leaves no trace.
  void freeze();
  // What the next process finds.
  [[nodiscard]] std::shared_ptr<LocalOwnership> after_crash() const;

 private:
  class Held;
  void release(LockMode mode) noexcept;
  void set_phase(bool healthy, std::uint64_t writer_epoch);

  mutable std::mutex mutex_;
  std::condition_variable released_;
  // All guarded by mutex_. Invariant: !(exclusive_ && shared_count_ > 0).
  bool exclusive_ = false;
  std::uint64_t shared_count_ = 0;
  bool ever_owned_ = false;
  bool recovery_due_ = false;
  bool settled_ = true;  // Of the exclusive owner: it leaves nothing to recover.
  bool healthy_ = true;
  bool frozen_ = false;
  std::uint64_t writer_epoch_ = 0;
};

}  // namespace varve::directory
