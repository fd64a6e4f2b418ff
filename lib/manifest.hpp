// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/file_names.hpp"
#include "segment/entry.hpp"
#include "segment/run_record.hpp"

namespace varve::internal {

using segment::Sequence;

using segment::RangeTombstone;
using segment::RunRecord;

struct SegmentRecord {
  std::uint64_t id = 0;
  std::string fence;  // Its first key; empty for the first segment. Its end is the next fence.
  std::uint64_t version = 0;
  // Every write to this segment with a sequence <= this is in its runs.
  Sequence flushed_sequence = 0;
  std::optional<RunRecord> main;
  std::vector<RunRecord> slices;                 // Newest first.
  std::vector<RangeTombstone> range_tombstones;  // Ascending sequence.
  friend bool operator==(const SegmentRecord&, const SegmentRecord&) = default;
};

// A live log, in ascending order of number. sealed_end: where its valid records end, once known
// (0: still being written, recovery finds the end). synced_end: bytes known to be on the device.
struct LogRecordEntry {
  std::uint64_t number = 0;
  std::uint64_t sealed_end = 0, synced_end = 0;
  friend bool operator==(const LogRecordEntry&, const LogRecordEntry&) = default;
};

// What MANIFEST says: which files make up the index. Written whole at each structural change.
struct Manifest {
  static constexpr std::uint32_t kFormat = 1;
  std::string uuid;
  std::uint64_t writer_epoch = 0;  // Raised by every open for writing.
  std::uint64_t edit = 0;          // Raised by every replacement.
  std::uint64_t feature_bits = 0;  // Unknown bits: Unsupported.
  bool closed_cleanly = false;     // No log needs replay.
  std::string key_codec, value_codec;
  std::uint64_t next_segment_id = 1, next_delta_number = 1, next_log_number = 1;
  Sequence last_sequence = 0;  // At least every sequence in the runs.
  Sequence checkpoint = 0;     // Log records at or below it are not needed.
  // Options as of the last open, for `varve stat`: informative.
  std::string options_text;
  std::vector<LogRecordEntry> logs;
  std::vector<SegmentRecord> segments;  // Ascending by fence; the first fence is empty.
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

inline constexpr std::string_view kManifestName = "MANIFEST";
inline constexpr std::uint64_t kManifestSizeMax = std::uint64_t{1} << 30;
// Nothing that counts up comes near these. A reader refuses more, so that whoever counts on need
// not look; the engine keeps segment ids in 32 bits.
inline constexpr std::uint64_t kManifestNumberMax = std::uint64_t{1} << 62;
inline constexpr std::uint64_t kManifestSegmentIdMax = 0xff000000;

// Features that this reader knows; every other bit in feature_bits is Unsupported.
inline constexpr std::uint64_t kManifestFeaturesKnown = 0;
// The uuid goes into every log header as well, which has room for this much.
inline constexpr std::size_t kUuidSizeMax = 64;

// A rule of the manifest that does not hold, for a person. `segment` is its position in
// Manifest::segments, or kNoSegment.
struct ManifestProblem {
  static constexpr std::size_t kNoSegment = static_cast<std::size_t>(-1);
  std::string what;
  std::size_t segment = kNoSegment;
};
// The rules, beyond the encoding: numbers within the limits above, at least one segment, the first
// fence empty and fences strictly ascending, ids unique, logs strictly ascending, every number
// below its "next" one, a main run of the segment's id and at most of its version, no two slices of
// a delta file overlapping, sequences of runs at most last_sequence, range tombstones in the order
// of their sequences. Finds the first one that is broken.
[[nodiscard]] std::optional<ManifestProblem> find_manifest_problem(const Manifest& manifest);

// Requires: no problem as above; a manifest that decode_manifest() would refuse is a bug of the
// engine and must not reach the disk, so it aborts.
[[nodiscard]] std::string encode_manifest(const Manifest& manifest);
// Encodes even what breaks the rules: for tests and fuzzing of the reader.
[[nodiscard]] std::string encode_manifest_unchecked(const Manifest& manifest);
// Verifies the checksum, every count against the bytes left before it allocates, the limits, then
// the rules above. Errors: Corruption (path, offset, expected, found), Unsupported (newer format or
// features).
[[nodiscard]] Manifest decode_manifest(std::string_view bytes, const std::string& path);
// What the last eight bytes of a manifest must be, given all bytes before them.
[[nodiscard]] std::uint64_t manifest_checksum(std::string_view bytes_before) noexcept;

[[nodiscard]] std::string run_file_name(const RunRecord& run);
[[nodiscard]] std::uint64_t run_seed(const std::string& uuid, const RunRecord& run);

}  // namespace varve::internal
