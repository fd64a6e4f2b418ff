// SPDX-License-Identifier: Apache-2.0
#include "tools/stop_signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

namespace varve::tools {

namespace {

// A handler knows nothing but globals.
std::atomic<int> pipe_end{-1};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_stop_signal(int) {
  const int saved = errno;
  const char byte = 0;
  // The pipe is empty, so this neither waits nor fails.
  [[maybe_unused]] const auto written = ::write(pipe_end.load(std::memory_order_relaxed), &byte, 1);
  errno = saved;
}

}  // namespace

StopSignals::StopSignals() {
  if (::pipe(fds_) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  for (const int fd : fds_) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
  }
  pipe_end.store(fds_[1], std::memory_order_relaxed);
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &old_int_);
  ::sigaction(SIGTERM, &action, &old_term_);
}

StopSignals::~StopSignals() {
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
  pipe_end.store(-1, std::memory_order_relaxed);
  ::close(fds_[0]);
  ::close(fds_[1]);
}

}  // namespace varve::tools
