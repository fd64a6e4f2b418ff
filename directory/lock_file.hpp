// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "directory/fork_marker.hpp"
#include "directory/lock_record.hpp"
#include "directory/lock_registry.hpp"

namespace varve::directory {

inline constexpr const char* kLockFileName = "LOCK";
inline constexpr const char* kManifestFileName = "MANIFEST";

// The system calls of directory ownership; ownership.cpp makes the protocol of them.

// A file descriptor, closed by its destructor; at least 3, closed on exec.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }
  void close() noexcept;
  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }

 private:
  int number_ = -1;
};

// The kernel's locks on one directory, let go by the destructor.
// Invariant: lock_byte() is called with the flock held. In the process that took them they are
// unlocked explicitly before the descriptors are closed, since a child forked by another thread may
// hold copies of these; a forked child closes only, since an unlock would be the parent's.
class KernelLocks {
 public:
  explicit KernelLocks(Descriptor directory) noexcept : directory_(std::move(directory)) {}
  KernelLocks(KernelLocks&&) = default;
  KernelLocks& operator=(KernelLocks&&) = delete;
  ~KernelLocks() { release(); }

  // False: somebody else holds it. Errors: Unsupported, Io.
  [[nodiscard]] bool lock_directory(LockMode mode, const std::filesystem::path& path);
  // Takes over `file`. False: somebody else holds the byte.
  [[nodiscard]] bool lock_byte(Descriptor file, LockMode mode, const std::filesystem::path& path);
  void release() noexcept;

  [[nodiscard]] int directory() const noexcept { return directory_.number(); }
  [[nodiscard]] int file() const noexcept { return file_.number(); }  // -1 without LOCK.
  [[nodiscard]] bool forked() const noexcept { return marker_.forked(); }

 private:
  Descriptor directory_;
  Descriptor file_;
  ForkMarker marker_;
};

// The sign of a waiting writer, at which new readers stand back; taken down by the destructor.
// Advisory: where LOCK is absent or may not be written, or another writer shows it, there is none.
class PendingWriter {
 public:
  PendingWriter() = default;
  PendingWriter(const PendingWriter&) = delete;
  PendingWriter& operator=(const PendingWriter&) = delete;
  ~PendingWriter();
  void show(const std::filesystem::path& path) noexcept;

 private:
  Descriptor file_;
  ForkMarker marker_;
};
[[nodiscard]] bool is_writer_pending(int directory) noexcept;

enum class Access : std::uint8_t { Lock, Look };  // Look needs no right to read the directory.
// Errors: NotFound when there is no such directory; Io.
[[nodiscard]] Descriptor open_directory(const std::filesystem::path& path, Access access);
[[nodiscard]] bool make_directory(const std::filesystem::path& path);  // False: it was there.
[[nodiscard]] DirectoryKey key_of(int descriptor, const std::filesystem::path& path);
[[nodiscard]] bool is_present(int directory, const char* name) noexcept;
[[nodiscard]] std::uint64_t file_system_type(int directory, const std::filesystem::path& path);
// Syncs the directory, and its parent where that can be opened or must be.
void sync_creation(int directory, bool parent_required, const std::filesystem::path& path);

struct LockFile {
  Descriptor descriptor;
  bool created = false;
};
// Opens LOCK for `mode`, makes it if `create`. Without a descriptor when it is absent (or vanished
// at that moment). Errors: ReadOnly, Corruption when it is no plain file, Io, NoSpace.
[[nodiscard]] LockFile open_lock_file(int directory, LockMode mode, bool create,
                                      const std::filesystem::path& path);
// True when LOCK in `directory` is still the file of the descriptor.
[[nodiscard]] bool is_still_linked(int directory, int file) noexcept;
// True when `path` still leads to the directory of the descriptor.
[[nodiscard]] bool is_still_at(int directory, const std::filesystem::path& path) noexcept;

// The record as it is now; nothing when it cannot be read or is not valid.
[[nodiscard]] std::optional<LockRecord> read_record(int file);
void write_record(int file, const LockRecord& record, const std::filesystem::path& path);

// Who conflicts with an exclusive lock on LOCK's byte. Errors: Unsupported, Io.
[[nodiscard]] std::optional<LockMode> query_byte(int file, const std::filesystem::path& path);
// Opened only to look: without a descriptor when LOCK is absent or may not be read.
[[nodiscard]] Descriptor open_lock_file_to_look(int directory) noexcept;

// True unless the locks are provably lost: asks through second descriptors, which must be refused.
[[nodiscard]] bool are_locks_held(const KernelLocks& locks, const std::filesystem::path& path);

}  // namespace varve::directory
