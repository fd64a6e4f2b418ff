// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "segment/entry.hpp"

namespace varve::internal {

using segment::Sequence;

// A run of a segment: a whole main file, or a slice of a delta file.
struct RunRecord {
  enum class Kind : std::uint8_t { Main = 1, Slice = 2 };
  Kind kind = Kind::Slice;
  // Main: the file is main-<file_number>-<file_version>.varve, named after the segment and the
  // version that it was written for. Slice: delta-<file_number>.varve, file_version = 0.
  std::uint64_t file_number = 0, file_version = 0;
  std::uint64_t offset = 0, size = 0;  // Bytes.
  std::uint64_t entry_count = 0, tombstone_count = 0, raw_size = 0;
  std::uint32_t tier = 0;  // Slices: how many merges deep.
  // The range of sequences whose writes it may hold (whether or not entries carry them).
  Sequence first_sequence = 0, last_sequence = 0;
  std::uint64_t footer_checksum = 0;
  friend bool operator==(const RunRecord&, const RunRecord&) = default;
};

// Every key in [from, to) with a sequence below `sequence` is erased; `to` empty: no end.
struct RangeTombstone {
  std::string from, to;
  Sequence sequence = 0;
  friend bool operator==(const RangeTombstone&, const RangeTombstone&) = default;
};

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

[[nodiscard]] std::string encode_manifest(const Manifest& manifest);
// Verifies the checksum, every count against the bytes left before it allocates, ordering of
// fences, numbers below the next ones, uniqueness of ids and of slices.
// Errors: Corruption (path, offset, expected, found), Unsupported (newer format or features).
[[nodiscard]] Manifest decode_manifest(std::string_view bytes, const std::string& path);

// The only place that knows file names. parse gives nullopt for names that are not exactly ours.
[[nodiscard]] std::string main_file_name(std::uint64_t segment_id, std::uint64_t version);
[[nodiscard]] std::string delta_file_name(std::uint64_t number);
[[nodiscard]] std::string log_file_name(std::uint64_t number);
struct FileName {
  enum class Type : std::uint8_t { Lock, Manifest, Log, Delta, Main, Temporary };
  Type type;
  std::uint64_t number = 0, version = 0;
};
[[nodiscard]] std::optional<FileName> parse_file_name(std::string_view name);
[[nodiscard]] std::string run_file_name(const RunRecord& run);
[[nodiscard]] std::uint64_t run_seed(const std::string& uuid, const RunRecord& run);

}  // namespace varve::internal
