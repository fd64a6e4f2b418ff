// SPDX-License-Identifier: Apache-2.0
#include "lib/manifest.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "varve/error.hpp"
#include "varve/limits.hpp"

namespace varve::internal {

// MANIFEST                                                format 1; all integers little-endian
//
//   offset  size  field
//        0     8  magic              "VARVEMAN"
//        8     4  format             1; a reader refuses a larger one (Unsupported)
//       12     4  flags              bit 0: closed cleanly; all others zero
//       16     8  file_size          bytes; exactly the file's length
//       24     8  feature_bits       a reader refuses bits that it does not know (Unsupported)
//       32     8  writer_epoch
//       40     8  edit
//       48     8  next_segment_id
//       56     8  next_delta_number
//       64     8  next_log_number
//       72     8  last_sequence
//       80     8  checkpoint
//       88     8  log_count
//       96     8  segment_count
//      104     -  uuid, key_codec, value_codec, options_text: each a varint size and the bytes
//        -     -  logs:      varints number, sealed_end, synced_end
//        -     -  segments:  varint id | sized fence | varints version, flushed_sequence |
//                            u8 has_main (0, 1) | run, if so | varint slice_count | runs |
//                            varint range_tombstone_count | {sized from | sized to |
//                            varint sequence}
//  size - 8     8  checksum          XXH3-64 of all bytes before it
//
//   run: u8 kind (1 main, 2 slice) | varints file_number, file_version, offset, size, entry_count,
//        tombstone_count, raw_size, tier, first_sequence, last_sequence | u64 footer_checksum
//
// Varints have their shortest form, so one manifest has exactly one encoding. Magic, format, file
// size and the checksum at the end keep their places in every later format: a reader can tell a
// newer manifest from a damaged one. The checksum is seeded with the file's kind only, since the
// uuid is known no sooner than here; everything else in the directory is bound to that uuid.
// Golden copy: tests/golden/format-1/MANIFEST.

namespace {

using directory::ByteReader;
using directory::ChecksumDomain;

constexpr std::string_view kMagic = "VARVEMAN";
constexpr std::uint32_t kFlagClosedCleanly = 1;
constexpr std::size_t kFixedSize = 104, kChecksumSize = 8;
// The fewest bytes that one of them takes: bounds every count by the bytes that are left.
constexpr std::uint64_t kLogSizeMin = 3, kSegmentSizeMin = 7, kRunSizeMin = 19,
                        kRangeTombstoneSizeMin = 3;

void append_sized(std::string& to, std::string_view bytes) {
  directory::append_varint(to, bytes.size());
  to.append(bytes);
}

void append_run(std::string& to, const RunRecord& run) {
  to.push_back(static_cast<char>(run.kind));
  for (const std::uint64_t field :
       {run.file_number, run.file_version, run.offset, run.size, run.entry_count,
        run.tombstone_count, run.raw_size, std::uint64_t{run.tier}, run.first_sequence,
        run.last_sequence}) {
    directory::append_varint(to, field);
  }
  directory::append_le(to, run.footer_checksum);
}

void append_segment(std::string& to, const SegmentRecord& segment) {
  directory::append_varint(to, segment.id);
  append_sized(to, segment.fence);
  directory::append_varint(to, segment.version);
  directory::append_varint(to, segment.flushed_sequence);
  to.push_back(segment.main ? 1 : 0);
  if (segment.main) append_run(to, *segment.main);
  directory::append_varint(to, segment.slices.size());
  for (const RunRecord& slice : segment.slices) append_run(to, slice);
  directory::append_varint(to, segment.range_tombstones.size());
  for (const RangeTombstone& range : segment.range_tombstones) {
    append_sized(to, range.from);
    append_sized(to, range.to);
    directory::append_varint(to, range.sequence);
  }
}

std::string hex(std::uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4)
    text[static_cast<std::size_t>(i)] = kDigits[value & 15];
  return text;
}

// Reads the fields of one manifest; the first one that is impossible throws.
class Decoder {
 public:
  // Requires: file.size() >= kFixedSize + kChecksumSize.
  Decoder(std::string_view file, const std::string& path)
      : file_(file), reader_(file.substr(0, file.size() - kChecksumSize)), path_(path) {}

