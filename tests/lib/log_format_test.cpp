// SPDX-License-Identifier: Apache-2.0
#include "lib/log_format.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "lib/manifest.hpp"
#include "tests/lib/golden.hpp"
#include "tests/support/catch.hpp"
#include "varve/error.hpp"

namespace varve::internal {
namespace {

using Tail = LogScan::Tail;
using Records = std::vector<std::pair<Sequence, std::string>>;

const std::string kUuid = "01234567-89ab-4def-8123-456789abcdef";
constexpr std::size_t kCapacity = 8192;

// The bytes of a log file, built record by record.
struct LogBytes {
  explicit LogBytes(std::uint64_t log_number = 7, std::string old_bytes = {})
      : number(log_number), bytes(std::move(old_bytes)) {
    bytes.resize(kCapacity);
    encode_log_header({.uuid = kUuid, .number = number, .first_sequence = 10, .boot_id = "boot-1"},
                      bytes.data());
  }
  void add(Sequence sequence, const std::string& operations) {
    starts.push_back(end);
    bytes.resize(std::max(bytes.size(), end + log_record_size(operations.size())));
    end +=
        encode_log_record(bytes.data() + end, log_seed(kUuid, number), end, sequence, operations);
    records.emplace_back(sequence, operations);
  }
  void add_put(Sequence sequence, std::string_view key, std::string_view value) {
    std::string operations;
    append_operation(operations, OperationKind::Put, key, value);
    add(sequence, operations);
  }
  [[nodiscard]] LogExpectation expectation() const {
    return {.uuid = kUuid, .number = number, .boot_id = "boot-1"};
  }

  std::uint64_t number;
  std::string bytes;
  std::size_t end = kLogHeaderSize;
  std::vector<std::size_t> starts;
  Records records;
};

// Three records, of 8 bytes more each; the second one has three operations.
LogBytes example() {
  LogBytes log;
  log.add_put(10, "k", "v");
  std::string batch;
  append_operation(batch, OperationKind::Put, "key", "value");
  append_operation(batch, OperationKind::Erase, "gone", {});
  append_operation(batch, OperationKind::EraseRange, "a", "");
  log.add(12, batch);
  log.add_put(13, "another key", std::string(20, 'x'));
  return log;
}

struct Result {
  LogScan scan;
  Records records;
};
Result scan(std::string_view bytes, const LogExpectation& expectation) {
  Result result;
  result.scan = scan_log(bytes, expectation, "log-7.varve", [&](const LogRecordView& record) {
    result.records.emplace_back(record.sequence, record.operations);
  });
  CHECK(result.scan.record_count == result.records.size());
  CHECK((result.scan.tail == Tail::Clean) == result.scan.message.empty());
  return result;
}
Records first(const Records& records, std::size_t count) {
  return {records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count)};
}
ErrorCode refusal(std::string_view bytes, const LogExpectation& expectation) {
  try {
    static_cast<void>(scan(bytes, expectation));
  } catch (const Error& error) {
    CHECK(error.path() == "log-7.varve");
    return error.code();
  }
  FAIL("scanned a log that should have been refused");
  return ErrorCode::Closed;
}

TEST_CASE("a log is read back record by record", "[lib][log_format]") {
  const LogBytes log = example();
  const Result result = scan(log.bytes, log.expectation());
  CHECK(result.records == log.records);
  CHECK(result.scan.tail == Tail::Clean);
  CHECK(result.scan.end == log.end);
  CHECK(result.scan.last_sequence == 13);
  CHECK(result.scan.last_operation_sequence == 13);
  CHECK(result.scan.header.uuid == kUuid);
  CHECK(result.scan.header.number == 7);
  CHECK(result.scan.header.first_sequence == 10);
  CHECK(result.scan.header.boot_id == "boot-1");
}

TEST_CASE("payloads of every size and extreme sequences are read back", "[lib][log_format]") {
  LogBytes log;
  log.add(kManifestNumberMax - 100, "");
  for (std::size_t size = 1; size < 80; ++size) {
    log.add_put(kManifestNumberMax - 100 + size, std::string(size, 'k'), {});
    CHECK(log.end % kLogRecordAlignment == 0);
  }
  log.add_put(kManifestNumberMax, "k", "v");
  const Result result = scan(log.bytes, log.expectation());
  CHECK(result.records == log.records);
  CHECK(result.scan.end == log.end);
  CHECK(result.scan.last_operation_sequence == kManifestNumberMax);
}

TEST_CASE("a log filled to its last byte is read back", "[lib][log_format]") {
  LogBytes log = example();
  log.bytes.resize(log.end);
  const Result result = scan(log.bytes, log.expectation());
  CHECK(result.records == log.records);
  CHECK(result.scan.tail == Tail::Clean);
}

TEST_CASE("a record is the same whether or not its payload was already in place",
          "[lib][log_format]") {
  const std::string payload = "\2\3key";
  std::string copied(128, '\x55'), in_place(128, '\x55');
  const std::size_t size = encode_log_record(copied.data(), 1, 4096, 5, payload);
  payload.copy(in_place.data() + kLogRecordHeaderSize, payload.size());
  encode_log_record(in_place.data(), 1, 4096, 5,
                    {in_place.data() + kLogRecordHeaderSize, payload.size()});
  CHECK(copied == in_place);
  CHECK(size == 32);
  CHECK(copied.substr(29, 3) == std::string(3, '\0'));  // Padding, over what was there.
  CHECK(copied.substr(size) == std::string(128 - size, '\x55'));
}

TEST_CASE("whatever part of the last record is missing, the records before it are recovered",
          "[lib][log_format][damage]") {
  const LogBytes log = example();
  const std::size_t start = log.starts.back();
  for (const char fill : {'\0', '\xaa'}) {
    for (std::size_t kept = 0; kept < log.end - start; ++kept) {
      INFO("kept " << kept);
      std::string bytes = log.bytes;
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(start + kept),
                bytes.begin() + static_cast<std::ptrdiff_t>(log.end), fill);
      if (bytes == log.bytes) continue;  // The end of the record happens to be like the filling.
      const Result result = scan(bytes, log.expectation());
      CHECK(result.records == first(log.records, 2));
      CHECK(result.scan.end == start);
      CHECK(result.scan.tail != Tail::Damaged);
      if (kept >= 16) CHECK(result.scan.tail == Tail::Torn);
    }
  }
}

