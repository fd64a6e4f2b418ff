// SPDX-License-Identifier: Apache-2.0
// A target with a planted bug, for tools/fuzz to find: it shows that coverage guides the search,
// that sanitizers are on and that what they find ends the run. Never part of a replay.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kMagic = "VARVE";
  if (size < kMagic.size() + 1) return 0;
  for (std::size_t i = 0; i < kMagic.size(); ++i) {
    if (data[i] != static_cast<std::uint8_t>(kMagic[i])) return 0;
  }
  // The bug: a size that was read is believed.
  const auto table = std::make_unique<volatile std::uint8_t[]>(16);
  table[data[kMagic.size()]] = 1;
  return 0;
}
