// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "directory/file_system.hpp"
#include "varve/directory_lock.hpp"
#include "varve/error.hpp"

namespace varve::directory {

// A sync failed, of a file or of the directory: what was written before it may be on the medium or
// not, and no later sync would tell. Not for a sync that found no space: that is a NoSpace like any
// other, as long as what was written is written anew.
class SyncError final : public Error {
 public:
  explicit SyncError(const Error& error) noexcept : Error(error) {}
};

// Receives the bytes of a new immutable file in order.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void append(std::string_view bytes) = 0;
  // Where the next `size` bytes belong: an append() of what was put there copies nothing. Null:
  // they have to be made elsewhere. Until the next call of append().
  [[nodiscard]] virtual char* room(std::size_t size) {
    static_cast<void>(size);
    return nullptr;
  }
  [[nodiscard]] virtual std::uint64_t offset() const noexcept = 0;  // Bytes appended so far.
  // Bytes of memory that it may take until the file is complete; as many again once it has written
  // behind.
  [[nodiscard]] virtual std::size_t buffer_size() const noexcept { return 0; }
  // Whenever `pressed` says so, bytes may be written by a thread of the sink's own while the caller
  // makes the next ones: a file is done sooner, for as much work. Call it before append(), which is
  // who calls `pressed`. A failure may then show later, but before the file has its name.
  virtual void write_behind_when(const std::function<bool()>& pressed) {
    static_cast<void>(pressed);
  }
};

// A file that never changes once it has its name (but for punched ranges).
// Thread-safety: all const. Lifetime: stays readable after its removal from the directory, and
// after the Directory object is gone.
class ImmutableFile {
 public:
  virtual ~ImmutableFile() = default;
  [[nodiscard]] virtual const std::string& name() const noexcept = 0;
  [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
  // Fills `out` from `offset`. Errors: Corruption when the file is shorter, Io.
  virtual void read(std::uint64_t offset, std::span<char> out) const = 0;
  // All bytes, when the implementation can map them; empty otherwise (read() always works). Mapped
  // at the first call, valid as long as this object. A medium that fails under a mapping raises
  // SIGBUS; whoever does not trust the medium uses read().
  [[nodiscard]] virtual std::string_view map() const = 0;
};

// A preallocated file that is written in place from front to back through data(), and synced.
//
//   bytes stored in data() --publish()--> survive the process --sync()--> survive power loss
//   bytes elsewhere --------write()-----> likewise
//
// Thread-safety: publish(), write() and sync() of disjoint ranges from any thread.
class LogFile {
 public:
  virtual ~LogFile() = default;
  [[nodiscard]] virtual const std::string& name() const noexcept = 0;
  [[nodiscard]] virtual std::size_t capacity() const noexcept = 0;
  // capacity() writable bytes. What they hold before anything was stored is unspecified: zeros, or
  // what a recycled file held.
  [[nodiscard]] virtual char* data() noexcept = 0;
  // Makes [from, to) survive the death of the process. For a mapped file that is already so; it
  // then only readies the pages that follow. Call it after every append, with rising ranges.
  virtual void publish(std::size_t from, std::size_t to) = 0;
  // Puts `bytes` at `from`, published. For what is synced next: a store through a mapping can make
  // the device write far more than itself, as the kernel only knows that some of a large piece of
  // its cache has changed. Errors: Io, NoSpace.
  virtual void write(std::size_t from, std::string_view bytes) = 0;
  // Makes what was published before the call survive power loss. After a failure the file must not
  // be written again. Errors: Io, NoSpace.
  virtual void sync() = 0;
};

// Exclusive or shared ownership of a directory, released by its destructor.
// Thread-safety: verify() and the getters from any thread.
class Ownership {
 public:
  virtual ~Ownership() = default;
  [[nodiscard]] virtual LockMode mode() const noexcept = 0;
  // The last exclusive owner did not release: it crashed, or its machine did.
  [[nodiscard]] virtual bool recovered_stale() const noexcept = 0;
  // Throws Error{ReadOnly} when ownership is provably lost (somebody replaced LOCK). Called before
  // every manifest replacement; a second line of defence only.
  virtual void verify() const = 0;
  // True in a process that was forked from the owner: the handle must not be used there.
  [[nodiscard]] virtual bool forked() const noexcept = 0;
  // Notes the phase and epoch in the lock record, for lock_status().health. Exclusive mode only.
  virtual void set_phase(bool healthy, std::uint64_t writer_epoch) = 0;
  // Marks the record closed and unlocks. Idempotent. In a forked child: closes descriptors only.
  virtual void release() noexcept = 0;
};

// Where an index keeps its files, shaped by objects so that a distributed store can implement it:
// the verbs are whole-object writes, ranged reads, an appendable log, one atomic replacement and
// ownership with an epoch. No caller renames, syncs a directory or writes in place.
// Implementations: PosixDirectory, MemoryDirectory. Both pass the conformance suite.
//
// Names: [A-Za-z0-9._-], no leading dot, at most 100 bytes; else VARVE_CHECK. "*.tmp" is reserved.
// Thread-safety: any method, any thread. Errors: Error with the path of the file.
class Directory {
 public:
  virtual ~Directory() = default;
  // For messages: the path, or a made-up one.
  [[nodiscard]] virtual const std::filesystem::path& path() const noexcept = 0;

