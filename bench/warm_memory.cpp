// SPDX-License-Identifier: Apache-2.0
#include "bench/warm_memory.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

namespace varve::bench {
namespace {

[[noreturn]] void touch(std::uint64_t size) {
  const auto page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) ::_exit(EXIT_FAILURE);
  auto* const bytes = static_cast<volatile char*>(memory);
  for (std::uint64_t at = 0; at < size; at += page_size) bytes[at] = 1;
  ::_exit(EXIT_SUCCESS);
}

}  // namespace

void warm_memory(std::uint64_t size) {
  if (size == 0) return;
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) touch(size);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
  }
  if (status != 0) {
    throw std::runtime_error("--warm-memory: " + std::to_string(size) +
                             " bytes of memory could not be had");
  }
}

}  // namespace varve::bench
