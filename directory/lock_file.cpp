// SPDX-License-Identifier: Apache-2.0
#include "directory/lock_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "directory/mutant.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

constexpr ::off_t kOwnerByte = 1024;    // Beyond the record, so that mandatory locks, where they
constexpr ::off_t kPendingByte = 1025;  // exist, do not keep anybody from reading it.
constexpr int kFirstSafeDescriptor = 3;

[[noreturn]] void fail(ErrorCode code, const std::string& attempt,
                       const std::filesystem::path& path, int number) {
  const std::error_code system(number, std::system_category());
  throw Error(code, attempt + " " + path.string() + ": " + system.message(), path, system);
}

[[noreturn]] void fail(const std::string& attempt, const std::filesystem::path& path, int number) {
  ErrorCode code = ErrorCode::Io;
  if (number == ENOSPC || number == EDQUOT) code = ErrorCode::NoSpace;
  if (number == EROFS) code = ErrorCode::ReadOnly;
  if (number == ENOENT || number == ENOTDIR) code = ErrorCode::NotFound;
  fail(code, attempt, path, number);
}

bool is_unsupported(int number) {
  return number == EINVAL || number == ENOLCK || number == EOPNOTSUPP || number == ENOSYS;
}

template <typename Call>
auto retry_interrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// A program that runs with stdout closed must not have its messages written into LOCK.
Descriptor above_standard_streams(int number) {
  if (number < 0 || number >= kFirstSafeDescriptor) return Descriptor(number);
  const Descriptor low(number);
  return Descriptor(::fcntl(number, F_DUPFD_CLOEXEC, kFirstSafeDescriptor));
}

Descriptor open_at(int directory, const char* name, int flags) noexcept {
  constexpr int kAlways = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  return above_standard_streams(
      retry_interrupted([&] { return ::openat(directory, name, flags | kAlways, 0600); }));
}

struct ::flock byte_lock(short type, ::off_t byte) {
  struct ::flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

int set_byte(int file, short type, ::off_t byte) noexcept {
  struct ::flock lock = byte_lock(type, byte);
  return retry_interrupted([&] { return ::fcntl(file, F_OFD_SETLK, &lock); });
}

}  // namespace

void Descriptor::close() noexcept {
  if (number_ >= 0) ::close(std::exchange(number_, -1));
}

