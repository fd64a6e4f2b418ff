// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace varve::test::metamorphic {

// What may be done to an index. The fields of each kind, in their order, in kind_info(): k a key or
// a bound, v a value, n a number.
enum class Kind : std::uint8_t {
  Put,               // k v n: n is the durability, see Operation.
  Erase,             // k n
  Get,               // k
  Contains,          // k
  MultiGet,          // k...
  Batch,             // n; parts: Put (k v), Erase (k), EraseRange (k k). It may have none.
  EraseRange,        // from to n
  ErasePrefix,       // prefix n
  Scan,              // from to prefix, reverse limit slot: a scan that its limit ends leaves its
                     // resume token in the slot.
  Resume,            // slot limit: goes on with the scan of the slot, and leaves it there again.
  Seek,              // k, reverse count: the entries from k on, or those before it.
  FailFastScan,      // from to prefix, reverse limit
  WindowScan,        // from to prefix, reverse size: window by window of `size` segments.
  CursorOpen,        // from to prefix, reverse limit slot snapshot: held until it is released.
                     // `snapshot` is a snapshot's slot + 1; 0: the present.
  CursorNext,        // slot count
  CursorSeek,        // k slot
  CursorRelease,     // slot
  SnapshotTake,      // slot
  SnapshotGet,       // k slot
  SnapshotMultiGet,  // k... slot
  SnapshotScan,      // from to prefix, reverse limit slot
  SnapshotRelease,   // slot
  Flush,
  Compact,
  CompactRange,      // from to
  CompactCancelled,  // By a token that was cancelled before.
  Maintain,
  Sync,
  Reopen,
  ReopenOtherwise,  // n: with options that n says.
  ReopenReadOnly,   // k v: and back; meanwhile a put is refused and k is read.
  Kill,             // The process dies and another one recovers; where it cannot: Reopen.
  PowerLoss,        // n: the machine dies, and n says what the medium keeps of what was not synced.
  Check,            // Of the files, in depth.
  Figures,          // Statistics: those that are the same everywhere; the others must be plausible.
  InvalidCall,      // n: which
  PutInTime,        // k v: with a deadline that is far away.
  PutTooLate,       // k v: with one that has passed.
  FailFastWrite,    // k v: writes v to the first key from k on, in a fail-fast scan that is there.
  ExclusiveWrite,   // k v: in an exclusive scan, then after it.
  TypedPut,         // k v: through a TypedIndex, as are these:
  TypedGet,         // k
  TypedScan,        // from to, reverse limit
};
inline constexpr std::size_t kKindCount = 43;

// The bytes of a value, by their size and what they are made from.
struct Value {
  std::uint64_t size = 0;
  std::uint64_t seed = 0;
  [[nodiscard]] std::string bytes() const;
  friend bool operator==(const Value&, const Value&) = default;
};

// One thing that is done to an index: a plain value, that can be printed and parsed.
// `durability` among the numbers: 0 the default of the index, else that Durability + 1.
struct Operation {
  Kind kind = Kind::Flush;
  std::vector<std::string> keys = {};
  std::vector<Value> values = {};
  std::vector<std::uint64_t> numbers = {};
  std::vector<Operation> parts = {};
  friend bool operator==(const Operation&, const Operation&) = default;
};
using Operations = std::vector<Operation>;

struct KindInfo {
  std::string_view name;
  std::size_t key_count;  // kAny: one or more.
  std::size_t value_count = 0, number_count = 0;
};
inline constexpr std::size_t kAny = 1000;
[[nodiscard]] const KindInfo& kind_info(Kind kind) noexcept;

// One operation per line, e.g.
//   put "a\x00b" 120:7 0
//   batch 0
//     erase "\*180;p"
// A value is <size>:<seed>. Keys are escaped; \*N;c is c N times. Lines that are empty or begin
// with # mean nothing.
[[nodiscard]] std::string to_text(const Operations& operations);
[[nodiscard]] std::string to_text(const Operation& operation);
// Errors: std::invalid_argument, naming the line.
[[nodiscard]] Operations parse_operations(std::string_view text);

// A key as to_text() writes it.
[[nodiscard]] std::string key_text(std::string_view key);

}  // namespace varve::test::metamorphic
