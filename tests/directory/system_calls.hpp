// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>

namespace varve::test {

// The calls that locking and syncing make of the C library. An executable that links
// system_calls.cpp has them go through there, where a test lets some of them fail.
enum class SystemCall {
  Fcntl,  // Of open-file-description locks only: F_OFD_SETLK and F_OFD_GETLK.
  Fdatasync,
  Flock,
  Fstat,
  Fstatat,
  Fstatfs,
  Fsync,
  Madvise,
  Mkdir,
  Openat,
  Pread,
  Pwrite,
  Renameat2,
};

inline constexpr int kAlways = std::numeric_limits<int>::max();
// As error numbers, where the call succeeds after all:
inline constexpr int kShort = 0;    // Pwrite: half of the bytes are written.
inline constexpr int kNetwork = 0;  // Fstatfs: it is NFS.

// From its construction to its end `call` fails with this errno, after `skipped` calls that do not,
// `count` times. One at a time. Thread-safety: none.
class Refusal {
 public:
  Refusal(SystemCall call, int error_number, int skipped = 0, int count = 1);
  Refusal(const Refusal&) = delete;
  Refusal& operator=(const Refusal&) = delete;
  ~Refusal();
  [[nodiscard]] int refused() const;  // How often it has failed.
};

}  // namespace varve::test
