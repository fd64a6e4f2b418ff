// SPDX-License-Identifier: Apache-2.0
#include "bench/machine.hpp"

#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "bench/commit.hpp"
#include "bench/table.hpp"

namespace varve::bench {
namespace {

std::string line_after(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name, 0) != 0) continue;
    const std::size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "unknown";
}

std::string file_system_name(const std::filesystem::path& path) {
  struct statfs files {};
  if (::statfs(path.c_str(), &files) != 0) return "unknown";
  switch (static_cast<unsigned long>(files.f_type)) {
    case 0xEF53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x9123683E:
      return "btrfs";
    case 0x01021994:
      return "tmpfs";
    case 0x794C7630:
      return "overlayfs";
    case 0x2FC12FC1:
      return "zfs";
    default:
      return format("type %lx", static_cast<unsigned long>(files.f_type));
  }
}

// The limit of the cgroup in the unified or in the memory hierarchy, where it is below the memory.
std::string cgroup_limit(std::uint64_t memory_size) {
  std::ifstream cgroups("/proc/self/cgroup");
  for (std::string line; std::getline(cgroups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    std::ifstream file;
    if (controllers == "memory") {
      file.open("/sys/fs/cgroup/memory" + path + "/memory.limit_in_bytes");
    } else if (controllers.empty()) {
      file.open("/sys/fs/cgroup" + path + "/memory.max");
    }
    std::uint64_t limit = 0;  // "max" is no number.
    if (file.is_open() && file >> limit && limit < memory_size) {
      return format("%.0f MiB (cgroup)", static_cast<double>(limit) / (1 << 20));
    }
  }
  return "";
}

}  // namespace

Machine describe_machine(const std::filesystem::path& scratch) {
  utsname system{};
  ::uname(&system);
  const auto memory_size = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                           static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return {.processor = line_after("/proc/cpuinfo", "model name"),
          .core_count = std::thread::hardware_concurrency(),
          .memory_size = memory_size,
          .kernel = format("%s %s %s", system.sysname, system.release, system.machine),
          .file_system = file_system_name(scratch),
          .memory_limit = cgroup_limit(memory_size)};
}

std::string describe_load() {
  double loads[3] = {};
  if (::getloadavg(loads, 3) != 3) return "unknown";
  return format("%.2f %.2f %.2f", loads[0], loads[1], loads[2]);
}

std::string describe_build() {
#if defined(NDEBUG) && !defined(VARVE_ENABLE_DCHECK)
  return "release";
#else
  return "CHECKED (not a release)";
#endif
}

std::string describe_compiler() {
#ifdef __clang__
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

std::string utc_now() {
  const std::time_t now = ::time(nullptr);
  std::tm fields{};
  ::gmtime_r(&now, &fields);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &fields);
  return {text, size};
}

std::string source_commit() {
  return VARVE_BENCH_COMMIT;
}

}  // namespace varve::bench