  Manifest decode() {
    check_envelope();
    read_fixed();
    manifest_.uuid = reader_.sized();
    manifest_.key_codec = reader_.sized();
    manifest_.value_codec = reader_.sized();
    manifest_.options_text = reader_.sized();
    check_read("a text");
    check_limits();
    read_logs();
    read_segments();
    if (reader_.remaining() != 0) {
      fail(reader_.offset(),
           "the checksum expected, " + std::to_string(reader_.remaining()) + " more bytes found");
    }
    if (const auto problem = find_manifest_problem(manifest_)) {
      fail(problem->segment == ManifestProblem::kNoSegment ? 0 : segment_offsets_[problem->segment],
           problem->what);
    }
    return std::move(manifest_);
  }

 private:
  [[noreturn]] void fail(std::size_t offset, const std::string& what) const {
    throw Error(ErrorCode::Corruption,
                path_ + ", manifest at byte " + std::to_string(offset) + ": " + what, path_);
  }
  void check_read(const char* what) const {
    if (reader_.ok()) return;
    fail(reader_.offset(), std::string(what) + " expected, none that fits found");
  }

  void check_envelope() {
    if (!file_.starts_with(kMagic)) {
      fail(0, "\"VARVEMAN\" expected, other bytes found: no manifest, or damaged");
    }
    const auto size = directory::load_le<std::uint64_t>(file_.data() + 16);
    if (size != file_.size()) {
      fail(16, "file size " + std::to_string(file_.size()) + " expected, " + std::to_string(size) +
                   " found");
    }
    const std::size_t at = file_.size() - kChecksumSize;
    const std::uint64_t expected = manifest_checksum(file_.substr(0, at));
    const auto found = directory::load_le<std::uint64_t>(file_.data() + at);
    if (expected != found && !VARVE_MUTANT("manifest.checksum_ignored")) {
      fail(at, "checksum " + hex(expected) + " expected, " + hex(found) + " found");
    }
    const auto format = directory::load_le<std::uint32_t>(file_.data() + 8);
    if (format == 0) fail(8, "format " + std::to_string(Manifest::kFormat) + " expected, 0 found");
    if (format > Manifest::kFormat) {
      throw Error(ErrorCode::Unsupported,
                  path_ + ", manifest: format " + std::to_string(Manifest::kFormat) +
                      " or older expected, " + std::to_string(format) +
                      " found: written by a newer version",
                  path_);
    }
    const auto features = directory::load_le<std::uint64_t>(file_.data() + 24);
    if ((features & ~kManifestFeaturesKnown) != 0) {
      throw Error(ErrorCode::Unsupported,
                  path_ + ", manifest: features " + hex(kManifestFeaturesKnown) +
                      " at most expected, " + hex(features) + " found: written by a newer version",
                  path_);
    }
  }

  void read_fixed() {
    reader_.take(kMagic.size() + sizeof(std::uint32_t));
    const auto flags = reader_.le<std::uint32_t>();
    if ((flags & ~kFlagClosedCleanly) != 0) {
      fail(12, "flags 0 or 1 expected, " + std::to_string(flags) + " found");
    }
    manifest_.closed_cleanly = (flags & kFlagClosedCleanly) != 0;
    reader_.le<std::uint64_t>();  // The size, which check_envelope() has compared.
    manifest_.feature_bits = reader_.le<std::uint64_t>();
    manifest_.writer_epoch = reader_.le<std::uint64_t>();
    manifest_.edit = reader_.le<std::uint64_t>();
    manifest_.next_segment_id = reader_.le<std::uint64_t>();
    manifest_.next_delta_number = reader_.le<std::uint64_t>();
    manifest_.next_log_number = reader_.le<std::uint64_t>();
    manifest_.last_sequence = reader_.le<std::uint64_t>();
    manifest_.checkpoint = reader_.le<std::uint64_t>();
    log_count_ = reader_.le<std::uint64_t>();
    segment_count_ = reader_.le<std::uint64_t>();
  }

