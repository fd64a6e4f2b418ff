// SPDX-License-Identifier: Apache-2.0
#include "directory/posix_file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>

#include "directory/mapping.hpp"
#include "directory/mutant.hpp"
#include "directory/system_failure.hpp"

namespace varve::directory {
namespace {

static_assert(sizeof(off_t) == 8, "files of 2 GiB and more");

constexpr mode_t kFileMode = 0600;
constexpr int kDescriptorMin = 3;  // 0, 1 and 2 may be written to by anyone who prints.

// Calls until it is not interrupted. Never used for sync: an interrupted sync has failed.
template <typename Call>
auto retry_interrupted(Call call) noexcept {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// openat() with close-on-exec, moved away from the standard streams; -1 and errno on failure.
int open_at(int directory_fd, const char* name, int flags, mode_t mode = 0) noexcept {
  const int fd =
      retry_interrupted([&] { return ::openat(directory_fd, name, flags | O_CLOEXEC, mode); });
  if (fd < 0 || fd >= kDescriptorMin) return fd;
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, kDescriptorMin);
  const int saved = errno;
  ::close(fd);
  errno = saved;
  return moved;
}

// Makes what was written to `fd` survive power loss; not only the device's cache, where the system
// tells them apart.
int sync_descriptor(int fd) noexcept {
#if defined(F_FULLFSYNC)
  return ::fcntl(fd, F_FULLFSYNC);
#elif defined(__linux__)
  return ::fdatasync(fd);
#else
  return ::fsync(fd);
#endif
}

// renameat() to a name that nothing has, else EEXIST; another errno where that cannot be had.
int rename_to_free_name([[maybe_unused]] int directory_fd, [[maybe_unused]] const char* from,
                        [[maybe_unused]] const char* to) noexcept {
#if defined(RENAME_NOREPLACE)
  return ::renameat2(directory_fd, from, directory_fd, to, RENAME_NOREPLACE);
#else
  errno = ENOSYS;
  return -1;
#endif
}

// A file system without it says EINVAL, a kernel ENOSYS, a filter of system calls either or EPERM.
bool is_lacking(int error_number) noexcept {
  return error_number == EINVAL || error_number == ENOSYS || error_number == EPERM;
}

FileKind kind_of(mode_t mode) noexcept {
  if (S_ISREG(mode)) return FileKind::Regular;
  if (S_ISDIR(mode)) return FileKind::Directory;
  if (S_ISLNK(mode)) return FileKind::Symlink;
  return FileKind::Other;
}

class PosixFile final : public File {
 public:
  explicit PosixFile(std::filesystem::path path) noexcept : path_(std::move(path)) {}
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  // What close(2) says is absorbed, also where a network file system or a quota tells only there
  // that written data cannot be stored. Nothing that counts depends on it: runs, manifests and logs
  // that are followed by another are synced before, and sync() has reported it; a log that is
  // closed with records that were not is one that all runs have made needless, or its index has
  // failed to close and said so; what was not named yet is removed. The reserve
  // (Directory::reserve) may be less than it seems then, which shows when it is needed, as NoSpace.
  ~PosixFile() override {
    if (fd_ >= 0) ::close(fd_);
  }
  // In two steps, so that there is no moment at which a descriptor could get lost.
  void adopt(int fd) noexcept { fd_ = fd; }

