// SPDX-License-Identifier: Apache-2.0
#include "directory/memory_barrier.hpp"

#include <cerrno>

#include "directory/check.hpp"

#if defined(__linux__) && __has_include(<linux/membarrier.h>)
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#define VARVE_HAS_MEMBARRIER 1
#else
#define VARVE_HAS_MEMBARRIER 0
#endif

namespace varve::directory {

#if VARVE_HAS_MEMBARRIER

namespace {
// Leaves errno as it was: these calls happen inside others that know nothing of them.
bool membarrier(int command) noexcept {
  const int saved = errno;
  const bool done = ::syscall(SYS_membarrier, command, 0, 0) == 0;
  errno = saved;
  return done;
}
}  // namespace

bool register_expedited_barrier() noexcept {
  return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

void expedited_barrier() noexcept {
  VARVE_CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
}

#else

bool register_expedited_barrier() noexcept {
  return false;
}

void expedited_barrier() noexcept {
  VARVE_CHECK(!"there is no membarrier here");
}

#endif

}  // namespace varve::directory
