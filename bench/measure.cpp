// SPDX-License-Identifier: Apache-2.0
#include "bench/measure.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

namespace varve::bench {
namespace {

double cpu_now() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The number behind `name` in a file of "name: number" lines; 0 when it is not there.
std::uint64_t field(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    std::uint64_t number = 0;
    if (word == name && file >> number) return number;
  }
  return 0;
}

}  // namespace

ProcessFigures process_figures() {
  return {.cpu_seconds = cpu_now(),
          .written_size = field("/proc/self/io", "write_bytes:"),
          .anonymous_size = field("/proc/self/status", "RssAnon:") << 10,
          .mapped_size = field("/proc/self/status", "RssFile:") << 10};
}

std::uint64_t allocated_size(const std::filesystem::path& directory) {
  std::uint64_t size = 0;
  std::error_code ignored;  // An engine may remove a file while we look.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, ignored)) {
    struct stat status {};
    if (::lstat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      size += static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
  }
  return size;
}

void warm_files(const std::filesystem::path& directory) {
  std::vector<char> buffer(1 << 20);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, ignored)) {
    const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    // A sparse map is read where it has data, else its holes would fill the page cache.
    off_t at = ::lseek(file, 0, SEEK_DATA);
    while (at >= 0) {
      const off_t end = ::lseek(file, at, SEEK_HOLE);
      while (at < end) {
        const ssize_t got = ::pread(file, buffer.data(), buffer.size(), at);
        if (got <= 0) break;
        at += got;
      }
      if (at < end) break;
      at = ::lseek(file, at, SEEK_DATA);
    }
    ::close(file);
  }
}

Stopwatch::Stopwatch() : wall_(std::chrono::steady_clock::now()), cpu_(cpu_now()) {}
double Stopwatch::wall_seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_).count();
}
double Stopwatch::cpu_seconds() const {
  return cpu_now() - cpu_;
}

}  // namespace varve::bench
