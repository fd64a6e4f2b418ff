// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "lib/log_format.hpp"
#include "lib/log_record.hpp"
#include "lib/manifest.hpp"
#include "varve/error.hpp"

namespace varve::internal {

namespace {

// A tag that differs in no more bits than this from the expected one was meant to be it: 10^-5 of
// all other bytes look so as well, and then only the answer "Torn" instead of "Clean" is wrong.
constexpr int kTagBitsOffMax = 3;

class Scanner {
 public:
  Scanner(std::string_view bytes, const LogExpectation& expectation, const std::string& path)
      : bytes_(bytes), expectation_(expectation), path_(path) {}

  LogScan scan(const std::function<void(const LogRecordView&)>& visit) {
    scan_.header = decode_log_header(bytes_, path_);
    check_header();
    seed_ = log_seed(expectation_.uuid, expectation_.number);
    // What lies behind a seal was given up before the seal was set.
    const bool sealed = expectation_.sealed_end != 0 && !VARVE_MUTANT("replay.beyond_seal");
    if (sealed && expectation_.sealed_end < bytes_.size()) {
      bytes_ = bytes_.substr(
          0, std::max(kLogHeaderSize, static_cast<std::size_t>(expectation_.sealed_end)));
    }
    while (visit_one(visit)) {
    }
    if (scan_.tail == LogScan::Tail::Clean) classify_rest();
    return std::move(scan_);
  }

 private:
  void check_header() const {
    const LogHeader& header = scan_.header;
    if (header.uuid != expectation_.uuid) {
      fail(40, "uuid " + expectation_.uuid + " expected, " + header.uuid +
                   " found: a log of another index");
    }
    if (header.number != expectation_.number) {
      fail(16, "number " + std::to_string(expectation_.number) + " expected, " +
                   std::to_string(header.number) + " found: another log under this name");
    }
  }
  [[noreturn]] void fail(std::uint64_t offset, const std::string& what) const {
    throw Error(ErrorCode::Corruption, text(offset, what), path_);
  }
  [[nodiscard]] std::string text(std::uint64_t offset, const std::string& what) const {
    return path_ + ", log at byte " + std::to_string(offset) + ": " + what;
  }
  void end_as(LogScan::Tail tail, std::uint64_t offset, const std::string& what) {
    scan_.tail = tail;
    scan_.message = text(offset, what);
  }

  // Everything but the order of sequences. `hashed` grows by the bytes that had to be read.
  [[nodiscard]] bool is_whole(std::uint64_t offset, LogRecordHeader& header,
                              std::uint64_t& hashed) const noexcept {
    const std::uint64_t left = bytes_.size() - offset;
    if (left < kLogRecordHeaderSize) return false;
    const char* at = bytes_.data() + offset;
    header = load_log_record_header(at);
    const std::uint64_t seed = directory::part_seed(seed_, offset);
    if (header.tag != log_record_tag(seed)) return false;
    if (header.payload_size > left) return false;
    const std::uint64_t size = log_record_size(header.payload_size);
    if (size > left) return false;
    hashed += size;
    if (VARVE_MUTANT("replay.checksum_ignored")) return true;
    return directory::hash64({at + 8, static_cast<std::size_t>(size - 8)}, seed) == header.checksum;
  }

  [[nodiscard]] bool ascends(Sequence sequence) const noexcept {
    return scan_.record_count == 0 ? sequence >= scan_.header.first_sequence
                                   : sequence > scan_.last_sequence;
  }

  bool visit_one(const std::function<void(const LogRecordView&)>& visit) {
    LogRecordHeader header;
    std::uint64_t hashed = 0;
    if (!is_whole(scan_.end, header, hashed)) return false;
    if (!ascends(header.sequence)) {
      end_as(LogScan::Tail::Damaged, scan_.end,
             "a sequence above " + std::to_string(scan_.last_sequence) + " expected, " +
                 std::to_string(header.sequence) + " found in a whole record");
      return false;
    }
    const std::string_view operations = bytes_.substr(
        static_cast<std::size_t>(scan_.end) + kLogRecordHeaderSize, header.payload_size);
    OperationReader reader(operations);
    OperationSequencer sequencer(header.sequence);
    for (Operation operation; reader.next(operation);) {
      static_cast<void>(sequencer.next(operation.kind));
    }
    if (!reader.ok()) {
      end_as(LogScan::Tail::Damaged, scan_.end,
             "operations expected, other bytes found at byte " + std::to_string(reader.offset()) +
                 " of a whole record's payload");
      return false;
    }
    // The last one of a record that begins near 2^64 may be small again.
    if (const Sequence found = std::max(header.sequence, sequencer.last());
        found > kManifestNumberMax) {
      end_as(LogScan::Tail::Damaged, scan_.end,
             "sequences up to " + std::to_string(kManifestNumberMax) + " expected, " +
                 std::to_string(found) + " found in a whole record");
      return false;
    }
    visit({.offset = scan_.end,
           .size = hashed,
           .sequence = header.sequence,
           .operations = operations});
    scan_.end += hashed;
    scan_.last_sequence = header.sequence;
    scan_.last_operation_sequence = sequencer.last();
    ++scan_.record_count;
    return true;
  }

