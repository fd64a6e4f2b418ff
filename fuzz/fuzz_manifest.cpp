// SPDX-License-Identifier: Apache-2.0
// Strategy: the mutator repairs magic, size and checksum, so that the fields behind them are
// reached. Invariants: a manifest is decoded to something that encodes to the same bytes, or is
// refused as Corruption or Unsupported; nothing else is thrown, and no rule of the manifest is
// broken by what was decoded.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "lib/manifest.hpp"
#include "varve/error.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace {

constexpr std::size_t kSizeMin = 112;

std::string seed_manifest() {
  varve::internal::Manifest manifest;
  manifest.uuid = "u";
  manifest.last_sequence = 100;
  manifest.next_segment_id = manifest.next_delta_number = manifest.next_log_number = 9;
  manifest.logs = {{.number = 1, .sealed_end = 0, .synced_end = 4096}};
  varve::internal::SegmentRecord first, second;
  first.main = varve::internal::RunRecord{
      .kind = varve::internal::RunRecord::Kind::Main, .file_number = 1, .size = 100};
  first.slices = {{.file_number = 5, .size = 100, .last_sequence = 50}};
  first.range_tombstones = {{.from = "a", .to = "c", .sequence = 30}};
  second.id = 2;
  second.fence = "m";
  manifest.segments = {first, second};
  return encode_manifest(manifest);
}

void repair(std::uint8_t* data, std::size_t size) {
  std::memcpy(data, "VARVEMAN\1\0\0\0", 12);
  char* bytes = reinterpret_cast<char*>(data);
  varve::directory::store_le(bytes + 16, std::uint64_t{size});
  varve::directory::store_le(bytes + size - 8,
                             varve::internal::manifest_checksum({bytes, size - 8}));
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned seed) {
  if (size < kSizeMin || seed % 64 == 0) {
    const std::string fresh = seed_manifest();
    if (fresh.size() > size_max) return LLVMFuzzerMutate(data, size, size_max);
    std::memcpy(data, fresh.data(), fresh.size());
    size = fresh.size();
  }
  size = LLVMFuzzerMutate(data, size, size_max);
  if (size >= kSizeMin && seed % 16 != 1) repair(data, size);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const auto manifest = varve::internal::decode_manifest(bytes, "MANIFEST");
    VARVE_CHECK(!find_manifest_problem(manifest));
    VARVE_CHECK(encode_manifest(manifest) == bytes);
  } catch (const varve::Error& error) {
    VARVE_CHECK(error.code() == varve::ErrorCode::Corruption ||
                error.code() == varve::ErrorCode::Unsupported);
  }
  return 0;
}
