// SPDX-License-Identifier: Apache-2.0
// Strategy: sized strings, of which those that ascend are fences and all are looked for; a first
// byte tells whether fences may be out of order, as a hostile separator section's cannot be but a
// tree must endure. Invariants: the last fence <= key is found, by every level of instructions; out
// of order, by each level an index below the size.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "segment/fence_tree.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve::segment;
  varve::directory::ByteReader reader({reinterpret_cast<const char*>(data), size});
  const bool in_order = (reader.le<std::uint8_t>() & 1) == 0;
  std::vector<std::string_view> keys, fences;
  while (reader.ok() && reader.remaining() > 0) {
    const std::string_view key = reader.sized();
    if (!reader.ok()) break;
    keys.push_back(key);
    if (!in_order || fences.empty() || key > fences.back()) fences.push_back(key);
  }
  if (fences.empty()) return 0;
  const FenceTree tree(fences);
  VARVE_CHECK(tree.size() == fences.size());
  for (std::size_t i = 0; i < fences.size(); ++i) VARVE_CHECK(tree.fence(i) == fences[i]);
  for (const std::string_view key : keys) {
    const std::size_t found = tree.find(key);
    const std::size_t in_halves = tree.find_in(tree.locate(key), key);
    VARVE_CHECK(found < fences.size() && in_halves < fences.size());
    for (int level = 0; level <= static_cast<int>(simd_level()); ++level) {
      const std::size_t by_level = tree.find(static_cast<SimdLevel>(level), key);
      VARVE_CHECK(in_order ? by_level == found : by_level < fences.size());
    }
    if (!in_order) continue;
    VARVE_CHECK(in_halves == found);
    const auto above = std::upper_bound(fences.begin(), fences.end(), key);
    VARVE_CHECK(found ==
                static_cast<std::size_t>(above == fences.begin() ? 0 : above - fences.begin() - 1));
  }
  return 0;
}
