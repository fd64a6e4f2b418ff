// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "varve/directory_lock.hpp"

namespace varve::directory {

// LOCK RECORD, the whole of the file LOCK                  format 1; all integers little-endian
//
//   offset  size  field
//        0     8  magic               "VARVELCK"
//        8     4  format              1
//       12     1  state               1 closed, 2 open
//       13     1  healthy             0 or 1; see LockRecord::healthy
//       14     1  mode                0 exclusive, 1 shared
//       15     1  primitive           1: flock on the directory, then an open-file-description lock
//       16     8  write_number        ascends with every rewrite
//       24     8  writer_epoch        of the manifest; 0 before the first
//       32     8  pid                 in the owner's pid namespace; in [1, 2^31)
//       40     8  process_start_ticks /proc/PID/stat field 22: since boot, immune to clock steps
//       48     8  pid_namespace       inode of /proc/self/ns/pid; 0 where unknown
//       56     8  since               seconds since 1970; for people
//       64    40  boot_id             text, padded with zeros
//      104    64  host                text, padded with zeros
//      168    64  program             text, padded with zeros
//      232   272  reserved            zero
//      504     8  checksum            XXH3-64 of bytes [0, 504), seeded with ChecksumDomain
//
// One 512-byte sector, rewritten in place by its owner. It explains and never decides: any bytes at
// all may be here without harm. Bytes 1024 and 1025 of the file are locked, never written.
inline constexpr std::size_t kLockRecordSize = 512;

struct LockRecord {
  enum class State : std::uint8_t { Closed = 1, Open = 2 };

  State state = State::Closed;
  bool healthy = true;  // False while the owner creates, recovers or closes.
  LockMode mode = LockMode::Exclusive;
  std::uint64_t write_number = 0;
  std::uint64_t writer_epoch = 0;
  std::int64_t pid = 0;
  std::uint64_t process_start_ticks = 0;
  std::uint64_t pid_namespace = 0;
  std::int64_t since_unix_seconds = 0;
  std::string boot_id;
  std::string host;
  std::string program;

  friend bool operator==(const LockRecord&, const LockRecord&) = default;
};

// Texts are cut to their fields; bytes that are not printable ASCII become '?', since they end up
// in messages and on terminals.
[[nodiscard]] std::array<char, kLockRecordSize> encode(const LockRecord& record) noexcept;
// Nothing when the bytes are not exactly one valid record of a known format. Untrusted input.
[[nodiscard]] std::optional<LockRecord> decode_lock_record(std::string_view bytes);

// What a caller gets to see of a record.
[[nodiscard]] LockHolder to_holder(const LockRecord& record);

}  // namespace varve::directory
