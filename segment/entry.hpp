// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace varve::segment {

// The number of a write, ascending over the index; the operations of one batch share it. In a run,
// 0 means "visible to every reader": no live snapshot was older when the run was written.
using Sequence = std::uint64_t;
inline constexpr Sequence kSequenceMax = std::numeric_limits<Sequence>::max();

enum class Kind : std::uint8_t { Value = 0, Tombstone = 1 };

// One version of one key. The views belong to whoever handed it out.
struct EntryView {
  std::string_view key;
  std::string_view value;  // Empty for a tombstone.
  Sequence sequence = 0;
  Kind kind = Kind::Value;
};

// The answer of a delta or a run to "the newest version of `key` at or below a sequence".
struct FoundEntry {
  bool found = false;
  Kind kind = Kind::Value;
  Sequence sequence = 0;
  std::string_view value;
};

// What MergingSource::next_straight() may come to.
struct StraightLimits {
  std::string_view end;          // Keys before it; empty: no end.
  Sequence at = kSequenceMax;    // Versions up to it.
  std::size_t key_size_max = 0;  // Keys up to this size.
};

// A position in a sorted sequence of versions: keys ascending by unsigned bytes and, within a key,
// newest version first. prev() walks the exact reverse.
//
// Lifetime: entry().key is valid until this source moves; entry().value as well, and for as long
// as values_are_stable() says so, until the source is destroyed.
// Thread-safety: one thread. Errors: moves throw Error{Corruption | Io}.
class EntrySource {
 public:
  virtual ~EntrySource() = default;
  [[nodiscard]] bool valid() const noexcept { return valid_; }
  [[nodiscard]] const EntryView& entry() const noexcept { return entry_; }  // Requires: valid().

  virtual void seek_to_first() = 0;
  virtual void seek(std::string_view key) = 0;  // To the first entry with a key >= `key`.
  virtual void next() = 0;                      // Requires: valid().
  virtual void seek_to_last() = 0;
  virtual void seek_before(std::string_view key) = 0;  // To the last entry with a key < `key`.
  virtual void prev() = 0;                             // Requires: valid().
  [[nodiscard]] virtual bool values_are_stable() const noexcept = 0;

 protected:
  EntryView entry_;
  bool valid_ = false;
};

}  // namespace varve::segment
