// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace varve::test {

// The bytes of tests/golden/<name>, which were written once and never change. With
// VARVE_WRITE_GOLDEN set in the environment, an absent file is first written from `fresh`: for a
// new format only.
[[nodiscard]] inline std::string golden(std::string_view name, std::string_view fresh) {
  const std::string path = std::string(VARVE_SOURCE_DIR "/tests/golden/").append(name);
  if (std::getenv("VARVE_WRITE_GOLDEN") != nullptr && !std::ifstream(path)) {
    std::ofstream(path, std::ios::binary) << fresh;
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("no golden file " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace varve::test
