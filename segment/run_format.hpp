// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "segment/entry.hpp"
#include "segment/run.hpp"

namespace varve::segment {

// RUN: an image at an offset of a file that is a multiple of 4096                   format 1
//
//   blocks               back to back, each a multiple of 64 bytes (segment/block.hpp)
//   separator section    zero-padded to a multiple of 64 bytes
//   filter               a multiple of 64 bytes, maybe none (segment/filter.hpp)
//   footer               128 bytes
//
// SEPARATOR SECTION: what finds a block
//
//   smallest key         varint size, bytes
//   largest key          varint size, bytes
//   and for each block, in order:
//     varint             the block's size in units of 64 bytes; the first begins at 0
//     varint             the block's entry_count
//     separator          varint size, bytes: above the last key of the block before, not above the
//                        first of this one, as short as that allows; of the first block empty
//   zeros                up to the multiple of 64, fewer than 64
// RUN FOOTER, the last bytes of a run                          all integers little-endian
//
//   offset  size  field
//        0     8  magic                "VARVERUN"
//        8     4  format               1; a reader refuses a larger one (Unsupported)
//       12     4  block_size           target bytes of a block; for information
//       16     8  run_size             bytes, this footer included
//       24     8  block_count          >= 1
//       32     8  entry_count          versions, tombstones included
//       40     8  tombstone_count
//       48     8  key_count            distinct keys
//       56     8  raw_size             sum of the sizes of keys and values
//       64     8  sequence_max         largest sequence of an entry
//       72     8  separators_offset    bytes from the start of the run; a multiple of 64
//       80     8  filter_offset        as above; the separator section ends here
//       88     8  reserved             zero
//       96     8  separators_checksum  XXH3-64 of the section, seeded by part_seed(file, offset)
//      104     8  filter_checksum      of the filter, likewise
//      112     8  reserved             zero
//      120     8  footer_checksum      of bytes [0, 120), seeded by part_seed(file, footer offset)
struct RunFooter {
  std::uint32_t block_size = 0;
  std::uint64_t run_size = 0;
  std::uint64_t block_count = 0;
  std::uint64_t entry_count = 0, tombstone_count = 0, key_count = 0;
  std::uint64_t raw_size = 0;
  Sequence sequence_max = 0;
  std::uint64_t separators_offset = 0, filter_offset = 0;
  std::uint64_t separators_checksum = 0, filter_checksum = 0;
  std::uint64_t footer_checksum = 0;  // Filled in by encode_footer() and parse_footer().
};
inline constexpr std::size_t kRunFooterSize = 128;
inline constexpr std::uint32_t kRunFormat = 1;
// Runs start at multiples of this; blocks, sections and the run's size are then aligned to 64.
inline constexpr std::uint64_t kRunAlignment = 4096;

// The footer's bytes; sets footer.footer_checksum. `offset`: of the footer in the file.
[[nodiscard]] std::string encode_footer(RunFooter& footer, std::uint64_t file_seed,
                                        std::uint64_t offset);
// Checks the footer against itself and against `location`, and that every section lies inside the
// run. Requires: bytes.size() == kRunFooterSize. Errors: Corruption, Unsupported.
[[nodiscard]] RunFooter parse_footer(std::string_view bytes, const RunLocation& location,
                                     const std::string& file_name);

// A separator section, parsed. The views point into the section's bytes.
struct RunSeparators {
  std::string_view smallest_key, largest_key;
  std::vector<std::uint32_t> block_offsets;  // In units of 64 bytes; one more than blocks.
  std::vector<std::uint32_t> entry_counts;   // Per block.
  std::vector<std::string_view> separators;  // Per block.
};
// `bytes`: the section, its checksum verified. Allocates in proportion to its size only.
// Errors: Corruption when it contradicts itself or the footer.
[[nodiscard]] RunSeparators parse_separators(std::string_view bytes, const RunFooter& footer,
                                             const RunLocation& location,
                                             const std::string& file_name);

// The shortest string above `below` and not above `above`. Requires: below < above.
[[nodiscard]] std::string_view shortest_separator(std::string_view below, std::string_view above);

[[nodiscard]] std::string hex64(std::uint64_t value);
// A key for a message: quoted, other than printable bytes as \xNN, shortened.
[[nodiscard]] std::string printable_key(std::string_view key);
[[noreturn]] void throw_finding(const std::string& file_name, const RunFinding& finding);

}  // namespace varve::segment
