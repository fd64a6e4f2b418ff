// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace varve::directory {

// XXH3-64 of the bytes. The only hash of the library: checksums (seeded), filters, fingerprints.
[[nodiscard]] std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0) noexcept;

// What kind of file a checksum belongs to; part of every seed, so that bytes of one kind never pass
// as another's.
enum class ChecksumDomain : std::uint32_t {
  Manifest = 1,
  MainRun = 2,
  DeltaFile = 3,
  Log = 4,
  LockRecord = 5,
  ResumeToken = 6,
};

// Seeds for the checksums of one file: bound to the index (uuid), the kind and the file's numbers,
// so that a block of a sibling file, of another index or from another place is never valid.
[[nodiscard]] std::uint64_t file_seed(std::string_view uuid, ChecksumDomain domain,
                                      std::uint64_t number, std::uint64_t sub_number = 0) noexcept;
// The seed of a part of that file at `offset`.
[[nodiscard]] inline std::uint64_t part_seed(std::uint64_t file_seed,
                                             std::uint64_t offset) noexcept {
  std::uint64_t x = file_seed ^ (offset + 0x9e3779b97f4a7c15ULL + (file_seed << 6));
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  return x;
}

}  // namespace varve::directory
