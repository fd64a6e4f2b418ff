// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "segment/entry.hpp"

namespace varve::segment {

// What the manifest says of one run of a segment: a whole main file, or a slice of a delta file.
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
//
// It lives in the segment's view and in the manifest, not in runs.
// Invariant: a run is wholly older than a tombstone over it, or was written by a merge that knew
// it: then what it covers is gone, or (for a snapshot's sake) carries its sequence. So an entry
// without sequence is decided by its run's last_sequence.
struct RangeTombstone {
  std::string from, to;
  Sequence sequence = 0;
  [[nodiscard]] bool covers(std::string_view key) const noexcept {
    return key >= from && (to.empty() || key < to);
  }
  friend bool operator==(const RangeTombstone&, const RangeTombstone&) = default;
};

}  // namespace varve::segment
