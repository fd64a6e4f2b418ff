// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(__linux__)
#include <malloc.h>
#include <sys/prctl.h>
#endif

namespace varve::test {

// Each state is a few files of 64 KiB, and each recovery has a memory pool of its own: without
// this, half of the time goes into fresh pages, huge ones among them.
inline void prepare_process_for_sweeps() noexcept {
#if defined(__linux__)
  static_cast<void>(::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
  static_cast<void>(::mallopt(M_MMAP_THRESHOLD, 64 << 20));
  static_cast<void>(::mallopt(M_TRIM_THRESHOLD, 256 << 20));
#endif
}

}  // namespace varve::test
