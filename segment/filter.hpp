// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "segment/cpu.hpp"

namespace varve::segment {

// FILTER: a split-block Bloom filter over 64-bit key hashes (directory::hash64).
//
//   offset  size  field
//        0    64  block 0     8 lanes of 64 bits, little-endian
//       64    64  block 1, and so on; nothing before, between or behind
//
// A key sets one bit in each of the 8 lanes of one block, so a probe touches one cache line:
//   block      (hash >> 32) * block_count >> 32
//   lane i     bit (low 32 bits of hash) * factor[i] mod 2^32 >> 26, factors in filter.cpp
// 12 bits a key give 0.4 % false positives, 10 bits 1.1 %, 8 bits 2.9 %. No false negatives.
inline constexpr std::size_t kFilterBlockSize = 64;  // Bytes.

// Bytes of the filter of `key_count` keys; 0 when there are none, or no bits for them.
[[nodiscard]] std::size_t filter_size(std::uint64_t key_count, double bits_per_key) noexcept;

// Adds keys to a filter: zeros of filter_size() bytes at first. Adding one twice changes nothing.
void add_to_filter(std::span<char> filter, std::span<const std::uint64_t> hashes) noexcept;
// The same by the instructions of one level, for tests. Requires: level <= simd_level().
void add_to_filter(SimdLevel level, std::span<char> filter,
                   std::span<const std::uint64_t> hashes) noexcept;

// The filter of `hashes`, one per distinct key; empty when filter_size() is 0.
[[nodiscard]] std::string build_filter(std::span<const std::uint64_t> hashes, double bits_per_key);

// A view of an encoded filter; an empty one excludes nothing.
// Ownership: the bytes stay the caller's. Thread-safety: immutable.
class Filter {
 public:
  Filter() = default;
  // Requires: bytes.size() is a multiple of kFilterBlockSize, which readers of untrusted bytes
  // check first. Any alignment is correct; at 64 bytes a probe touches one cache line.
  explicit Filter(std::string_view bytes) noexcept
      : blocks_(bytes.data()), block_count_(bytes.size() / kFilterBlockSize) {}

  [[nodiscard]] bool empty() const noexcept { return block_count_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept {  // Bytes.
    return static_cast<std::size_t>(block_count_) * kFilterBlockSize;
  }
  // False: no key with this hash was added.
  [[nodiscard]] bool may_contain(std::uint64_t hash) const noexcept {
    return block_count_ == 0 || probe(block_of(hash), hash);
  }
  // The same by the instructions of one level, for tests. Requires: level <= simd_level().
  [[nodiscard]] bool may_contain(SimdLevel level, std::uint64_t hash) const noexcept;
  // Fetches what may_contain(hash) will touch. Prefetch all filters of a segment, then ask them.
  void prefetch(std::uint64_t hash) const noexcept {
    if (block_count_ != 0) __builtin_prefetch(block_of(hash));
  }

 private:
  [[nodiscard]] static bool probe(const char* block, std::uint64_t hash) noexcept;
  [[nodiscard]] const char* block_of(std::uint64_t hash) const noexcept {
    return blocks_ + ((hash >> 32) * block_count_ >> 32) * kFilterBlockSize;
  }

  const char* blocks_ = nullptr;
  std::uint64_t block_count_ = 0;  // At most 2^32 - 1.
};

}  // namespace varve::segment
