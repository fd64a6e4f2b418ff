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
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "stress/failure.hpp"

namespace varve::stress {
namespace {

using Clock = std::chrono::steady_clock;

// The two ends of a pipe; an exec closes both.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe");
    read_end = ends[0];
    write_end = ends[1];
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    if (read_end >= 0) ::close(read_end);
    close_write_end();
  }
  void close_write_end() noexcept {
    if (write_end >= 0) ::close(std::exchange(write_end, -1));
  }
  int read_end = -1, write_end = -1;
};

// In the child, which has one thread, as its parent has. `refusal` gets errno if it cannot run.
[[noreturn]] void run_program(const ChildOptions& options, pid_t parent, int output, int refusal) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const bool orphaned = ::getppid() != parent;  // It died before we asked.
  if (!orphaned && (output < 0 || ::dup2(output, STDOUT_FILENO) >= 0)) {
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
  }
  const int error = errno;
  const ssize_t told = ::write(refusal, &error, sizeof error);
  ::_exit(told == sizeof error ? 127 : 126);
}

constexpr auto kGroupTimeMax = std::chrono::seconds(60);

// "pid (name) state ppid pgrp ...", where the name may hold anything.
struct TaskStatus {
  char state = '?';
  pid_t group = 0;
};
std::optional<TaskStatus> read_status(const std::filesystem::path& stat) {
  std::ifstream file(stat);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;  // It is gone.
  TaskStatus status;
  pid_t parent = 0;
  std::istringstream(text.substr(name_end + 1)) >> status.state >> parent >> status.group;
  return status;
}

// Whether every thread of every process of the group is in one of `states`, as /proc says.
bool group_is_in(pid_t group, std::string_view states) {
  std::error_code gone;  // A process that ends while it is looked at is no error.
  for (const auto& process : std::filesystem::directory_iterator("/proc", gone)) {
    if (process.path().filename().string().find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    const auto status = read_status(process.path() / "stat");
    if (!status || status->group != group) continue;
    if (states.find(status->state) == std::string_view::npos) return false;
    for (const auto& thread : std::filesystem::directory_iterator(process.path() / "task", gone)) {
      const auto of_thread = read_status(thread.path() / "stat");
      if (of_thread && states.find(of_thread->state) == std::string_view::npos) return false;
    }
  }
  return true;
}

// Signals reach the members of a group one after the other.
void await_group(pid_t group, std::string_view states, const char* what) {
  const Clock::time_point end = Clock::now() + kGroupTimeMax;
  while (!group_is_in(group, states)) {
    if (Clock::now() >= end) throw Obstacle(fmt::format("process group {} {}", group, what));
    pause_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

Child::Child(const ChildOptions& options) {
  Pipe refusal, output;
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    run_program(options, parent, options.read_output ? output.write_end : -1, refusal.write_end);
  }
  if (pid_ < 0) throw_errno("fork");
  // Both sides do it, so that neither can come too late.
  ::setpgid(pid_, pid_);
  refusal.close_write_end();
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(refusal.read_end, &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got != 0) {  // Nothing comes when the program runs.
    end();
    errno = error;
    throw_errno(options.arguments[0].c_str());
  }
  if (options.read_output) {
    output_fd_ = std::exchange(output.read_end, -1);
    ::fcntl(output_fd_, F_SETFL, O_NONBLOCK);
  }
}

Child::~Child() {
  end();
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
  if (WIFSTOPPED(status)) {
    await_group(pid_, "TtZX", "does not stop");
    return true;
  }
  status_ = status;
  return false;
}

void Child::kill() {
  end();
  await_group(pid_, "ZX", "does not end");
}

void Child::end() noexcept {
  // What it started may outlive it, so the group is killed in any case; its number stays taken as
  // long as there is anybody in it.
  if (pid_ > 0) ::kill(-pid_, SIGKILL);
  while (!status_) {
    int status = 0;
    const pid_t ended = ::waitpid(pid_, &status, 0);
    if (ended == pid_) status_ = status;
    if (ended < 0 && errno != EINTR) return;
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
