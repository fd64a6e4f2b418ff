// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <stdexcept>
#include <utility>

// Where a build counts what is reached (preset `coverage`), it keeps the counts. Else null.
extern "C" [[gnu::weak]] void __gcov_dump();

namespace varve::test {

// A forked process, driven step by step through two pipes; killed and reaped by the destructor.
// The child never returns to the test's code, and reports through its exit status only.
class ChildProcess {
 public:
  // The child's end of the pipes.
  class Link {
   public:
    Link(int in, int out) : in_(in), out_(out) {}
    void tell_parent() const {
      const char byte = '.';
      if (::write(out_, &byte, 1) != 1) ::_exit(98);
    }
    // Returns when the parent calls proceed(), or is gone.
    void await_parent() const {
      char byte = 0;
      while (::read(in_, &byte, 1) < 0 && errno == EINTR) {
      }
    }

   private:
    int in_, out_;
  };

  explicit ChildProcess(const std::function<int(const Link&)>& body) {
    int to_child[2], from_child[2];
    if (::pipe(to_child) != 0 || ::pipe(from_child) != 0) throw std::runtime_error("pipe failed");
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) {
      ::close(to_child[1]);
      ::close(from_child[0]);
      const int status = run(body, Link(to_child[0], from_child[1]));
      if (__gcov_dump != nullptr) __gcov_dump();
      ::_exit(status);
    }
    ::close(to_child[0]);
    ::close(from_child[1]);
    in_ = from_child[0];
    out_ = to_child[1];
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    if (pid_ > 0) kill();
    ::close(in_);
    ::close(out_);
  }

  [[nodiscard]] ::pid_t pid() const { return pid_; }
  // True when the child called tell_parent(), false when it ended instead.
  [[nodiscard]] bool await_child() const {
    char byte = 0;
    ::ssize_t size = 0;
    while ((size = ::read(in_, &byte, 1)) < 0 && errno == EINTR) {
    }
    return size == 1;
  }
  void proceed() const {
    const char byte = '.';
    if (::write(out_, &byte, 1) != 1) throw std::runtime_error("the child is gone");
  }
  // Dead and reaped when it returns.
  void kill() {
    ::kill(pid_, SIGKILL);
    (void)exit_status();
  }
  // What the body returned; 97 for an exception, 128 and more for a signal.
  [[nodiscard]] int exit_status() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  static int run(const std::function<int(const Link&)>& body, const Link& link) {
    try {
      return body(link);
    } catch (...) {
      return 97;
    }
  }

  ::pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
};

// What `body` returns in a process of its own.
inline int in_child(const std::function<int()>& body) {
  return ChildProcess([&](const ChildProcess::Link&) { return body(); }).exit_status();
}

}  // namespace varve::test