TEST_CASE("a log cut short at any length gives the whole records before the cut",
          "[lib][log_format][damage]") {
  const LogBytes log = example();
  for (std::size_t size = 0; size < log.end; ++size) {
    const std::string_view bytes = std::string_view(log.bytes).substr(0, size);
    if (size < kLogHeaderSize) {
      CHECK(refusal(bytes, log.expectation()) == ErrorCode::Corruption);
      continue;
    }
    std::size_t whole = 0;
    while (whole + 1 < log.starts.size() && log.starts[whole + 1] <= size) ++whole;
    const Result result = scan(bytes, log.expectation());
    CHECK(result.records == first(log.records, whole));
    CHECK(result.scan.tail != Tail::Damaged);
    LogExpectation synced = log.expectation();
    synced.synced_end = log.end;
    CHECK(scan(bytes, synced).scan.tail == Tail::Damaged);
    LogExpectation sealed = log.expectation();
    sealed.sealed_end = log.end;
    CHECK(scan(bytes, sealed).scan.tail == Tail::Damaged);
  }
}

TEST_CASE("every flipped bit of a log's header is detected", "[lib][log_format][damage]") {
  LogBytes log = example();
  for (std::size_t bit = 0; bit < kLogHeaderSize * 8; ++bit) {
    char& byte = log.bytes[bit / 8];
    byte = static_cast<char>(byte ^ (1 << (bit % 8)));
    if (refusal(log.bytes, log.expectation()) != ErrorCode::Corruption) FAIL("bit " << bit);
    byte = static_cast<char>(byte ^ (1 << (bit % 8)));
  }
}