  void check_limit(std::size_t at, const char* what, std::uint64_t found, std::uint64_t max) const {
    if (found <= max) return;
    fail(at, std::string(what) + " up to " + std::to_string(max) + " expected, " +
                 std::to_string(found) + " found");
  }
  void check_limits() const {
    check_limit(32, "a writer epoch", manifest_.writer_epoch, kManifestNumberMax);
    check_limit(40, "an edit", manifest_.edit, kManifestNumberMax);
    check_limit(48, "a next segment id", manifest_.next_segment_id, kManifestSegmentIdMax);
    check_limit(56, "a next delta number", manifest_.next_delta_number, kManifestNumberMax);
    check_limit(64, "a next log number", manifest_.next_log_number, kManifestNumberMax);
    check_limit(72, "a last sequence", manifest_.last_sequence, kManifestNumberMax);
    check_limit(80, "a checkpoint", manifest_.checkpoint, kManifestNumberMax);
  }

  void check_count(std::uint64_t count, std::uint64_t size_min, const char* what) const {
    check_read(what);
    const std::uint64_t count_max = reader_.remaining() / size_min;
    if (count <= count_max) return;
    fail(reader_.offset(), "at most " + std::to_string(count_max) + " " + what +
                               " expected in the bytes left, " + std::to_string(count) + " found");
  }

  void read_logs() {
    check_count(log_count_, kLogSizeMin, "logs");
    for (std::uint64_t i = 0; i < log_count_; ++i) {
      LogRecordEntry log;
      log.number = reader_.varint();
      log.sealed_end = reader_.varint();
      log.synced_end = reader_.varint();
      check_read("a log");
      manifest_.logs.push_back(log);
    }
  }

  RunRecord read_run() {
    RunRecord run;
    const std::size_t at = reader_.offset();
    const auto kind = reader_.le<std::uint8_t>();
    if (kind != 1 && kind != 2) {
      fail(at, "run kind 1 or 2 expected, " + std::to_string(kind) + " found");
    }
    run.kind = static_cast<RunRecord::Kind>(kind);
    run.file_number = reader_.varint();
    run.file_version = reader_.varint();
    run.offset = reader_.varint();
    run.size = reader_.varint();
    run.entry_count = reader_.varint();
    run.tombstone_count = reader_.varint();
    run.raw_size = reader_.varint();
    const std::uint64_t tier = reader_.varint();
    if (tier > UINT32_MAX) fail(at, "tier below 2^32 expected, " + std::to_string(tier) + " found");
    run.tier = static_cast<std::uint32_t>(tier);
    run.first_sequence = reader_.varint();
    run.last_sequence = reader_.varint();
    run.footer_checksum = reader_.le<std::uint64_t>();
    check_read("a run");
    return run;
  }

  void read_segments() {
    check_count(segment_count_, kSegmentSizeMin, "segments");
    for (std::uint64_t i = 0; i < segment_count_; ++i) {
      segment_offsets_.push_back(reader_.offset());
      manifest_.segments.push_back(read_segment());
    }
  }