  void classify_rest() {
    using Tail = LogScan::Tail;
    const std::uint64_t sealed_end = expectation_.sealed_end;
    if (sealed_end != 0) {
      if (scan_.end == sealed_end) return;
      end_as(Tail::Damaged, scan_.end,
             "records up to byte " + std::to_string(sealed_end) + " expected, none found here");
      return;
    }
    if (scan_.end < expectation_.synced_end && !VARVE_MUTANT("replay.synced_end_ignored")) {
      end_as(Tail::Damaged, scan_.end,
             "records up to byte " + std::to_string(expectation_.synced_end) +
                 " were synced and expected, none found here");
      return;
    }
    const bool same_run =
        !expectation_.boot_id.empty() && expectation_.boot_id == scan_.header.boot_id;
    if (const std::uint64_t later = find_later(); later != 0) {
      end_as(same_run ? Tail::Damaged : Tail::Torn, scan_.end,
             "a whole record expected, none found, but one at byte " + std::to_string(later));
      return;
    }
    if (was_begun()) {
      end_as(Tail::Torn, scan_.end, "a whole record expected, a part of one found");
    }
  }

  // The offset of a whole record behind the first invalid one, or 0. The tag settles nearly every
  // position without hashing; so that crafted bytes cannot make it quadratic, hashing ends after
  // twice the file, and what it stopped at counts as a record.
  [[nodiscard]] std::uint64_t find_later() const noexcept {
    std::uint64_t hashed = 0;
    const std::uint64_t hashed_max = 2 * bytes_.size();
    for (std::uint64_t at = scan_.end + kLogRecordAlignment;
         at + kLogRecordHeaderSize <= bytes_.size(); at += kLogRecordAlignment) {
      // No record has zeros here; most of what is looked at has.
      at += zeros_at(at + 8);
      if (at + kLogRecordHeaderSize > bytes_.size()) break;
      if (directory::load_le<std::uint64_t>(bytes_.data() + at + 8) == 0) continue;
      LogRecordHeader header;
      if (is_whole(at, header, hashed) || hashed > hashed_max) return at;
    }
    return 0;
  }

  // How many bytes from `at` on are zeros, in whole steps.
  [[nodiscard]] std::uint64_t zeros_at(std::uint64_t at) const noexcept {
    constexpr std::uint64_t kStep = 8 * sizeof(std::uint64_t);
    std::uint64_t size = 0;
    for (; at + size + kStep <= bytes_.size(); size += kStep) {
      std::uint64_t any = 0;
      for (std::uint64_t i = 0; i < kStep; i += sizeof any) {
        any |= directory::load_le<std::uint64_t>(bytes_.data() + at + size + i);
      }
      if (any != 0) break;
    }
    return size;
  }

  [[nodiscard]] bool was_begun() const noexcept {
    if (bytes_.size() - scan_.end < kLogRecordHeaderSize) return false;
    const LogRecordHeader header = load_log_record_header(bytes_.data() + scan_.end);
    const std::uint32_t expected = log_record_tag(directory::part_seed(seed_, scan_.end));
    return std::popcount(header.tag ^ expected) <= kTagBitsOffMax;
  }

  std::string_view bytes_;
  const LogExpectation& expectation_;
  const std::string& path_;
  std::uint64_t seed_ = 0;
  LogScan scan_;
};

}  // namespace

LogScan scan_log(std::string_view bytes, const LogExpectation& expectation, const std::string& path,
                 const std::function<void(const LogRecordView&)>& visit) {
  return Scanner(bytes, expectation, path).scan(visit);
}

}  // namespace varve::internal