  [[nodiscard]] std::uint64_t size() const override {
    return static_cast<std::uint64_t>(status().st_size);
  }
  [[nodiscard]] std::size_t read(std::uint64_t offset, std::span<char> out) const override {
    return read_up_to(::pread, fd_, offset, out, path_);
  }
  void write(std::uint64_t offset, std::string_view bytes) override {
    write_all(::pwrite, fd_, offset, bytes, path_);
  }
  void allocate(std::uint64_t size) override {
    if (size == 0) return;
    int error = EINTR;
    while (error == EINTR) error = ::posix_fallocate(fd_, 0, static_cast<off_t>(size));
    if (error != 0) throw system_failure(error, "allocate space for", path_);
  }
  void truncate(std::uint64_t size) override {
    const auto wanted = static_cast<off_t>(size);
    if (retry_interrupted([&] { return ::ftruncate(fd_, wanted); }) != 0) fail("truncate");
  }
  void punch([[maybe_unused]] std::uint64_t offset, [[maybe_unused]] std::uint64_t size) override {
#if defined(FALLOC_FL_PUNCH_HOLE)
    if (size == 0) return;
    const int result = retry_interrupted([&] {
      return ::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         static_cast<off_t>(offset), static_cast<off_t>(size));
    });
    if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS) fail("free a range of");
#endif
  }
  void start_write_back([[maybe_unused]] std::uint64_t offset,
                        [[maybe_unused]] std::uint64_t size) override {
#if defined(SYNC_FILE_RANGE_WRITE)
    // An error is not lost: the sync that must follow reports it.
    static_cast<void>(::sync_file_range(fd_, static_cast<off64_t>(offset),
                                        static_cast<off64_t>(size), SYNC_FILE_RANGE_WRITE));
#endif
  }
  void sync() override {
    if (sync_descriptor(fd_) != 0 && !VARVE_MUTANT("file.sync_error_ignored")) fail("sync");
  }
  [[nodiscard]] std::unique_ptr<WritableMapping> map_writable() override {
    return map_file_writable(fd_, size());
  }
  [[nodiscard]] std::unique_ptr<ReadableMapping> map_readable() const override {
    return map_file_readable(fd_, size());
  }

  // Throws Corruption unless this is a plain file with one name, which is what we create.
  void check_is_ours() const {
    const struct stat found = status();
    if (!S_ISREG(found.st_mode)) {
      throw Error(
          ErrorCode::Corruption,
          "cannot open " + path_.string() + ": a regular file expected, a special one found",
          path_);
    }
    if (found.st_nlink > 1 && !VARVE_MUTANT("file.second_name_accepted")) {
      throw Error(ErrorCode::Corruption,
                  "cannot open " + path_.string() + ": a file with one name expected, " +
                      std::to_string(found.st_nlink) + " hard links found",
                  path_);
    }
  }

 private:
  [[nodiscard]] struct stat status() const {
    struct stat found {};
    if (::fstat(fd_, &found) != 0) fail("examine");
    return found;
  }
  [[noreturn]] void fail(std::string_view operation) const {
    throw system_failure(errno, operation, path_);
  }

  int fd_ = -1;
  const std::filesystem::path path_;
};

}  // namespace

