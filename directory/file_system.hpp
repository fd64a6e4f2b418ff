// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace varve::directory {

enum class FileKind : std::uint8_t { Regular, Directory, Symlink, Other };

struct FileInfo {
  std::string name;
  std::uint64_t size = 0;            // Bytes.
  std::uint64_t allocated_size = 0;  // Bytes on the medium, where known; else size.
  FileKind kind = FileKind::Regular;
};

class LocalOwnership;

// A writable region of a file whose stores outlive the process: a shared mapping, or memory that a
// simulated file system treats as one.
class WritableMapping {
 public:
  virtual ~WritableMapping() = default;
  [[nodiscard]] virtual char* data() noexcept = 0;
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
  // Readies the range for stores that do not fault; an optimisation, no promise. The pages count
  // as dirty from then on, so ask for what will be stored soon and no more.
  virtual void populate(std::size_t offset, std::size_t size) noexcept = 0;
  // The whole pages in [from, to) are not going to be touched again soon: takes them out of the
  // address space, not out of the file. Writing back a page that is mapped interrupts every other
  // processor that the process runs on, page by page.
  virtual void let_go(std::size_t from, std::size_t to) noexcept = 0;
  // Whether the file's cache is to be made of huge pages from there on, where it has none yet. Each
  // is one page to what let_go() is about, but a store into it makes all of it dirty.
  virtual void prefer_huge_pages(std::size_t from, bool wanted) noexcept = 0;
};

// A read-only view of a whole file, at an address aligned for huge pages where possible.
class ReadableMapping {
 public:
  virtual ~ReadableMapping() = default;
  [[nodiscard]] virtual std::string_view bytes() const noexcept = 0;
};

// An open regular file.
// Thread-safety: read(), write() of disjoint ranges and sync() from many threads at once;
// everything else one at a time. Errors: every method throws Error{Io | NoSpace | ReadOnly} that
// names the file.
class File {
 public:
  virtual ~File() = default;  // Closes; an error of a file opened for writing was seen by sync().
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  // Reads up to out.size() bytes; fewer only at the end of the file. EINTR and short reads are
  // handled here.
  [[nodiscard]] virtual std::size_t read(std::uint64_t offset, std::span<char> out) const = 0;
  virtual void write(std::uint64_t offset, std::string_view bytes) = 0;
  virtual void allocate(std::uint64_t size) = 0;  // Real blocks for [0, size); never shrinks.
  virtual void truncate(std::uint64_t size) = 0;
  // Zeroes the range and frees its blocks; does nothing where the medium cannot free them.
  virtual void punch(std::uint64_t offset, std::uint64_t size) = 0;
  // Asks for write-back of the range to begin, without waiting: an optimisation, no promise.
  virtual void start_write_back(std::uint64_t offset, std::uint64_t size) = 0;
  // When it returns, the file's bytes survive power loss (its name may not). Never retried: after
  // a failure the kernel may have dropped the dirty pages.
  virtual void sync() = 0;
  // The whole file; null where the medium cannot map it, or the file is empty. Every byte of a
  // file that is mapped for writing must have been allocated, or a store into it may kill us.
  [[nodiscard]] virtual std::unique_ptr<WritableMapping> map_writable() = 0;
  [[nodiscard]] virtual std::unique_ptr<ReadableMapping> map_readable() const = 0;
};

// One directory of plain files as the operating system offers it: each method is one step that a
// crash can come between. No policy lives here; PosixDirectory builds the protocols from it.
// Implementations: PosixFileSystem (every system call of the library is in it) and
// SimulatedFileSystem (crashes, power loss, faults).
// Names are single path components, given by our own code. Thread-safety: any method, any thread.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  [[nodiscard]] virtual std::string path() const = 0;  // For messages.
  // Creates a file that must not exist yet (O_EXCL). Errors: AlreadyExists, Io, NoSpace, ReadOnly.
  [[nodiscard]] virtual std::unique_ptr<File> create(std::string_view name) = 0;
  // Errors: NotFound; Corruption when `name` is not a regular file (links are never followed).
  [[nodiscard]] virtual std::unique_ptr<File> open(std::string_view name, bool writable) = 0;
  virtual void rename(std::string_view from, std::string_view to) = 0;  // Replaces `to`.
  // As rename(), but to a name that nothing has: looked at and taken in one step, where the system
  // can do that. Errors: AlreadyExists, and both are as they were.
  virtual void rename_new(std::string_view from, std::string_view to) = 0;
  virtual void remove(std::string_view name) = 0;                      // Errors: NotFound, Io.
  [[nodiscard]] virtual bool exists(std::string_view name) const = 0;  // Of whatever kind.
  [[nodiscard]] virtual std::vector<FileInfo> list() const = 0;        // Every entry, by name.
  // Others than the directory's owner may put files into it or take them away.
  [[nodiscard]] virtual bool is_writable_by_others() const { return false; }
  virtual void sync() = 0;  // When it returns, creations, renames and removals survive power loss.

  // Bytes that new files could take now, about: others may take them first, a quota may forbid
  // them. nullopt: unknown.
  [[nodiscard]] virtual std::optional<std::uint64_t> free_size() const { return std::nullopt; }
  // Changes whenever the machine is started anew, and with it everything unsynced may be gone; ""
  // where unknown.
  [[nodiscard]] virtual std::string boot_id() const;
  // Who owns the directory, for a file system that no other process can see; null where the
  // operating system decides.
  [[nodiscard]] virtual std::shared_ptr<LocalOwnership> local_ownership() const { return nullptr; }
};

}  // namespace varve::directory