TEST_CASE("every flipped bit of a record is detected and classified by what follows it",
          "[lib][log_format][damage]") {
  LogBytes log = example();
  LogExpectation other_boot = log.expectation();
  other_boot.boot_id = "boot-2";
  LogExpectation unknown_boot = log.expectation();
  unknown_boot.boot_id.clear();
  LogExpectation synced = other_boot;
  LogExpectation sealed = other_boot;
  sealed.sealed_end = log.end;
  for (std::size_t bit = kLogHeaderSize * 8; bit < log.end * 8; ++bit) {
    INFO("bit " << bit);
    std::size_t record = log.starts.size() - 1;
    while (log.starts[record] > bit / 8) --record;
    const bool last = record + 1 == log.starts.size();
    char& byte = log.bytes[bit / 8];
    byte = static_cast<char>(byte ^ (1 << (bit % 8)));
    const Result same = scan(log.bytes, log.expectation());
    CHECK(same.records == first(log.records, record));
    CHECK(same.scan.end == log.starts[record]);
    CHECK(same.scan.tail == (last ? Tail::Torn : Tail::Damaged));
    CHECK(same.scan.message.find("byte " + std::to_string(log.starts[record])) !=
          std::string::npos);
    CHECK(scan(log.bytes, other_boot).scan.tail == Tail::Torn);
    CHECK(scan(log.bytes, unknown_boot).scan.tail == Tail::Torn);
    synced.synced_end = log.starts[record] + 1;
    CHECK(scan(log.bytes, synced).scan.tail == Tail::Damaged);
    synced.synced_end = log.starts[record];
    CHECK(scan(log.bytes, synced).scan.tail == Tail::Torn);
    CHECK(scan(log.bytes, sealed).scan.tail == Tail::Damaged);
    byte = static_cast<char>(byte ^ (1 << (bit % 8)));
  }
}

TEST_CASE("nothing behind a seal counts, and the records must end exactly there",
          "[lib][log_format]") {
  const LogBytes log = example();
  LogExpectation sealed = log.expectation();
  sealed.sealed_end = log.starts[2];
  const Result result = scan(log.bytes, sealed);
  CHECK(result.records == first(log.records, 2));
  CHECK(result.scan.tail == Tail::Clean);
  for (const std::uint64_t end :
       {std::uint64_t{1}, std::uint64_t{4095}, std::uint64_t{log.starts[2] - 8},
        std::uint64_t{log.starts[2] + 8}, std::uint64_t{log.end + 8}, std::uint64_t{kCapacity},
        std::uint64_t{UINT64_MAX}}) {
    sealed.sealed_end = end;
    CHECK(scan(log.bytes, sealed).scan.tail == Tail::Damaged);
  }
}

TEST_CASE("records of the log that a recycled file was are never read again",
          "[lib][log_format][damage]") {
  LogBytes old(6);
  for (Sequence sequence = 10; sequence < 60; ++sequence) old.add_put(sequence, "old", "value");
  LogBytes log(7, old.bytes);
  CHECK(scan(log.bytes, log.expectation()).records.empty());
  CHECK(scan(log.bytes, log.expectation()).scan.tail == Tail::Clean);
  // Equal sizes: each new record ends where an old one with the next sequence begins.
  for (Sequence sequence = 10; sequence < 20; ++sequence) {
    log.add_put(sequence, "new", "value");
    const Result result = scan(log.bytes, log.expectation());
    CHECK(result.records == log.records);
    CHECK(result.scan.end == log.end);
    CHECK(result.scan.tail == Tail::Clean);
  }
}

TEST_CASE("records that changed places, or are there twice, are not valid",
          "[lib][log_format][damage]") {
  LogBytes log;
  for (Sequence sequence = 10; sequence < 14; ++sequence) log.add_put(sequence, "key", "value");
  const std::size_t size = log.starts[1] - log.starts[0];
  std::string swapped = log.bytes;
  std::swap_ranges(swapped.begin() + static_cast<std::ptrdiff_t>(log.starts[1]),
                   swapped.begin() + static_cast<std::ptrdiff_t>(log.starts[2]),
                   swapped.begin() + static_cast<std::ptrdiff_t>(log.starts[2]));
  const Result result = scan(swapped, log.expectation());
  CHECK(result.records == first(log.records, 1));
  CHECK(result.scan.tail == Tail::Damaged);

  std::string repeated = log.bytes;
  repeated.replace(log.end, size, log.bytes, log.starts[3], size);
  CHECK(scan(repeated, log.expectation()).records == log.records);
}

