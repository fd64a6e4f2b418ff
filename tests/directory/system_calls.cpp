// SPDX-License-Identifier: Apache-2.0
#include "tests/directory/system_calls.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <stdexcept>

namespace varve::test {
namespace {

struct Plan {
  bool active = false;
  SystemCall call = SystemCall::Flock;
  int error_number = 0, skipped = 0, count = 0, refused = 0;
};
// Constant initialisation: some of these are called before main().
constinit Plan plan;

bool refuses(SystemCall call) noexcept {
  if (!plan.active || plan.call != call || plan.count == 0) return false;
  if (plan.skipped > 0) {
    --plan.skipped;
    return false;
  }
  if (plan.count != kAlways) --plan.count;
  ++plan.refused;
  errno = plan.error_number;
  return true;
}

template <typename... Arguments>
auto pass_on(long number, Arguments... arguments) noexcept {
  return ::syscall(number, arguments...);
}

}  // namespace

Refusal::Refusal(SystemCall call, int error_number, int skipped, int count) {
  if (plan.active) throw std::logic_error("one refusal at a time");
  plan = {.active = true,
          .call = call,
          .error_number = error_number,
          .skipped = skipped,
          .count = count};
}
Refusal::~Refusal() {
  plan = {};
}
int Refusal::refused() const {
  return plan.refused;
}

}  // namespace varve::test

// In the place of the C library's.
extern "C" {

using varve::test::kNetwork;
using varve::test::kShort;
using varve::test::pass_on;
using varve::test::plan;
using varve::test::refuses;
using varve::test::SystemCall;

int fcntl(int file, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  const bool of_locks = command == F_OFD_SETLK || command == F_OFD_GETLK;
  if (of_locks && refuses(SystemCall::Fcntl)) return -1;
  return static_cast<int>(pass_on(SYS_fcntl, file, command, argument));
}
int flock(int file, int operation) noexcept {
  if (refuses(SystemCall::Flock)) return -1;
  return static_cast<int>(pass_on(SYS_flock, file, operation));
}
int fstat(int file, struct stat* to) noexcept {
  if (refuses(SystemCall::Fstat)) return -1;
  return static_cast<int>(pass_on(SYS_fstat, file, to));
}
int fstatat(int directory, const char* name, struct stat* to, int flags) noexcept {
  if (refuses(SystemCall::Fstatat)) return -1;
  return static_cast<int>(pass_on(SYS_newfstatat, directory, name, to, flags));
}
int fstatfs(int file, struct statfs* to) noexcept {
  const bool refused = refuses(SystemCall::Fstatfs);
  if (refused && plan.error_number != kNetwork) return -1;
  const auto result = static_cast<int>(pass_on(SYS_fstatfs, file, to));
  if (refused) to->f_type = 0x6969;
  return result;
}
int fdatasync(int file) {
  if (refuses(SystemCall::Fdatasync)) return -1;
  return static_cast<int>(pass_on(SYS_fdatasync, file));
}
int fsync(int file) {
  if (refuses(SystemCall::Fsync)) return -1;
  return static_cast<int>(pass_on(SYS_fsync, file));
}
int madvise(void* at, size_t size, int advice) noexcept {
  if (refuses(SystemCall::Madvise)) return -1;
  return static_cast<int>(pass_on(SYS_madvise, at, size, advice));
}
int mkdir(const char* path, mode_t mode) noexcept {
  if (refuses(SystemCall::Mkdir)) return -1;
  return static_cast<int>(pass_on(SYS_mkdirat, AT_FDCWD, path, mode));
}
int openat(int directory, const char* name, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  if (refuses(SystemCall::Openat)) return -1;
  return static_cast<int>(pass_on(SYS_openat, directory, name, flags, mode));
}
int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) noexcept {
  if (refuses(SystemCall::Renameat2)) return -1;
  return static_cast<int>(pass_on(SYS_renameat2, from_directory, from, to_directory, to, flags));
}
ssize_t pread(int file, void* to, size_t size, off_t offset) {
  if (refuses(SystemCall::Pread)) return -1;
  return pass_on(SYS_pread64, file, to, size, offset);
}
ssize_t pwrite(int file, const void* from, size_t size, off_t offset) {
  if (refuses(SystemCall::Pwrite)) {
    if (plan.error_number != kShort) return -1;
    size /= 2;
  }
  return pass_on(SYS_pwrite64, file, from, size, offset);
}
}
