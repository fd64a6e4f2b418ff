// SPDX-License-Identifier: Apache-2.0
#include "bench/memory_limit.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace varve::bench {
namespace {

// Version 1 and version 2.
constexpr const char* kLimit1 = "memory.limit_in_bytes";
constexpr const char* kLimit2 = "memory.max";

// 0, or why not. A control file exists already, or the kernel has no such control.
int write_error(const std::filesystem::path& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  const ssize_t written = ::write(file, text.data(), text.size());
  const int error = written < 0 ? errno : 0;  // Before close() has one of its own.
  ::close(file);
  return written >= 0 && written != static_cast<ssize_t>(text.size()) ? EIO : error;
}
void write_control(const std::filesystem::path& path, const std::string& text) {
  const int error = write_error(path, text);
  if (error != 0) {
    throw std::runtime_error("cannot write " + path.string() + ": " + std::strerror(error));
  }
}

bool has_word(const std::filesystem::path& path, const std::string& wanted) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    if (word == wanted) return true;
  }
  return false;
}

// Why groups below `parent` cannot be given a limit.
std::string no_control_message(const std::filesystem::path& parent) {
  const std::string name = parent.string();
  if (!std::filesystem::exists(parent / "cgroup.procs")) return name + " is not a cgroup";
  if (has_word(parent / "cgroup.controllers", "memory")) {
    return name +
           " does not pass the memory controller on to groups below it: as who may, write "
           "+memory into " +
           (parent / "cgroup.subtree_control").string();
  }
  return name + " has no memory controller" +
         (std::filesystem::exists(parent / "cgroup.controllers")
              ? ": cgroup.controllers does not name it (it may be in use by version 1)"
              : ": of version 1, a group of the memory hierarchy is wanted");
}

}  // namespace

void MemoryCgroup::limit_to(std::uint64_t limit) const {
  const std::string text = std::to_string(limit);
  if (std::filesystem::exists(path_ / kLimit1)) {
    write_control(path_ / kLimit1, text);
    // Without swap, which only kernels with its accounting can forbid a group.
    static_cast<void>(write_error(path_ / "memory.memsw.limit_in_bytes", text));
  } else if (std::filesystem::exists(path_ / kLimit2)) {
    write_control(path_ / kLimit2, text);
    static_cast<void>(write_error(path_ / "memory.swap.max", "0"));
  } else {
    throw std::runtime_error("--cgroup: " + no_control_message(path_.parent_path()));
  }
}

MemoryCgroup::MemoryCgroup(const std::filesystem::path& parent, const std::string& name,
                           std::uint64_t limit)
    : path_(parent / name) {
  std::error_code error;
  std::filesystem::create_directory(path_, error);
  if (error) throw std::runtime_error("cannot create " + path_.string() + ": " + error.message());
  try {
    limit_to(limit);
  } catch (...) {
    ::rmdir(path_.c_str());
    throw;
  }
}

MemoryCgroup::~MemoryCgroup() {
  ::rmdir(path_.c_str());  // Its processes have ended; else the kernel refuses, and it stays.
}

void MemoryCgroup::enter() const {
  write_control(path_ / "cgroup.procs", std::to_string(::getpid()));
}

std::uint64_t MemoryCgroup::killed_count() const {
  for (const char* name : {"memory.events", "memory.oom_control"}) {
    std::ifstream file(path_ / name);
    std::string key;
    for (std::uint64_t count = 0; file >> key >> count;) {
      if (key == "oom_kill") return count;
    }
  }
  return 0;
}

}  // namespace varve::bench
