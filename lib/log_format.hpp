// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "segment/entry.hpp"

namespace varve::internal {

using segment::Sequence;

// Operation kinds inside a record and a WriteBatch:
//   u8 kind | varint key size | key | (Put: varint value size | value; EraseRange: varint size |
//   to)
enum class OperationKind : std::uint8_t { Put = 1, Erase = 2, EraseRange = 3 };
struct Operation {
  OperationKind kind = OperationKind::Put;
  std::string_view key;    // EraseRange: from.
  std::string_view value;  // EraseRange: to (empty: no end).
};
// What a Put or an Erase leaves in a segment.
[[nodiscard]] inline segment::Kind entry_kind(OperationKind kind) noexcept {
  return kind == OperationKind::Put ? segment::Kind::Value : segment::Kind::Tombstone;
}
void append_operation(std::string& to, OperationKind kind, std::string_view first,
                      std::string_view second);
// Walks encoded operations. next() false: the end, or bytes that do not parse (then !ok()): an
// unknown kind, sizes beyond the bytes left or beyond limits.hpp.
class OperationReader {
 public:
  explicit OperationReader(std::string_view bytes) noexcept : bytes_(bytes) {}
  bool next(Operation& operation) noexcept;
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::size_t offset() const noexcept { return offset_; }

 private:
  std::string_view bytes_;
  std::size_t offset_ = 0;
  bool ok_ = true;
};

// The sequences of one record's operations: all have the record's, but a range erase that follows
// other operations takes the next one, and so do those behind it. Thus "erases what has a lower
// sequence" is true of the operations before it and not of those after it.
class OperationSequencer {
 public:
  explicit OperationSequencer(Sequence first) noexcept : sequence_(first) {}
  Sequence next(OperationKind kind) noexcept {
    if (kind == OperationKind::EraseRange && !at_start_) ++sequence_;
    at_start_ = false;
    return sequence_;
  }
  [[nodiscard]] Sequence last() const noexcept { return sequence_; }

 private:
  Sequence sequence_;
  bool at_start_ = true;
};

// Sizes and layout of a log file: see the offset tables in log_format.cpp and docs/FORMAT.md.
inline constexpr std::size_t kLogHeaderSize = 4096;
inline constexpr std::size_t kLogRecordHeaderSize = 24;
inline constexpr std::size_t kLogRecordAlignment = 8;

struct LogHeader {
  std::string uuid;
  std::uint64_t number = 0;
  Sequence first_sequence = 0;  // No record in the file has a smaller one.
  std::string boot_id;          // Of the machine run that wrote the file.
};
// Writes kLogHeaderSize bytes.
void encode_log_header(const LogHeader& header, char* to);

// Reads and checks a log's header: its checksum, then its format.
// Errors: Corruption (path, offset, expected, found), Unsupported (newer format).
[[nodiscard]] LogHeader decode_log_header(std::string_view bytes, const std::string& path);

// Seed of all records of one log.
[[nodiscard]] std::uint64_t log_seed(std::string_view uuid, std::uint64_t number) noexcept;
// Bytes that a record with `payload_size` bytes of operations takes, padding included.
[[nodiscard]] constexpr std::size_t log_record_size(std::size_t payload_size) noexcept {
  return (kLogRecordHeaderSize + payload_size + kLogRecordAlignment - 1) &
         ~(kLogRecordAlignment - 1);
}
// Writes a record at `to` (= log data + offset) and returns its size. A caller that has already
// written the payload straight behind the header passes that same place as `payload`. The checksum
// is stored last: a record that was cut off is never valid.
// Requires: payload.size() < 2^32; `to` has log_record_size() writable bytes.
std::size_t encode_log_record(char* to, std::uint64_t log_seed, std::uint64_t offset,
                              Sequence sequence, std::string_view payload) noexcept;

struct LogRecordView {
  std::uint64_t offset = 0, size = 0;
  Sequence sequence = 0;
  std::string_view operations;
};

// What reading a whole log file found.
struct LogScan {
  enum class Tail : std::uint8_t {
    Clean,    // The records end where zeros or a recycled file's old records begin.
    Torn,     // A record was cut off by a crash: normal after power loss or kill.
    Damaged,  // What follows `end` shows that a record there was whole once, or cannot be ours.
  };
  LogHeader header;
  std::uint64_t end = kLogHeaderSize;  // Where the valid records end.
  std::uint64_t record_count = 0;
  Sequence last_sequence = 0;            // 0: there are no records.
  Sequence last_operation_sequence = 0;  // Of the last record's last operation.
  Tail tail = Tail::Clean;
  std::string message;  // For Torn and Damaged: offset, expected, found.
};
struct LogExpectation {
  std::string uuid;
  std::uint64_t number = 0;
  std::uint64_t sealed_end = 0;  // Records must reach it exactly when not 0; nothing behind counts.
  std::uint64_t synced_end = 0;  // Records must reach it at least.
  std::string boot_id;           // Of the reader's machine run; "" unknown.
};
// Hands every valid record, in order, to `visit`, and classifies what follows the last one.
//   - shorter than sealed_end or synced_end: Damaged (synced bytes are gone).
//   - a valid record of this log behind an invalid one: Damaged when the file was written in the
//     same machine run (pages of a dead process do not go missing), Torn after a reboot.
//   - a whole record whose operations do not parse, whose sequence does not ascend, or one of whose
//     operations has a sequence above kManifestNumberMax: Damaged.
// A record that was cut off, and one whose last unsynced copy rotted in place, look alike: both are
// Torn. Cost: one pass over the records and one look at each aligned position behind them.
// Errors: Corruption for a header that is not this log's; Unsupported for a newer format.
LogScan scan_log(std::string_view bytes, const LogExpectation& expectation, const std::string& path,
                 const std::function<void(const LogRecordView&)>& visit);

}  // namespace varve::internal
