// SPDX-License-Identifier: Apache-2.0
#include "bench/memory_limit.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace varve::bench {
namespace {

// A control file exists already, or the kernel has no such control.
bool try_write_control(const std::filesystem::path& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t written = ::write(file, text.data(), text.size());
  ::close(file);
  return written == static_cast<ssize_t>(text.size());
}
void write_control(const std::filesystem::path& path, const std::string& text) {
  if (!try_write_control(path, text)) {
    throw std::runtime_error("cannot write " + path.string() + ": " + std::strerror(errno));
  }
}

}  // namespace

MemoryCgroup::MemoryCgroup(const std::filesystem::path& parent, const std::string& name,
                           std::uint64_t limit)
    : path_(parent / name) {
  std::error_code error;
  std::filesystem::create_directory(path_, error);
  if (error) throw std::runtime_error("cannot create " + path_.string() + ": " + error.message());
  const std::string text = std::to_string(limit);
  try {
    if (std::filesystem::exists(path_ / "memory.limit_in_bytes")) {
      write_control(path_ / "memory.limit_in_bytes", text);
      // Without swap, which only kernels with its accounting can forbid a group.
      try_write_control(path_ / "memory.memsw.limit_in_bytes", text);
    } else {
      write_control(path_ / "memory.max", text);
      try_write_control(path_ / "memory.swap.max", "0");
    }
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

}  // namespace varve::bench
