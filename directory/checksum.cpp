// SPDX-License-Identifier: Apache-2.0
#include "directory/checksum.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string>

#include "directory/bytes.hpp"

namespace varve::directory {

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::uint64_t file_seed(std::string_view uuid, ChecksumDomain domain, std::uint64_t number,
                        std::uint64_t sub_number) noexcept {
  char fields[20];
  store_le(fields, static_cast<std::uint32_t>(domain));
  store_le(fields + 4, number);
  store_le(fields + 12, sub_number);
  return hash64({fields, sizeof fields}, hash64(uuid));
}

}  // namespace varve::directory