std::size_t read_up_to(ReadCall call, int fd, std::uint64_t offset, std::span<char> out,
                       const std::filesystem::path& path) {
  std::size_t done = 0;
  if (offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())) return 0;
  while (done < out.size()) {
    const ssize_t count = retry_interrupted([&] {
      return call(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    });
    if (count < 0) {
      const int error = errno;
      throw system_failure(error, "read byte " + std::to_string(offset + done) + " of", path);
    }
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

void write_all(WriteCall call, int fd, std::uint64_t offset, std::string_view bytes,
               const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = retry_interrupted(
        [&] { return call(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (count < 0) throw system_failure(errno, "write", path);
    if (count == 0) {  // Trying for ever would be the only other answer.
      throw Error(ErrorCode::Io, "cannot write " + path.string() + ": the system took no byte",
                  path, std::error_code(EIO, std::generic_category()));
    }
    if (VARVE_MUTANT("file.short_write_accepted")) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

PosixFileSystem::PosixFileSystem(std::filesystem::path path) : path_(std::move(path)) {}

PosixFileSystem::~PosixFileSystem() {
  if (directory_fd_ >= 0) ::close(directory_fd_);
}

int PosixFileSystem::directory_fd() const {
  const std::lock_guard lock(mutex_);
  if (directory_fd_ < 0) {
    const int fd = open_at(AT_FDCWD, path_.c_str(), O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == ENOTDIR) {
      throw Error(ErrorCode::NotFound,
                  "cannot open " + path_.string() + ": a directory expected, something else found",
                  path_);
    }
    if (fd < 0) throw system_failure(errno, "open the directory", path_);
    directory_fd_ = fd;
  }
  return directory_fd_;
}

std::unique_ptr<File> PosixFileSystem::create(std::string_view name) {
  const int parent = directory_fd();
  auto file = std::make_unique<PosixFile>(path_ / name);
  const int fd = open_at(parent, std::string(name).c_str(),
                         O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY, kFileMode);
  if (fd < 0) throw system_failure(errno, "create", path_ / name);
  file->adopt(fd);
  return file;
}

std::unique_ptr<File> PosixFileSystem::open(std::string_view name, bool writable) {
  const int parent = directory_fd();
  const std::filesystem::path file_path = path_ / name;
  auto file = std::make_unique<PosixFile>(file_path);
  // O_NONBLOCK: opening a FIFO or a device must not wait for its other end.
  const int no_link = VARVE_MUTANT("file.link_followed") ? 0 : O_NOFOLLOW;
  const int fd = open_at(parent, std::string(name).c_str(),
                         (writable ? O_RDWR : O_RDONLY) | no_link | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO || errno == ENODEV)) {
    throw Error(
        ErrorCode::Corruption,
        "cannot open " + file_path.string() + ": a regular file expected, something else found",
        file_path);
  }
  if (fd < 0) throw system_failure(errno, "open", file_path);
  file->adopt(fd);
  file->check_is_ours();
  return file;
}

void PosixFileSystem::rename(std::string_view from, std::string_view to) {
  const int parent = directory_fd();
  if (::renameat(parent, std::string(from).c_str(), parent, std::string(to).c_str()) != 0) {
    throw system_failure(errno, "rename to " + std::string(to) + " the file", path_ / from);
  }
}

void PosixFileSystem::rename_new(std::string_view from, std::string_view to) {
  const int parent = directory_fd();
  if (rename_to_free_name(parent, std::string(from).c_str(), std::string(to).c_str()) == 0) return;
  const int error_number = errno;
  if (error_number == EEXIST) throw taken_name(path_ / to);
  if (!is_lacking(error_number)) {
    throw system_failure(error_number, "rename to " + std::string(to) + " the file", path_ / from);
  }
  if (exists(to)) throw taken_name(path_ / to);
  rename(from, to);
}

void PosixFileSystem::remove(std::string_view name) {
  if (::unlinkat(directory_fd(), std::string(name).c_str(), 0) != 0) {
    if (errno == EISDIR) {
      const std::filesystem::path file_path = path_ / name;
      throw Error(ErrorCode::Io,
                  "cannot use the name " + file_path.string() +
                      ": a directory has it, which Varve did not make; move it away",
                  file_path, std::error_code(EISDIR, std::generic_category()));
    }
    throw system_failure(errno, "remove", path_ / name);
  }
}

bool PosixFileSystem::exists(std::string_view name) const {
  struct stat found {};
  if (::fstatat(directory_fd(), std::string(name).c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0) {
    return true;
  }
  if (errno == ENOENT) return false;
  throw system_failure(errno, "examine", path_ / name);
}

std::vector<FileInfo> PosixFileSystem::list() const {
  const int parent = directory_fd();
  // A descriptor of its own, because reading a directory moves its descriptor's position.
  const int fd = open_at(parent, ".", O_RDONLY | O_DIRECTORY);
  if (fd < 0) throw system_failure(errno, "list", path_);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), ::closedir);
  if (stream == nullptr) {
    const int error = errno;
    ::close(fd);
    throw system_failure(error, "list", path_);
  }
  std::vector<FileInfo> entries;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat found {};
    if (::fstatat(parent, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // Removed since readdir() saw it.
      throw system_failure(errno, "examine", path_ / name);
    }
    entries.push_back({.name = std::string(name),
                       .size = static_cast<std::uint64_t>(found.st_size),
                       .allocated_size = static_cast<std::uint64_t>(found.st_blocks) * 512,
                       .kind = kind_of(found.st_mode)});
  }
  if (errno != 0) throw system_failure(errno, "list", path_);
  std::sort(entries.begin(), entries.end(),
            [](const FileInfo& a, const FileInfo& b) { return a.name < b.name; });
  return entries;
}

bool PosixFileSystem::is_writable_by_others() const {
  struct stat found {};
  if (::fstat(directory_fd(), &found) != 0) throw system_failure(errno, "examine", path_);
  return (found.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

void PosixFileSystem::sync() {
  const bool failed = ::fsync(directory_fd()) != 0;
  if (failed && !VARVE_MUTANT("directory.sync_error_ignored")) {
    throw system_failure(errno, "sync the directory", path_);
  }
}

std::optional<std::uint64_t> PosixFileSystem::free_size() const {
  const int fd = directory_fd();
  struct statvfs found {};
  if (retry_interrupted([&] { return ::fstatvfs(fd, &found); }) != 0) return std::nullopt;
  return std::uint64_t{found.f_bavail} * found.f_frsize;
}

}  // namespace varve::directory