TEST_CASE("a whole record whose sequence does not ascend is damage", "[lib][log_format][damage]") {
  for (const Sequence sequence : {Sequence{13}, Sequence{12}, Sequence{0}}) {
    LogBytes log = example();
    log.add_put(sequence, "k", "v");
    const Result result = scan(log.bytes, log.expectation());
    CHECK(result.records == first(log.records, 3));
    CHECK(result.scan.tail == Tail::Damaged);
  }
  LogBytes log;
  log.add_put(9, "k", "v");  // Below the header's first sequence.
  CHECK(scan(log.bytes, log.expectation()).records.empty());
  CHECK(scan(log.bytes, log.expectation()).scan.tail == Tail::Damaged);
}

// Who goes on from such a sequence would come to numbers that no manifest may hold, and then to 0.
TEST_CASE("a whole record with a sequence beyond what a manifest holds is damage, at its offset",
          "[lib][log_format][hostile]") {
  const auto refused = [](LogBytes log, Sequence sequence, const std::string& operations,
                          Sequence named) {
    CAPTURE(sequence, named);
    const std::size_t at = log.end;
    const Records before = log.records;
    log.add(sequence, operations);
    const Result result = scan(log.bytes, log.expectation());
    CHECK(result.records == before);
    CHECK(result.scan.end == at);
    CHECK(result.scan.tail == Tail::Damaged);
    CHECK(result.scan.message == "log-7.varve, log at byte " + std::to_string(at) +
                                     ": sequences up to 4611686018427387904 expected, " +
                                     std::to_string(named) + " found in a whole record");
  };
  std::string put, range;  // `range`: the last operation's sequence is two above the record's.
  append_operation(put, OperationKind::Put, "k", "v");
  range = put;
  append_operation(range, OperationKind::EraseRange, "a", "");
  append_operation(range, OperationKind::EraseRange, "a", "b");
  for (const LogBytes& log : {LogBytes(), example()}) {
    for (const Sequence sequence :
         {kManifestNumberMax + 1, Sequence{UINT64_MAX - 1}, Sequence{UINT64_MAX}}) {
      refused(log, sequence, put, sequence);
    }
    refused(log, kManifestNumberMax - 1, range, kManifestNumberMax + 1);
    refused(log, UINT64_MAX - 1, range, UINT64_MAX - 1);  // Its last operation's would be 0.
    refused(log, UINT64_MAX, range, UINT64_MAX);
  }
  LogBytes log;
  log.add(kManifestNumberMax - 2, range);
  const Result result = scan(log.bytes, log.expectation());
  CHECK(result.records == log.records);
  CHECK(result.scan.last_sequence == kManifestNumberMax - 2);
  CHECK(result.scan.last_operation_sequence == kManifestNumberMax);
}

TEST_CASE("a whole record whose operations do not parse is damage, at its offset",
          "[lib][log_format][damage]") {
  LogBytes log = example();
  const std::size_t at = log.end;
  log.add(14, "no operation");
  log.add_put(15, "k", "v");
  const Result result = scan(log.bytes, log.expectation());
  CHECK(result.records == first(log.records, 3));
  CHECK(result.scan.end == at);
  CHECK(result.scan.tail == Tail::Damaged);
  CHECK(result.scan.message.find("byte " + std::to_string(at)) != std::string::npos);
}

TEST_CASE("zeros and garbage behind the records change nothing", "[lib][log_format][damage]") {
  const LogBytes log = example();
  std::uint64_t random = 42;
  for (const std::size_t size : {1, 7, 8, 23, 24, 25, 512, 4096}) {
    std::string bytes = log.bytes.substr(0, log.end);
    CHECK(scan(bytes + std::string(size, '\0'), log.expectation()).records == log.records);
    for (std::size_t i = 0; i < size; ++i) {
      random = random * 6364136223846793005ULL + 1442695040888963407ULL;
      bytes.push_back(static_cast<char>(random >> 56));
    }
    const Result result = scan(bytes, log.expectation());
    CHECK(result.records == log.records);
    CHECK(result.scan.tail == Tail::Clean);
  }
}

