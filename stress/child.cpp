// SPDX-License-Identifier: Apache-2.0
#include "stress/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "stress/failure.hpp"

namespace varve::stress {
namespace {

using Clock = std::chrono::steady_clock;

// In the child: nothing here may allocate badly, but it has one thread, so that all may.
[[noreturn]] void run_program(const ChildOptions& options, pid_t parent, int output) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kCannotRun);  // It died before we asked.
  if (output >= 0 && ::dup2(output, STDOUT_FILENO) < 0) ::_exit(kCannotRun);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE}) ::signal(number, SIG_DFL);
  for (const auto& [name, value] : options.environment) {
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  std::vector<char*> arguments;
  for (const std::string& argument : options.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  std::fprintf(stderr, "varve-stress: %s: %s\n", arguments[0], std::strerror(errno));
  ::_exit(kCannotRun);
}

}  // namespace

Child::Child(const ChildOptions& options) {
  std::array<int, 2> ends = {-1, -1};
  if (options.read_output && ::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) run_program(options, parent, ends[1]);
  if (ends[1] >= 0) ::close(ends[1]);
  output_fd_ = ends[0];
  if (pid_ < 0) {
    if (output_fd_ >= 0) ::close(output_fd_);
    throw_errno("fork");
  }
  // Both sides do it, so that neither can come too late.
  ::setpgid(pid_, pid_);
  if (output_fd_ >= 0) ::fcntl(output_fd_, F_SETFL, O_NONBLOCK);
}

Child::~Child() {
  kill();
  if (output_fd_ >= 0) ::close(output_fd_);
}

std::optional<int> Child::poll() {
  if (status_) return status_;
  int status = 0;
  const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == pid_) status_ = status;
  if (ended < 0 && errno != EINTR) throw_errno("waitpid");
  return status_;
}

std::optional<int> Child::wait(std::chrono::milliseconds patience) {
  const Clock::time_point end = Clock::now() + patience;
  while (!poll()) {
    if (patience.count() != 0 && Clock::now() >= end) return std::nullopt;
    pause_for(std::chrono::milliseconds(1));
  }
  return status_;
}

bool Child::stop() {
  if (poll()) return false;
  ::kill(-pid_, SIGSTOP);
  int status = 0;
  while (true) {
    const pid_t changed = ::waitpid(pid_, &status, WUNTRACED);
    if (changed == pid_) break;
    if (errno != EINTR) throw_errno("waitpid");
  }
  if (WIFSTOPPED(status)) return true;
  status_ = status;
  return false;
}

void Child::kill() {
  if (pid_ <= 0) return;
  // What it started may outlive it, so the group is killed in any case; its number stays taken as
  // long as there is anybody in it.
  ::kill(-pid_, SIGKILL);
  while (!status_) {
    int status = 0;
    if (::waitpid(pid_, &status, 0) == pid_)
      status_ = status;
    else if (errno != EINTR)
      return;
  }
}

std::string status_text(int status) {
  if (WIFEXITED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
  if (WIFSIGNALED(status)) {
    return fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  }
  return fmt::format("wait status {}", status);
}

void pause_for(std::chrono::microseconds time) {
  struct timespec left {
    .tv_sec = time.count() / 1'000'000, .tv_nsec = time.count() % 1'000'000 * 1'000
  };
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

}  // namespace varve::stress