  SegmentRecord read_segment() {
    SegmentRecord segment;
    segment.id = reader_.varint();
    segment.fence = reader_.sized();
    segment.version = reader_.varint();
    segment.flushed_sequence = reader_.varint();
    const std::size_t at = reader_.offset();
    const auto has_main = reader_.le<std::uint8_t>();
    if (has_main > 1) fail(at, "has_main 0 or 1 expected, " + std::to_string(has_main) + " found");
    if (has_main == 1) segment.main = read_run();
    const std::uint64_t slice_count = reader_.varint();
    check_count(slice_count, kRunSizeMin, "slices");
    for (std::uint64_t i = 0; i < slice_count; ++i) segment.slices.push_back(read_run());
    const std::uint64_t range_count = reader_.varint();
    check_count(range_count, kRangeTombstoneSizeMin, "range tombstones");
    for (std::uint64_t i = 0; i < range_count; ++i) {
      RangeTombstone range;
      range.from = reader_.sized();
      range.to = reader_.sized();
      range.sequence = reader_.varint();
      check_read("a range tombstone");
      segment.range_tombstones.push_back(std::move(range));
    }
    return segment;
  }

  std::string_view file_;
  ByteReader reader_;
  const std::string& path_;
  Manifest manifest_;
  std::uint64_t log_count_ = 0, segment_count_ = 0;
  std::vector<std::size_t> segment_offsets_;
};

}  // namespace

std::uint64_t manifest_checksum(std::string_view bytes_before) noexcept {
  return directory::hash64(bytes_before, directory::file_seed({}, ChecksumDomain::Manifest, 0));
}

std::string encode_manifest_unchecked(const Manifest& manifest) {
  using directory::append_le;
  std::string bytes(kMagic);
  append_le(bytes, Manifest::kFormat);
  append_le(bytes, manifest.closed_cleanly ? kFlagClosedCleanly : std::uint32_t{0});
  append_le(bytes, std::uint64_t{0});  // The size, known at the end.
  for (const std::uint64_t field :
       {manifest.feature_bits, manifest.writer_epoch, manifest.edit, manifest.next_segment_id,
        manifest.next_delta_number, manifest.next_log_number, manifest.last_sequence,
        manifest.checkpoint, std::uint64_t{manifest.logs.size()},
        std::uint64_t{manifest.segments.size()}}) {
    append_le(bytes, field);
  }
  append_sized(bytes, manifest.uuid);
  append_sized(bytes, manifest.key_codec);
  append_sized(bytes, manifest.value_codec);
  append_sized(bytes, manifest.options_text);
  for (const LogRecordEntry& log : manifest.logs) {
    directory::append_varint(bytes, log.number);
    directory::append_varint(bytes, log.sealed_end);
    directory::append_varint(bytes, log.synced_end);
  }
  for (const SegmentRecord& segment : manifest.segments) append_segment(bytes, segment);
  directory::store_le(bytes.data() + 16, std::uint64_t{bytes.size() + kChecksumSize});
  append_le(bytes, manifest_checksum(bytes));
  return bytes;
}

std::string encode_manifest(const Manifest& manifest) {
  if (const auto problem = find_manifest_problem(manifest)) {
    directory::check_failed(("manifest to be written: " + problem->what).c_str(), __FILE__,
                            __LINE__);
  }
  return encode_manifest_unchecked(manifest);
}

Manifest decode_manifest(std::string_view bytes, const std::string& path) {
  const std::size_t size_min = kFixedSize + kChecksumSize;
  if (bytes.size() < size_min) {
    throw Error(ErrorCode::Corruption,
                path + ", manifest: at least " + std::to_string(size_min) + " bytes expected, " +
                    std::to_string(bytes.size()) + " found",
                path);
  }
  return Decoder(bytes, path).decode();
}

std::string run_file_name(const RunRecord& run) {
  return run.kind == RunRecord::Kind::Main ? main_file_name(run.file_number, run.file_version)
                                           : delta_file_name(run.file_number);
}

std::uint64_t run_seed(const std::string& uuid, const RunRecord& run) {
  return run.kind == RunRecord::Kind::Main
             ? directory::file_seed(uuid, ChecksumDomain::MainRun, run.file_number,
                                    VARVE_MUTANT("run.version_not_in_seed") ? 0 : run.file_version)
             : directory::file_seed(uuid, ChecksumDomain::DeltaFile, run.file_number);
}

}  // namespace varve::internal
