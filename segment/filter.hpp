// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace varve::segment {

// Placeholder signatures: the owner of filter.cpp completes the comments.
// A split-block Bloom filter of 512-bit blocks over XXH3-64 key hashes: one cache line per probe.
// Encodes the filter of `hashes` (one per distinct key) at `bits_per_key`; empty for 0 bits.
[[nodiscard]] std::string build_filter(std::span<const std::uint64_t> hashes, double bits_per_key);

// A view of an encoded filter. Empty: may_contain() is always true.
class Filter {
 public:
  Filter() = default;
  // Requires: bytes.size() is a multiple of 64 and 64-byte aligned in memory (else see parse).
  explicit Filter(std::string_view bytes) noexcept;
  [[nodiscard]] bool empty() const noexcept { return block_count_ == 0; }
  [[nodiscard]] bool may_contain(std::uint64_t hash) const noexcept;
  void prefetch(std::uint64_t hash) const noexcept;

 private:
  const std::uint64_t* blocks_ = nullptr;
  std::uint64_t block_count_ = 0;
};

}  // namespace varve::segment
