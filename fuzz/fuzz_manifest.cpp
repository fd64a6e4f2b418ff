// SPDX-License-Identifier: Apache-2.0
// Strategy: the mutator changes bytes, or copies, moves and leaves out parts of a manifest that is
// sound, and then corrects magic, size and checksum, so that what they cover is reached: the fields
// and the rules between them. Invariants: a manifest is decoded to something that encodes to the
// same bytes, or is refused as Corruption or Unsupported; nothing else is thrown, and no rule of
// the manifest is broken by what was decoded.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "lib/manifest.hpp"
#include "varve/error.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace {

using namespace varve::internal;

constexpr std::size_t kSizeMin = 112;

std::string seed_manifest() {
  Manifest manifest;
  manifest.uuid = "u";
  manifest.last_sequence = 100;
  manifest.next_segment_id = manifest.next_delta_number = manifest.next_log_number = 9;
  manifest.logs = {{.number = 1, .sealed_end = 0, .synced_end = 4096}};
  SegmentRecord first, second;
  first.id = 1;
  first.main = RunRecord{.kind = RunRecord::Kind::Main, .file_number = first.id, .size = 100};
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
  varve::directory::store_le(bytes + size - 8, manifest_checksum({bytes, size - 8}));
}

// What changes of bytes seldom come to, since sizes and counts before it would have to agree. A
// manifest has one segment at least.
void rearrange(Manifest& manifest, std::uint32_t choice) {
  std::vector<SegmentRecord>& segments = manifest.segments;
  const std::size_t one = choice / 8 % segments.size(), other = choice / 64 % segments.size();
  SegmentRecord& segment = segments[one];
  switch (choice % 8) {
    case 0:
      segments.push_back(segment);
      segments.back().fence += segments[other].fence + "z";
      break;
    case 1:
      std::swap(segment, segments[other]);
      break;
    case 2: {
      const std::vector<RunRecord> slices = segment.slices;
      segments[other].slices.insert(segments[other].slices.begin(), slices.begin(), slices.end());
      break;
    }
    case 3:
      segments[other].main = segment.main;
      break;
    case 4:
      if (segment.main) segment.slices.push_back(*segment.main);
      if (!segment.slices.empty()) segment.main = segment.slices.front();
      break;
    case 5:
      std::reverse(segment.range_tombstones.begin(), segment.range_tombstones.end());
      segment.range_tombstones.push_back(
          {.from = segment.fence, .to = segments[other].fence, .sequence = choice / 512 % 128});
      break;
    case 6:
      manifest.logs.push_back({.number = choice / 512 % 16});
      break;
    default:
      segments.erase(segments.begin() + static_cast<std::ptrdiff_t>(one));
      break;
  }
}

// Nothing when the bytes are no sound manifest.
std::string rearranged(std::string_view bytes, std::uint32_t choice) {
  try {
    Manifest manifest = decode_manifest(bytes, "MANIFEST");
    rearrange(manifest, choice);
    return encode_manifest_unchecked(manifest);
  } catch (const varve::Error&) {
    return {};
  }
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
  if (seed % 4 == 2) {
    const std::string other = rearranged({reinterpret_cast<const char*>(data), size}, seed / 64);
    if (!other.empty() && other.size() <= size_max) {
      std::memcpy(data, other.data(), other.size());
      return other.size();
    }
  }
  size = LLVMFuzzerMutate(data, size, size_max);
  if (size >= kSizeMin && seed % 16 != 1) repair(data, size);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const Manifest manifest = decode_manifest(bytes, "MANIFEST");
    VARVE_CHECK(!find_manifest_problem(manifest));
    VARVE_CHECK(encode_manifest(manifest) == bytes);
  } catch (const varve::Error& error) {
    VARVE_CHECK(error.code() == varve::ErrorCode::Corruption ||
                error.code() == varve::ErrorCode::Unsupported);
  }
  return 0;
}
