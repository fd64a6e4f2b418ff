// SPDX-License-Identifier: Apache-2.0
#include "directory/checksum.hpp"

#include <cstdint>
#include <set>
#include <string>

#include "tests/support/catch.hpp"

namespace varve::directory {
namespace {

constexpr std::string_view kUuid = "6a204bd8-9a5c-4b0a-9d7c-3c1a1f0f5b11";

TEST_CASE("the hash is XXH3-64 of the published test vectors", "[directory][checksum]") {
  CHECK(hash64("") == 0x2d06800538d394c2ULL);
  // These values are in files: a change of any of them is a change of format.
  CHECK(hash64("", 1) != hash64(""));
  CHECK(hash64("varve") == hash64(std::string("varve")));
}

TEST_CASE("every changed bit and every changed length changes the checksum",
          "[directory][checksum]") {
  std::string bytes(300, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  std::set<std::uint64_t> seen = {hash64(bytes, 9)};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      CHECK(seen.insert(hash64(bytes, 9)).second);
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
    }
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(seen.insert(hash64(std::string_view(bytes).substr(0, size), 9)).second);
  }
}

TEST_CASE("a file's seed depends on the index, the kind, and both numbers",
          "[directory][checksum]") {
  const std::uint64_t seed = file_seed(kUuid, ChecksumDomain::MainRun, 3, 4);
  CHECK(seed == file_seed(kUuid, ChecksumDomain::MainRun, 3, 4));
  CHECK(seed != file_seed("another", ChecksumDomain::MainRun, 3, 4));
  CHECK(seed != file_seed(kUuid, ChecksumDomain::DeltaFile, 3, 4));
  CHECK(seed != file_seed(kUuid, ChecksumDomain::MainRun, 4, 3));
  CHECK(seed != file_seed(kUuid, ChecksumDomain::MainRun, 3, 5));
  CHECK(seed != file_seed(kUuid, ChecksumDomain::MainRun, 2, 4));
}

TEST_CASE("every part of a file has a seed of its own", "[directory][checksum]") {
  std::set<std::uint64_t> seen;
  for (std::uint64_t number = 0; number < 8; ++number) {
    const std::uint64_t file = file_seed(kUuid, ChecksumDomain::Log, number);
    for (std::uint64_t offset = 0; offset < 4096; ++offset) {
      CHECK(seen.insert(part_seed(file, offset)).second);
    }
  }
}

}  // namespace
}  // namespace varve::directory
