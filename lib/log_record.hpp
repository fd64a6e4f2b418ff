// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "directory/bytes.hpp"

namespace varve::internal {

// LOG RECORD                                              at an offset that is a multiple of 8
//
//   offset  size  field
//        0     8  checksum       XXH3-64 of bytes [8, size), seeded with (uuid, log number, offset)
//        8     4  payload_size   bytes
//       12     4  tag            upper half of that seed, lowest bit set: never 0, and as good as
//                                never right in a recycled file's old records
//       16     8  sequence       above that of the record before it
//       24     -  payload        the operations of one batch (log_format.hpp)
//        -   0-7  zeros up to a multiple of 8
//
// The tag lets a reader look for records at every position without hashing at each.
struct LogRecordHeader {
  std::uint64_t checksum;
  std::uint32_t payload_size, tag;
  std::uint64_t sequence;
};

[[nodiscard]] constexpr std::uint32_t log_record_tag(std::uint64_t record_seed) noexcept {
  return static_cast<std::uint32_t>(record_seed >> 32) | 1U;
}

[[nodiscard]] inline LogRecordHeader load_log_record_header(const char* from) noexcept {
  return {.checksum = directory::load_le<std::uint64_t>(from),
          .payload_size = directory::load_le<std::uint32_t>(from + 8),
          .tag = directory::load_le<std::uint32_t>(from + 12),
          .sequence = directory::load_le<std::uint64_t>(from + 16)};
}

}  // namespace varve::internal
