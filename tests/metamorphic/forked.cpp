// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/forked.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "tests/support/temporary_directory.hpp"

namespace varve::test::metamorphic {
namespace {

void check(bool done, const char* what) {
  if (!done) throw std::system_error(errno, std::generic_category(), what);
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ::ssize_t size = ::write(file, bytes.data(), bytes.size());
    if (size < 0 && errno != EINTR) return false;
    if (size > 0) bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

std::string read_to_end(int file) {
  std::string bytes;
  std::array<char, 4096> piece;
  while (true) {
    const ::ssize_t size = ::read(file, piece.data(), piece.size());
    if (size == 0) return bytes;
    check(size > 0 || errno == EINTR, "read from the child");
    if (size > 0) bytes.append(piece.data(), static_cast<std::size_t>(size));
  }
}

// The child's end: neither the parent's signal handlers nor its core files, and an end in any case.
[[noreturn]] void run_child(const std::function<std::string()>& body, std::chrono::seconds limit,
                            const std::string& temporary, int out) {
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
    static_cast<void>(std::signal(number, SIG_DFL));
  }
  const ::rlimit no_core{0, 0};
  static_cast<void>(::setrlimit(RLIMIT_CORE, &no_core));
  ::alarm(static_cast<unsigned>(limit.count()));
  try {
    if (::setenv("TMPDIR", temporary.c_str(), 1) != 0) ::_exit(96);
    const std::string text = body();
    ::_exit(write_all(out, text) ? 0 : 98);
  } catch (...) {
    ::_exit(97);
  }
}

}  // namespace

ForkedResult run_forked(const std::function<std::string()>& body, std::chrono::seconds limit) {
  const TemporaryDirectory temporary;  // Removed here, as the child may not get to it.
  std::array<int, 2> ends = {-1, -1};
  check(::pipe(ends.data()) == 0, "pipe");
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    run_child(body, limit, temporary.path().string(), ends[1]);
  }
  ::close(ends[1]);
  check(child > 0, "fork");
  ForkedResult result;
  result.text = read_to_end(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) check(errno == EINTR, "waitpid");
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace varve::test::metamorphic
