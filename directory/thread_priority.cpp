// SPDX-License-Identifier: Apache-2.0
#include "directory/thread_priority.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace varve::directory {
namespace {

constexpr int kNicest = 19;

id_t thread_id() noexcept {  // Linux has a nice value for each thread.
  return static_cast<id_t>(::syscall(SYS_gettid));
}

}  // namespace

int thread_nice() noexcept {
  errno = 0;
  const int nice = ::getpriority(PRIO_PROCESS, thread_id());
  return nice == -1 && errno != 0 ? 0 : nice;
}

void make_thread_nicer(int by) noexcept {
  if (by == 0) return;
  static_cast<void>(
      ::setpriority(PRIO_PROCESS, thread_id(), std::min(thread_nice() + by, kNicest)));
}

}  // namespace varve::directory
