// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "directory/fork_marker.hpp"
#include "directory/lock_record.hpp"

namespace varve::directory {

// A directory by identity, so that every alias of its path is the same directory.
struct DirectoryKey {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend bool operator==(const DirectoryKey&, const DirectoryKey&) = default;
};

// The directories that this process owns, so that it can tell itself from others. It explains and
// never decides: the kernel's locks already exclude a second owner inside the process, and two
// copies of the library in one process have two registries.
// Thread-safety: any method, any thread. A forked child begins with an empty registry of its own,
// since it owns nothing of its parent's (whose mutex may have been held at the fork).
class LockRegistry {
 public:
  static LockRegistry& of_this_process();

  void add(const void* owner, DirectoryKey key, const LockRecord& record);
  void update(const void* owner, const LockRecord& record);
  void remove(const void* owner) noexcept;  // Removing what is absent is no error.
  [[nodiscard]] std::optional<LockRecord> find(DirectoryKey key) const;
  // Read once per process; `since` is the time of that.
  [[nodiscard]] const LockRecord& this_process() const noexcept { return this_process_; }

 private:
  struct Entry {
    const void* owner;
    DirectoryKey key;
    LockRecord record;
  };
  explicit LockRegistry(const LockRegistry* of_parent);

  const ForkMarker marker_;
  // Never used; keeps the parent's reachable for leak checkers.
  [[maybe_unused]] const LockRegistry* const of_parent_;
  const LockRecord this_process_;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // Guarded by mutex_.
};

}  // namespace varve::directory
