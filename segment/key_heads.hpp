// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "directory/bytes.hpp"
#include "segment/cpu.hpp"

namespace varve::segment {

// KEY HEADS of a block: one 4-byte number per entry, ascending, whose order is the order of the
// first four bytes of the entries' keys behind the block's prefix.
//
//   offset              size  field
//        0     4 per entry    head       little-endian; key_head() of the key's suffix
//  4 * count   up to 60       padding    0xFF up to a multiple of 64 bytes
//
// The padding lets SIMD read whole groups of 16 heads. Equal heads leave the order of their keys
// open: the caller compares suffixes within the range that equal_range() gives.

inline constexpr std::size_t kHeadGroup = 16;  // Heads per group.
inline constexpr std::size_t kHeadGroupSize = kHeadGroup * sizeof(std::uint32_t);

// Bytes of the padded array of `count` heads.
[[nodiscard]] constexpr std::size_t key_heads_size(std::size_t count) noexcept {
  return (count + kHeadGroup - 1) / kHeadGroup * kHeadGroupSize;
}

// The first four bytes, big-endian, as if zeros followed a shorter suffix.
[[nodiscard]] inline std::uint32_t key_head(std::string_view suffix) noexcept {
  if (suffix.size() >= sizeof(std::uint32_t)) {
    return directory::load_be<std::uint32_t>(suffix.data());
  }
  std::uint32_t head = 0;
  for (std::size_t i = 0; i < suffix.size(); ++i) {
    head |= std::uint32_t{static_cast<std::uint8_t>(suffix[i])} << (24 - 8 * i);
  }
  return head;
}

// Writes key_heads_size(heads.size()) bytes.
void store_key_heads(char* to, std::span<const std::uint32_t> heads) noexcept;

// Entries [first, last) of a block. Invariant: first <= last <= the block's entry count.
struct HeadRange {
  std::size_t first = 0, last = 0;
  friend bool operator==(const HeadRange&, const HeadRange&) = default;
};

// The entries whose head equals `head`; empty, at the place where such an entry would stand, when
// there is none. `heads` is a padded array as above, at any alignment. Heads out of order give a
// wrong range, but a valid one.
[[nodiscard]] HeadRange equal_range(const char* heads, std::size_t count,
                                    std::uint32_t head) noexcept;
// The same by the instructions of one level, for tests. Requires: level <= simd_level().
[[nodiscard]] HeadRange equal_range(SimdLevel level, const char* heads, std::size_t count,
                                    std::uint32_t head) noexcept;

}  // namespace varve::segment