TEST_CASE("hostile sizes in a record are never followed out of the file",
          "[lib][log_format][hostile]") {
  const LogBytes log = example();
  for (const std::uint32_t size :
       {0U, 1U, (1U << 31) - 1, (1U << 31) + 1, UINT32_MAX - 31, UINT32_MAX - 4, UINT32_MAX}) {
    for (const std::size_t start : log.starts) {
      // An exact buffer of its own, so that the sanitizer sees every byte too far.
      std::vector<char> bytes(log.bytes.begin(),
                              log.bytes.begin() + static_cast<std::ptrdiff_t>(log.end));
      directory::store_le(bytes.data() + start + 8, size);
      const Result result = scan({bytes.data(), bytes.size()}, log.expectation());
      CHECK(result.scan.end == start);
    }
  }
}

TEST_CASE("crafted records cannot make a scan quadratic", "[lib][log_format][hostile]") {
  // At every position the right tag and a size up to the end of the file, and no right checksum:
  // hashing each would read 512 GiB.
  LogBytes log;
  log.bytes.resize(std::size_t{8} << 20);
  const std::uint64_t seed = log_seed(kUuid, log.number);
  for (std::size_t at = kLogHeaderSize; at + 24 <= log.bytes.size(); at += 8) {
    const std::uint64_t tag = directory::part_seed(seed, at) >> 32 | 1;
    const std::uint64_t size = log.bytes.size() - at - 24;
    directory::store_le(log.bytes.data() + at + 8, tag << 32 | size);
  }
  const Result result = scan(log.bytes, log.expectation());
  CHECK(result.records.empty());
  CHECK(result.scan.tail == Tail::Damaged);
}

TEST_CASE("a log of another index, number or format is refused", "[lib][log_format]") {
  const LogBytes log = example();
  LogExpectation expectation = log.expectation();
  expectation.uuid.back() = '0';
  CHECK(refusal(log.bytes, expectation) == ErrorCode::Corruption);
  expectation = log.expectation();
  expectation.number = 8;
  CHECK(refusal(log.bytes, expectation) == ErrorCode::Corruption);
  CHECK(refusal(std::string(kCapacity, '\0'), log.expectation()) == ErrorCode::Corruption);

  std::string newer = log.bytes;
  directory::store_le(newer.data() + 8, std::uint32_t{2});
  CHECK(refusal(newer, log.expectation()) ==
        ErrorCode::Corruption);  // Its checksum is the old one.
  directory::store_le(
      newer.data() + 4088,
      directory::hash64({newer.data(), 4088},
                        directory::file_seed({}, directory::ChecksumDomain::Log, 0)));
  CHECK(refusal(newer, log.expectation()) == ErrorCode::Unsupported);
}

TEST_CASE("a log's header whose checksum is right but whose fields are impossible is refused",
          "[lib][log_format][hostile]") {
  struct Change {
    const char* what;
    std::size_t at;
    std::uint8_t value;
  };
  for (const Change& change : {Change{"format 0", 8, 0},
                               {"a header's size", 12, 1},
                               {"reserved bytes", 36, 1},
                               {"a uuid that is too long", 32, 65},
                               {"a boot id that is too long", 34, 65},
                               {"a first sequence beyond 2^62", 31, 0x41},
                               {"bytes behind the uuid", 40 + 63, 1},
                               {"bytes behind the boot id", 104 + 63, 1},
                               {"bytes behind the texts", 168, 1},
                               {"bytes before the checksum", 4087, 1}}) {
    INFO(change.what);
    LogBytes log = example();
    REQUIRE(log.bytes[change.at] != static_cast<char>(change.value));
    log.bytes[change.at] = static_cast<char>(change.value);
    directory::store_le(
        log.bytes.data() + 4088,
        directory::hash64({log.bytes.data(), 4088},
                          directory::file_seed({}, directory::ChecksumDomain::Log, 0)));
    CHECK(refusal(log.bytes, log.expectation()) == ErrorCode::Corruption);
  }
}

TEST_CASE("the log of format 1 is written byte for byte as it always was",
          "[lib][log_format][golden]") {
  const LogBytes log = example();
  const std::string fresh = log.bytes.substr(0, log.end);
  const std::string golden = test::golden("format-1/log-7.varve", fresh);
  CHECK(fresh == golden);
  CHECK(scan(golden, log.expectation()).records == log.records);
}

}  // namespace
}  // namespace varve::internal