  // Creates `name` with what `write` appends. When it returns, the file and its name survive power
  // loss; when it throws (also from `write`), there is no `name`. After a crash at any point there
  // is the whole file, or none (and perhaps a "*.tmp", which whoever opens the index removes).
  // Errors: AlreadyExists (before `write` is called, or after it when something has got the name
  // meanwhile, which stays as it is), Io, NoSpace, ReadOnly, SyncError.
  virtual void put_immutable(std::string_view name, const std::function<void(Sink&)>& write) = 0;
  // Replaces `name` (which may be absent) as a whole: after a crash at any point it holds the old
  // bytes or the new. Durable when it returns.
  virtual void replace(std::string_view name, std::string_view bytes) = 0;
  // Errors: NotFound; Corruption when it is no regular file.
  [[nodiscard]] virtual std::shared_ptr<const ImmutableFile> open(std::string_view name) const = 0;
  // All bytes of a small file. Errors: NotFound, LimitExceeded when it is larger than `size_max`.
  [[nodiscard]] virtual std::string read_all(std::string_view name,
                                             std::uint64_t size_max) const = 0;
  // Frees a dead range of an immutable file where the medium can; readers of it then see zeros.
  // Errors: NotFound; Corruption when the range is not within the file.
  virtual void punch(std::string_view name, std::uint64_t offset, std::uint64_t size) = 0;
  // Removing what is absent is no error. Not durable by itself: after power loss the file may be
  // there again. Also removes links and other special files, but no directories.
  virtual void remove(std::string_view name) = 0;
  // Every entry, by name: foreign files and, where it is a file, LOCK included.
  [[nodiscard]] virtual std::vector<FileInfo> list() const = 0;

  // A log of `capacity` bytes, its blocks allocated (a store into it cannot fail), its name
  // durable. Errors: AlreadyExists, Io, NoSpace, ReadOnly, SyncError.
  [[nodiscard]] virtual std::unique_ptr<LogFile> create_log(std::string_view name,
                                                            std::size_t capacity) = 0;
  // Gives the dead log `old_name` the name `name` and hands it out with at least `capacity` bytes:
  // cheaper than a new one. Its old bytes are still in it. Durable when it returns; after a crash
  // before that the file has either name. Errors: NotFound, AlreadyExists, Corruption, Io, NoSpace,
  // SyncError.
  [[nodiscard]] virtual std::unique_ptr<LogFile> recycle_log(std::string_view old_name,
                                                             std::string_view name,
                                                             std::size_t capacity) = 0;
  // Hands out the log of a process that has died, to be appended to behind `end`. What it holds in
  // [synced_end, end) was stored by that process, of which a sync may have failed: then the medium
  // lacks what the cache shows, and no later sync would notice. The first sync() therefore writes
  // it again. Requires: synced_end <= end. Errors: NotFound, Corruption (not a file of that size),
  // Io, NoSpace, ReadOnly.
  [[nodiscard]] virtual std::unique_ptr<LogFile> resume_log(std::string_view name,
                                                            std::size_t synced_end,
                                                            std::size_t end) = 0;

  // Makes the file `name` take `size` bytes of the medium, which its removal frees: its content is
  // of no use, and its name not durable. False: there is nothing here that could run full. Errors:
  // NoSpace (a file that was there stays as it was), Corruption, Io, ReadOnly.
  virtual bool reserve(std::string_view /*name*/, std::uint64_t /*size*/) { return false; }
  // As FileSystem::free_size().
  [[nodiscard]] virtual std::optional<std::uint64_t> free_size() const { return std::nullopt; }

  // Waits up to `wait` for ownership. `create`: makes the directory and LOCK when absent (the
  // parent must exist). Errors: NotFound, Locked (naming the holder), Unsupported (no usable
  // locks, or a network file system), Io.
  [[nodiscard]] virtual std::unique_ptr<Ownership> acquire(LockMode mode,
                                                           std::chrono::milliseconds wait,
                                                           bool create) = 0;
  [[nodiscard]] virtual LockStatus lock_status() const = 0;
  // Others than its owner may put files into it or take them away.
  [[nodiscard]] virtual bool is_writable_by_others() const { return false; }
  // Of the machine run: tells what a dead process left (all that it stored is there) from what a
  // dead machine left (unsynced bytes may be missing). "" where unknown.
  [[nodiscard]] virtual std::string boot_id() const;
};

struct PosixDirectoryOptions {
  bool allow_network_file_system = false;
};

// The directory at `path` on the local file system. Nothing is touched before acquire() or a read.
[[nodiscard]] std::shared_ptr<Directory> make_posix_directory(std::filesystem::path path,
                                                              PosixDirectoryOptions options = {});
// As above, over another FileSystem (the simulated one); ownership is then its local_ownership().
[[nodiscard]] std::shared_ptr<Directory> make_posix_directory(
    std::shared_ptr<FileSystem> file_system);
[[nodiscard]] std::shared_ptr<Directory> make_memory_directory(std::string label = "memory");

// For unique identities and boot detection; the only sources of either.
[[nodiscard]] std::string machine_boot_id();  // Changes at every boot; "" where unknown.
[[nodiscard]] std::string random_uuid();      // 36 characters, version 4.

}  // namespace varve::directory
