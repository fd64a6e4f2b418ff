// SPDX-License-Identifier: Apache-2.0
// Strategy: hashes and a filter's bytes, each as they come. Invariants: probing any filter stays in
// its bytes and gives the same by every level of instructions; a filter has every hash that was
// added, by whatever level, and the levels build the same bytes.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "segment/filter.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve::segment;
  if (size < 2) return 0;
  const std::size_t hash_count = data[0] % 16U;
  const double bits_per_key = data[1] / 8.0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < hash_count && 8 * i + 8 <= bytes.size(); ++i) {
    hashes.push_back(varve::directory::load_le<std::uint64_t>(bytes.data() + 8 * i));
  }
  // Of exactly its size, so that a sanitizer sees the first byte too far.
  const std::size_t filter_size = bytes.size() / kFilterBlockSize * kFilterBlockSize;
  const auto copy = std::make_unique<char[]>(filter_size);
  bytes.copy(copy.get(), filter_size);
  const Filter given({copy.get(), filter_size});
  const std::string built = build_filter(hashes, bits_per_key);
  const Filter filter(built);
  for (int level = 0; level <= static_cast<int>(simd_level()); ++level) {
    const auto by = static_cast<SimdLevel>(level);
    std::string same(built.size(), '\0');
    add_to_filter(by, {same.data(), same.size()}, hashes);
    VARVE_CHECK(same == built);
    for (const std::uint64_t hash : hashes) {
      VARVE_CHECK(filter.may_contain(by, hash) && filter.may_contain(hash));
      VARVE_CHECK(given.may_contain(by, hash) == given.may_contain(hash));
    }
  }
  return 0;
}
