// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "directory/directory.hpp"
#include "varve/directory_lock.hpp"

namespace varve::directory {

// Ownership of a directory of the local file system, by two kernel locks and one truth:
//
//   flock(directory)        excludes. No deletion of LOCK, renaming of the directory or other path
//                           to it can give it to two owners, and it works on read-only media.
//   OFD lock, byte 1024     of the permanent file LOCK: can be queried without taking anything. An
//                           open-file-description lock, as fcntl's other kind is dropped when
//                           anybody in the process opens and closes LOCK.
//   OFD lock, byte 1025     held while a writer waits: new readers stand back, so it gets its turn.
//   record in LOCK          explains (lock_record.hpp), written by exclusive owners and by whoever
//                           creates LOCK.
//
// Taken in this order, never blocking; released in reverse. Nothing ever unlinks LOCK. Both locks
// end with the process, so no stale lock exists and no pid is asked whether it is alive.
// See docs/adr/0003-directory-ownership.md.
struct OwnershipRequest {
  LockMode mode = LockMode::Exclusive;
  std::chrono::milliseconds wait{0};  // On the monotonic clock; zero or less: one attempt.
  bool create_directory = false;      // Mode 0700; its parent must exist. Implies the next.
  bool create_lock_file = false;      // LOCK (0600) even where there is no index yet.
  bool allow_network_file_system = false;
};

// Errors: Locked, naming the holder; NotFound when there is no directory, or neither LOCK nor
// MANIFEST in it and nothing may be created; ReadOnly when LOCK cannot be written (exclusive only);
// Unsupported on a network file system or where the kernel offers no such locks; Corruption when
// LOCK is no plain file; Io, NoSpace.
// Exclusive: recovered_stale() tells that the last owner ended without release(), or that its
// record is damaged. It stays true of the directory until an owner calls set_phase(true, ...): one
// that only locks and unlocks does not hide that a recovery is due. Records are not synced, so
// after a power loss it may say either; no recovery may depend on it.
[[nodiscard]] std::unique_ptr<Ownership> acquire_posix_ownership(
    const std::filesystem::path& directory, const OwnershipRequest& request);
// As above with create_directory = `create`.
[[nodiscard]] std::unique_ptr<Ownership> acquire_posix_ownership(
    const std::filesystem::path& directory, LockMode mode, std::chrono::milliseconds wait,
    bool create, bool allow_network_file_system);
// One attempt; null instead of Locked.
[[nodiscard]] std::unique_ptr<Ownership> try_acquire_posix_ownership(
    const std::filesystem::path& directory, const OwnershipRequest& request);

// An advisory snapshot; takes no lock, creates and writes nothing. Says LockedByUs for whatever
// this process holds. Errors: Io, Unsupported.
[[nodiscard]] LockStatus posix_lock_status(const std::filesystem::path& directory);

// By statfs's f_type: NFS, SMB, 9P, FUSE, Ceph, Lustre and their like, where these locks hold
// against this machine only, hang, or cost a round trip, depending on the mount.
[[nodiscard]] bool is_network_file_system(std::uint64_t file_system_type) noexcept;

}  // namespace varve::directory