bool KernelLocks::lock_directory(LockMode mode, const std::filesystem::path& path) {
  const int operation = (mode == LockMode::Exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
  if (VARVE_MUTANT("lock.directory_not_locked")) return true;
  if (retry_interrupted([&] { return ::flock(directory_.number(), operation); }) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  fail(is_unsupported(errno) ? ErrorCode::Unsupported : ErrorCode::Io, "cannot lock", path, errno);
}

bool KernelLocks::lock_byte(Descriptor file, LockMode mode, const std::filesystem::path& path) {
  const auto type = static_cast<short>(mode == LockMode::Exclusive ? F_WRLCK : F_RDLCK);
  if (VARVE_MUTANT("lock.byte_not_locked") || set_byte(file.number(), type, kOwnerByte) == 0) {
    file_ = std::move(file);
    return true;
  }
  if (errno == EAGAIN || errno == EACCES) return false;
  fail(is_unsupported(errno) ? ErrorCode::Unsupported : ErrorCode::Io, "cannot lock a byte of",
       path / kLockFileName, errno);
}

void KernelLocks::release() noexcept {
  if (!marker_.forked() || VARVE_MUTANT("lock.child_unlocks")) {
    if (file_.is_open()) set_byte(file_.number(), F_UNLCK, kOwnerByte);
    if (directory_.is_open()) ::flock(directory_.number(), LOCK_UN);
  }
  file_.close();
  directory_.close();
}

PendingWriter::~PendingWriter() {
  if (file_.is_open() && !marker_.forked()) set_byte(file_.number(), F_UNLCK, kPendingByte);
}

void PendingWriter::show(const std::filesystem::path& path) noexcept {
  if (file_.is_open()) return;
  const Descriptor directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  file_ = open_at(directory.number(), kLockFileName, O_RDWR);
  if (file_.is_open() && set_byte(file_.number(), F_WRLCK, kPendingByte) != 0) file_.close();
}

bool is_writer_pending(int directory) noexcept {
  const Descriptor file = open_lock_file_to_look(directory);
  struct ::flock lock = byte_lock(F_RDLCK, kPendingByte);
  return file.is_open() && ::fcntl(file.number(), F_OFD_GETLK, &lock) == 0 &&
         lock.l_type != F_UNLCK;
}

Descriptor open_directory(const std::filesystem::path& path, Access access) {
  const int flags = O_DIRECTORY | O_CLOEXEC | (access == Access::Lock ? O_RDONLY : O_PATH);
  Descriptor directory =
      above_standard_streams(retry_interrupted([&] { return ::open(path.c_str(), flags); }));
  if (!directory.is_open()) fail("cannot open the directory", path, errno);
  return directory;
}

bool make_directory(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return true;
  if (errno == EEXIST) return false;
  fail("cannot create the directory", path, errno);
}

DirectoryKey key_of(int descriptor, const std::filesystem::path& path) {
  struct ::stat found {};
  if (::fstat(descriptor, &found) != 0) fail("cannot examine", path, errno);
  return {found.st_dev, found.st_ino};
}

bool is_present(int directory, const char* name) noexcept {
  struct ::stat found {};
  return ::fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

std::uint64_t file_system_type(int directory, const std::filesystem::path& path) {
  struct ::statfs found {};
  if (retry_interrupted([&] { return ::fstatfs(directory, &found); }) != 0) {
    fail("cannot examine the file system of", path, errno);
  }
  // Sign-extended on some machines; the numbers have 32 bits.
  return static_cast<std::uint64_t>(found.f_type) & 0xffff'ffffU;
}

void sync_creation(int directory, bool parent_required, const std::filesystem::path& path) {
  if (::fsync(directory) != 0) fail("cannot sync the directory", path, errno);
  const Descriptor parent(::openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.is_open() && !parent_required) return;  // Somebody else made `path`: theirs to sync.
  if (VARVE_MUTANT("lock.parent_not_synced")) return;
  if (!parent.is_open() || ::fsync(parent.number()) != 0) {
    fail("cannot sync the directory above", path, errno);
  }
}

LockFile open_lock_file(int directory, LockMode mode, bool create,
                        const std::filesystem::path& path) {
  const int access = mode == LockMode::Exclusive ? O_RDWR : O_RDONLY;
  LockFile opened;
  opened.descriptor = open_at(directory, kLockFileName, access);
  if (!opened.descriptor.is_open() && errno == ENOENT) {
    if (!create) return opened;
    opened.descriptor = open_at(directory, kLockFileName, O_RDWR | O_CREAT | O_EXCL);
    opened.created = opened.descriptor.is_open();
    if (!opened.created && errno == EEXIST) return opened;  // Its creator will be seen next time.
  }
  if (!opened.descriptor.is_open()) {
    const std::filesystem::path file = path / kLockFileName;
    if (errno == ELOOP) {
      throw Error(ErrorCode::Corruption, file.string() + " is a symbolic link, not a file of ours",
                  file);
    }
    const bool refused = errno == EACCES || errno == EPERM || errno == EROFS;
    if (refused && mode == LockMode::Exclusive) {
      fail(ErrorCode::ReadOnly, "exclusive ownership needs to write", file, errno);
    }
    // A reader that may not read LOCK is excluded properly by the directory's lock alone.
    if (refused) return opened;
    fail("cannot open", file, errno);
  }
  struct ::stat found {};
  if (::fstat(opened.descriptor.number(), &found) != 0) fail("cannot examine", path, errno);
  if (!S_ISREG(found.st_mode) ||
      (found.st_nlink > 1 && !VARVE_MUTANT("lock.second_name_accepted"))) {
    throw Error(ErrorCode::Corruption,
                (path / kLockFileName).string() +
                    (S_ISREG(found.st_mode) ? " has a second hard link" : " is no regular file"),
                path / kLockFileName);
  }
  return opened;
}

bool is_still_linked(int directory, int file) noexcept {
  struct ::stat ours {
  }, found{};
  return ::fstat(file, &ours) == 0 &&
         ::fstatat(directory, kLockFileName, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
         ours.st_dev == found.st_dev && ours.st_ino == found.st_ino && ours.st_nlink == 1;
}

bool is_still_at(int directory, const std::filesystem::path& path) noexcept {
  struct ::stat ours {
  }, found{};
  return ::fstat(directory, &ours) == 0 && ::stat(path.c_str(), &found) == 0 &&
         ours.st_dev == found.st_dev && ours.st_ino == found.st_ino;
}

std::optional<LockRecord> read_record(int file) {
  std::array<char, kLockRecordSize> bytes;
  const ::ssize_t size =
      retry_interrupted([&] { return ::pread(file, bytes.data(), bytes.size(), 0); });
  if (size < 0) return std::nullopt;
  return decode_lock_record({bytes.data(), static_cast<std::size_t>(size)});
}

void write_record(int file, const LockRecord& record, const std::filesystem::path& path) {
  const std::array<char, kLockRecordSize> bytes = encode(record);
  const ::ssize_t size =
      retry_interrupted([&] { return ::pwrite(file, bytes.data(), bytes.size(), 0); });
  if (size == static_cast<::ssize_t>(bytes.size())) return;
  fail("cannot write the owner's record to", path / kLockFileName, size < 0 ? errno : ENOSPC);
}

std::optional<LockMode> query_byte(int file, const std::filesystem::path& path) {
  struct ::flock lock = byte_lock(F_WRLCK, kOwnerByte);
  if (retry_interrupted([&] { return ::fcntl(file, F_OFD_GETLK, &lock); }) != 0) {
    fail(is_unsupported(errno) ? ErrorCode::Unsupported : ErrorCode::Io, "cannot query the lock on",
         path / kLockFileName, errno);
  }
  if (lock.l_type == F_UNLCK) return std::nullopt;
  return lock.l_type == F_WRLCK ? LockMode::Exclusive : LockMode::Shared;
}

Descriptor open_lock_file_to_look(int directory) noexcept {
  Descriptor file = open_at(directory, kLockFileName, O_RDONLY);
  struct ::stat found {};
  if (file.is_open() && (::fstat(file.number(), &found) != 0 || !S_ISREG(found.st_mode))) {
    file.close();
  }
  return file;
}

bool are_locks_held(const KernelLocks& locks, const std::filesystem::path& path) {
  const Descriptor second(::openat(locks.directory(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (second.is_open() && ::flock(second.number(), LOCK_EX | LOCK_NB) == 0) {
    ::flock(second.number(), LOCK_UN);
    return false;
  }
  if (locks.file() < 0) return true;
  if (!is_still_linked(locks.directory(), locks.file())) return false;
  const Descriptor look = open_lock_file_to_look(locks.directory());
  return !look.is_open() || query_byte(look.number(), path).has_value();
}

}  // namespace varve::directory
