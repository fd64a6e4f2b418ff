// SPDX-License-Identifier: Apache-2.0
#include "directory/lock_holder.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string_view>

#include "directory/directory.hpp"

namespace varve::directory {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Field 22 of /proc/PID/stat; 0 when there is no such process. The second field is the program's
// name in parentheses, which may itself hold spaces and parentheses: count from the last one.
std::uint64_t start_ticks(const std::string& pid) {
  const std::string line = first_line("/proc/" + pid + "/stat");
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  std::uint64_t ticks = 0;
  fields >> ticks;
  return ticks;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

std::string program_name() {
  std::error_code failed;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? first_line("/proc/self/comm") : program.filename().string();
}

// A zombie has closed its files, so it holds nothing: a pidfd that polls readable has ended. (Its
// state in /proc/PID/stat would not do: a live process whose first thread left shows as a zombie.)
bool has_ended(std::int64_t pid) {
  const auto descriptor =
      static_cast<int>(::syscall(SYS_pidfd_open, static_cast<::pid_t>(pid), 0U));
  // EINVAL and ENOENT: the number is in use, but for a thread of some other process.
  if (descriptor < 0) return errno == ESRCH || errno == EINVAL || errno == ENOENT;
  ::pollfd poll_for{descriptor, POLLIN, 0};
  const bool ended = ::poll(&poll_for, 1, 0) == 1;
  ::close(descriptor);
  return ended;
}

std::string utc(std::int64_t unix_seconds) {
  const auto time = static_cast<std::time_t>(unix_seconds);
  std::tm fields{};
  char text[32];
  if (::gmtime_r(&time, &fields) == nullptr) return std::to_string(unix_seconds);
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &fields));
}

}  // namespace

LockRecord describe_this_process() {
  LockRecord record;
  record.state = LockRecord::State::Open;
  record.pid = ::getpid();
  record.process_start_ticks = start_ticks("self");
  struct ::stat pid_namespace {};
  if (::stat("/proc/self/ns/pid", &pid_namespace) == 0) {
    record.pid_namespace = pid_namespace.st_ino;
  }
  record.boot_id = machine_boot_id();
  record.host = host_name();
  record.program = program_name();
  record.since_unix_seconds = std::chrono::duration_cast<std::chrono::seconds>(
                                  std::chrono::system_clock::now().time_since_epoch())
                                  .count();
  return record;
}

bool is_gone(const LockRecord& record, const LockRecord& this_process) {
  if (record.boot_id.empty() || record.boot_id != this_process.boot_id) return false;
  if (record.pid_namespace == 0 || record.pid_namespace != this_process.pid_namespace) return false;
  if (has_ended(record.pid)) return true;
  const std::uint64_t ticks = start_ticks(std::to_string(record.pid));
  return ticks != 0 && record.process_start_ticks != 0 && ticks != record.process_start_ticks;
}

std::optional<FlockHolder> find_flock_holder(std::uint64_t device, std::uint64_t inode) {
  // "7: FLOCK  ADVISORY  WRITE 4711 fe:00:131080 0 EOF"; a waiter has "->" before FLOCK.
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream fields(line);
    std::string number, kind, enforcement, access;
    FlockHolder holder;
    std::uint64_t major_number = 0, minor_number = 0, found_inode = 0;
    char colon = 0;
    fields >> number >> kind >> enforcement >> access >> holder.pid;
    fields >> std::hex >> major_number >> colon >> minor_number >> colon >> std::dec >> found_inode;
    if (!fields || kind != "FLOCK" || found_inode != inode) continue;
    if (major_number != gnu_dev_major(device) || minor_number != gnu_dev_minor(device)) continue;
    holder.mode = access == "WRITE" ? LockMode::Exclusive : LockMode::Shared;
    return holder;
  }
  return std::nullopt;
}

LockHolder describe_process(const FlockHolder& holder, const LockRecord& this_process, bool& gone) {
  LockHolder described;
  described.pid = holder.pid;
  described.mode = holder.mode;
  described.boot_id = this_process.boot_id;
  described.host = this_process.host;
  gone = has_ended(holder.pid);
  if (gone) return described;
  const std::string pid = std::to_string(holder.pid);
  described.process_start_ticks = start_ticks(pid);
  described.program = first_line("/proc/" + pid + "/comm");
  for (char& byte : described.program) {
    if (byte < 0x20 || byte >= 0x7f) byte = '?';
  }
  return described;
}

std::string describe(const std::filesystem::path& directory, const LockStatus& status) {
  std::string text = directory.string();
  if (status.state == LockState::Unlocked || status.state == LockState::NotInitialized) {
    return text + " was held by another process until just now";
  }
  text += " is held by ";
  if (status.state == LockState::LockedByUs) text += "this process, ";
  if (!status.holder) return text + "a process that left no readable record";
  const LockHolder& holder = *status.holder;
  text += "pid " + std::to_string(holder.pid);
  if (!holder.program.empty()) text += " (" + holder.program + ")";
  if (!holder.host.empty()) text += " on " + holder.host;
  if (holder.mode == LockMode::Shared) text += " for reading";
  if (holder.since_unix_seconds != 0) text += " since " + utc(holder.since_unix_seconds);
  if (holder.writer_epoch != 0) text += ", epoch " + std::to_string(holder.writer_epoch);
  if (status.orphaned) text += "; that process ended, but a child forked from it keeps the lock";
  return text;
}

}  // namespace varve::directory
