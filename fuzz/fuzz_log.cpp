// SPDX-License-Identifier: Apache-2.0
// Strategy: the input is what follows a log's header, with a first byte that chooses what the
// manifest says of the log. The mutator gives most positions that look like a record their right
// tag and checksum, and leaves one of them as it is now and then, so that whole records follow a
// broken one. The same input also says which bytes of a sound header are others, under the right
// checksum. Invariants: a scan ends, visits ascending records inside the file whose operations
// parse and have sequences that a manifest holds, and ends where the last one does; what it found,
// sealed there, is found again. A header is decoded to something that encodes to the same bytes, or
// is refused as Corruption or Unsupported.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "lib/log_format.hpp"
#include "lib/log_record.hpp"
#include "lib/manifest.hpp"
#include "varve/error.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace {

using namespace varve::internal;

constexpr std::uint64_t kNumber = 7;

// Makes records of what stands in `records`, which begin at byte kLogHeaderSize of the file, one
// behind the other, until one does not fit. Only the size of the one at `left_alone` is looked at.
void repair(char* records, std::size_t size, std::size_t left_alone) {
  const std::uint64_t log = log_seed("u", kNumber);
  std::size_t position = 0;
  for (std::size_t at = 0; at + kLogRecordHeaderSize <= size; ++position) {
    const auto payload_size = varve::directory::load_le<std::uint32_t>(records + at + 8);
    if (payload_size > size - at || log_record_size(payload_size) > size - at) return;
    const auto sequence = varve::directory::load_le<std::uint64_t>(records + at + 16);
    if (position != left_alone) {
      encode_log_record(records + at, log, kLogHeaderSize + at, sequence,
                        {records + at + kLogRecordHeaderSize, payload_size});
    }
    at += log_record_size(payload_size);
  }
}

std::string sound_header() {
  std::string header(kLogHeaderSize, '\0');
  encode_log_header({.uuid = "u", .number = kNumber, .first_sequence = 1, .boot_id = "boot"},
                    header.data());
  return header;
}

// Each three bytes of `changes` say where another byte of the header differs, and how; zeros change
// nothing. Most lie in its fields.
std::string changed_header(std::string_view changes) {
  constexpr std::size_t kChecksumAt = 4088, kFieldsSize = 176, kChangesMax = 8;
  std::string header = sound_header();
  varve::directory::ByteReader reader(changes);
  for (std::size_t i = 0; i < kChangesMax && reader.remaining() >= 3; ++i) {
    const auto where = reader.le<std::uint16_t>();
    const std::size_t at = where % ((where & 0x8000U) != 0 ? kChecksumAt : kFieldsSize);
    header[at] = static_cast<char>(header[at] ^ reader.le<std::uint8_t>());
  }
  varve::directory::store_le(
      header.data() + kChecksumAt,
      varve::directory::hash64(
          {header.data(), kChecksumAt},
          varve::directory::file_seed({}, varve::directory::ChecksumDomain::Log, 0)));
  return header;
}

void check_header(std::string_view bytes) {
  try {
    const LogHeader header = decode_log_header(bytes, "log");
    if (header.uuid.empty()) return;  // Of no index: scan_log() refuses it.
    std::string again(kLogHeaderSize, '\0');
    encode_log_header(header, again.data());
    VARVE_CHECK(again == bytes.substr(0, kLogHeaderSize));
  } catch (const varve::Error& error) {
    VARVE_CHECK(error.code() == varve::ErrorCode::Corruption ||
                error.code() == varve::ErrorCode::Unsupported);
  }
}

LogScan scan(std::string_view file, const LogExpectation& expectation) {
  std::uint64_t end = kLogHeaderSize;
  Sequence last = 0, last_operation = 0;
  const LogScan found = scan_log(file, expectation, "log", [&](const LogRecordView& record) {
    VARVE_CHECK(record.offset == end && record.size % kLogRecordAlignment == 0);
    end += record.size;
    VARVE_CHECK(end <= file.size());
    VARVE_CHECK(record.sequence > last || (last == 0 && record.offset == kLogHeaderSize));
    last = record.sequence;
    VARVE_CHECK(last <= kManifestNumberMax);
    OperationReader reader(record.operations);
    OperationSequencer sequencer(record.sequence);
    for (Operation operation; reader.next(operation);) {
      static_cast<void>(sequencer.next(operation.kind));
    }
    VARVE_CHECK(reader.ok());
    last_operation = sequencer.last();
    VARVE_CHECK(last_operation <= kManifestNumberMax);
  });
  VARVE_CHECK(found.end == end && found.last_sequence == last);
  VARVE_CHECK(found.last_operation_sequence == last_operation);
  return found;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned seed) {
  if (size_max > 256 && (size < 2 || seed % 64 == 0)) {
    std::string operations;
    append_operation(operations, OperationKind::Put, "key", "value");
    append_operation(operations, OperationKind::EraseRange, "a", "b");
    std::memset(data, 0, 200);
    char* to = reinterpret_cast<char*>(data) + 1;
    to += encode_log_record(to, 0, 0, 5, operations);
    to += encode_log_record(to, 0, 0, 6, operations);
    size = 200;
  }
  size = LLVMFuzzerMutate(data, size, size_max);
  if (size > 1 && seed % 16 != 1) {
    repair(reinterpret_cast<char*>(data) + 1, size - 1, seed / 64 % 8);
  }
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // Of exactly its size, so that a sanitizer sees the first byte too far.
  const std::size_t file_size = kLogHeaderSize + size - 1;
  const auto copy = std::make_unique<char[]>(file_size);
  sound_header().copy(copy.get(), kLogHeaderSize);
  std::memcpy(copy.get() + kLogHeaderSize, data + 1, size - 1);
  const std::string_view file(copy.get(), file_size);
  LogExpectation expectation{.uuid = "u", .number = kNumber, .boot_id = {}};
  if ((data[0] & 1) != 0) expectation.boot_id = "boot";
  if ((data[0] & 2) != 0) expectation.synced_end = kLogHeaderSize + 8 * (data[0] >> 3);
  if ((data[0] & 4) != 0) expectation.sealed_end = kLogHeaderSize + 8 * (data[0] >> 3);
  const LogScan found = scan(file, expectation);

  expectation.sealed_end = found.end;
  expectation.synced_end = 0;
  const LogScan again = scan(file, expectation);
  VARVE_CHECK(again.end == found.end && again.record_count == found.record_count);
  VARVE_CHECK(again.tail == LogScan::Tail::Clean);

  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_header(bytes);
  check_header(changed_header(bytes.substr(1)));
  return 0;
}
