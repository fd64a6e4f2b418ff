// SPDX-License-Identifier: Apache-2.0
#include "lib/key_lookups.hpp"

#include <algorithm>
#include <array>

#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "segment/view.hpp"

namespace varve::internal {

std::size_t find_keys(const RouteMap& routes, std::span<const std::string_view> keys,
                      segment::Sequence at, std::span<std::optional<std::string>> values) {
  constexpr std::size_t kGroupSize = 8;
  std::array<segment::Lookup, kGroupSize> group;
  std::size_t found_count = 0;
  for (std::size_t begin = 0; begin < keys.size(); begin += kGroupSize) {
    const std::size_t count = std::min(kGroupSize, keys.size() - begin);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view key = keys[begin + i];
      group[i].view = &routes.find(key).view();
      group[i].key = key;
      group[i].hash = directory::hash64(key);
    }
    segment::find_together(std::span(group).first(count), at);
    for (std::size_t i = 0; i < count; ++i) {
      std::optional<std::string>& value =
          values[VARVE_MUTANT("multi_get.group_forgotten") ? i : begin + i];
      if (!group[i].found.found) {
        value.reset();
        continue;
      }
      if (!value) value.emplace();
      value->assign(group[i].found.value);
      ++found_count;
    }
  }
  return found_count;
}

}  // namespace varve::internal
