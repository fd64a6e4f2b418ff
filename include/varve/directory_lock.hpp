// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "varve/export.hpp"

namespace varve {

// Who may use an index directory, as seen by the process that asks. The numbers are stable.
enum class LockState : std::int8_t {
  NotInitialized = -1,  // There is no index in the directory, or no directory.
  LockedByOther = 0,    // Another process (or another handle of ours) owns it; reading its status
                        // and copying its files are possible, opening it is not.
  Unlocked = 1,         // Nobody owns it.
  LockedByUs = 2,       // This process owns it.
};
[[nodiscard]] VARVE_EXPORT std::string_view to_string(LockState state) noexcept;

enum class LockMode : std::uint8_t { Exclusive, Shared };

// What an owner has written about itself. It explains and never decides: the kernel's locks alone
// say whether the directory is held, so a record that is left over or forged does no harm.
struct LockHolder {
  std::int64_t pid = 0;
  std::uint64_t process_start_ticks = 0;  // /proc/PID/stat field 22: immune to clock steps.
  std::string boot_id;
  std::string host;
  std::string program;
  std::uint64_t writer_epoch = 0;
  std::int64_t since_unix_seconds = 0;  // For people; no decision uses it.
  LockMode mode = LockMode::Exclusive;
};

// An advisory snapshot: it takes no lock, so it disturbs no opener, and writes nothing. The only
// way to use the answer is to try to take the lock, which decides again.
struct LockStatus {
  LockState state = LockState::NotInitialized;
  // The present owner, as its record tells; where that is unreadable, or for readers (which write
  // none), the pid and program as the system tells. Without epoch and time then.
  std::optional<LockHolder> holder;
  bool left_open = false;  // Unlocked, but the last writer did not close: the next open recovers.
  bool orphaned = false;   // Held, but the owner is gone (a forked child of it keeps the lock).
  bool healthy = true;     // False while a creation, a recovery or a close is unfinished, also
                           // when its process died of it.
};

// How long an explicit lock() waits unless told otherwise. open() and the command wait 250 ms.
inline constexpr std::chrono::milliseconds kLockWaitDefault{30'000};
inline constexpr std::chrono::milliseconds kOpenWaitDefault{250};

// The state of `directory`, seen from this process: LockedByUs whichever handle of ours owns it.
// Creates nothing.
// Errors: Io when the directory cannot be examined, Unsupported on a file system without locks.
[[nodiscard]] VARVE_EXPORT LockStatus lock_status(const std::filesystem::path& directory);

// Ownership of an index directory without opening the index: for backups, moves and scripts.
// SegmentIndex::open() takes and releases the same lock by itself.
//
//   NotInitialized | Unlocked | LockedByOther --lock(), try_lock()--> LockedByUs
//   LockedByUs --unlock()--> Unlocked
//
// state() is this object's view: what another handle of this process owns is LockedByOther. Locking
// makes the file LOCK where it is absent, nothing else; that a recovery is due stays recorded.
// flock(2) on the directory excludes: docs/adr/0003-directory-ownership.md.
// Thread-safety: one thread at a time. A forked child's copy is inert: every call throws
// ForkedHandle and its destructor leaves the parent's lock alone. Errors: Closed when moved from.
class VARVE_EXPORT DirectoryLock {
 public:
  // Errors: NotFound when `directory` is not a directory.
  explicit DirectoryLock(std::filesystem::path directory);
  DirectoryLock(DirectoryLock&&) noexcept;
  DirectoryLock& operator=(DirectoryLock&&) noexcept;
  ~DirectoryLock();  // Unlocks.

  [[nodiscard]] LockStatus status() const;
  [[nodiscard]] LockState state() const { return status().state; }
  // True unless something is unfinished: a first write, a recovery, a close.
  [[nodiscard]] bool health() const { return status().healthy; }

  // Waits up to `wait` (monotonic clock). Locking again in the same mode is no error. Errors:
  // Locked, naming the holder; InvalidArgument when held by this object in the other mode; ReadOnly
  // when LOCK may not be written (Shared works then); NotFound, Unsupported, Corruption when LOCK
  // is no plain file; Io.
  void lock(std::chrono::milliseconds wait = kLockWaitDefault, LockMode mode = LockMode::Exclusive);
  // Decides at once. False: somebody else holds it. Errors: as lock(), but never Locked.
  [[nodiscard]] bool try_lock(LockMode mode = LockMode::Exclusive);
  void unlock();  // Unlocking what is not locked is no error.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
