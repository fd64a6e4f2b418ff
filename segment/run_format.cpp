// SPDX-License-Identifier: Apache-2.0
#include "segment/run_format.hpp"

#include <limits>
#include <optional>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "segment/block.hpp"
#include "segment/filter.hpp"
#include "varve/error.hpp"
#include "varve/limits.hpp"

namespace varve::segment {
namespace {

constexpr std::string_view kMagic = "VARVERUN";
constexpr std::size_t kChecksummedSize = kRunFooterSize - 8;
// Size, entry count and separator size take at least a byte each.
constexpr std::uint64_t kSeparatorRecordSizeMin = 3;

// Throws findings about the parts of one run that are read when it is opened.
class Reporter {
 public:
  Reporter(const RunLocation& location, const std::string& file_name)
      : location_(location), file_name_(file_name) {}
  // `offset`: from the start of the run. All entries are lost without these parts.
  [[noreturn]] void fail(std::uint64_t offset, std::string what, std::string expected,
                         std::string found) const {
    throw_finding(file_name_, {.offset = location_.offset + offset,
                               .what = std::move(what),
                               .expected = std::move(expected),
                               .found = std::move(found),
                               .first_key = {},
                               .last_key = {},
                               .entry_count = location_.entry_count});
  }
  void check_equal(std::uint64_t offset, const char* what, std::uint64_t expected,
                   std::uint64_t found) const {
    if (expected != found) fail(offset, what, std::to_string(expected), std::to_string(found));
  }

 private:
  const RunLocation& location_;
  const std::string& file_name_;
};

void check_footer_checksum(std::string_view bytes, std::uint64_t offset, std::uint64_t stored,
                           const RunLocation& location, const Reporter& report) {
  if (!bytes.starts_with(kMagic)) {
    report.fail(offset, "magic of a run's footer", "\"VARVERUN\"",
                printable_key(bytes.substr(0, 8)));
  }
  const std::uint64_t computed =
      directory::hash64(bytes.substr(0, kChecksummedSize),
                        directory::part_seed(location.seed, location.offset + offset));
  if (stored != computed && !VARVE_MUTANT("run.footer_checksum_ignored")) {
    report.fail(offset, "checksum of a run's footer", hex64(stored), hex64(computed));
  }
  if (stored != location.footer_checksum && !VARVE_MUTANT("run.footer_not_compared")) {
    report.fail(offset, "footer checksum that the manifest holds", hex64(location.footer_checksum),
                hex64(stored));
  }
}

}  // namespace

std::string encode_footer(RunFooter& footer, std::uint64_t file_seed, std::uint64_t offset) {
  std::string bytes(kMagic);
  directory::append_le(bytes, kRunFormat);
  directory::append_le(bytes, footer.block_size);
  for (const std::uint64_t field :
       {footer.run_size, footer.block_count, footer.entry_count, footer.tombstone_count,
        footer.key_count, footer.raw_size, footer.sequence_max, footer.separators_offset,
        footer.filter_offset, std::uint64_t{0}, footer.separators_checksum, footer.filter_checksum,
        std::uint64_t{0}}) {
    directory::append_le(bytes, field);
  }
  VARVE_CHECK(bytes.size() == kChecksummedSize);
  footer.footer_checksum = directory::hash64(bytes, directory::part_seed(file_seed, offset));
  directory::append_le(bytes, footer.footer_checksum);
  return bytes;
}

RunFooter parse_footer(std::string_view bytes, const RunLocation& location,
                       const std::string& file_name) {
  const Reporter report(location, file_name);
  const std::uint64_t offset = location.size - kRunFooterSize;
  RunFooter footer;
  footer.footer_checksum = directory::load_le<std::uint64_t>(bytes.data() + kChecksummedSize);
  check_footer_checksum(bytes, offset, footer.footer_checksum, location, report);
  directory::ByteReader reader(bytes.substr(kMagic.size()));
  const auto format = reader.le<std::uint32_t>();
  if (format > kRunFormat) {
    throw Error(ErrorCode::Unsupported,
                file_name + ", run at byte " + std::to_string(location.offset) + ": format " +
                    std::to_string(kRunFormat) + " or older expected, " + std::to_string(format) +
                    " found: written by a newer version",
                file_name);
  }
  report.check_equal(offset, "format of a run", kRunFormat, format);
  footer.block_size = reader.le<std::uint32_t>();
  std::uint64_t reserved[2] = {0, 0};
  for (std::uint64_t* field :
       {&footer.run_size, &footer.block_count, &footer.entry_count, &footer.tombstone_count,
        &footer.key_count, &footer.raw_size, &footer.sequence_max, &footer.separators_offset,
        &footer.filter_offset, &reserved[0], &footer.separators_checksum, &footer.filter_checksum,
        &reserved[1]}) {
    *field = reader.le<std::uint64_t>();
  }
  report.check_equal(offset, "reserved field of a run's footer", 0, reserved[0] | reserved[1]);
  report.check_equal(offset, "size of a run", location.size, footer.run_size);
  report.check_equal(offset, "entry count of a run", location.entry_count, footer.entry_count);
  // Two varint sizes and one record are the least that a separator section can hold.
  if (footer.separators_offset < kBlockUnit || footer.separators_offset % kBlockUnit != 0 ||
      footer.filter_offset > offset || footer.filter_offset % kBlockUnit != 0 ||
      footer.separators_offset >= footer.filter_offset ||
      (offset - footer.filter_offset) % kFilterBlockSize != 0 ||
      footer.separators_offset / kBlockUnit > std::numeric_limits<std::uint32_t>::max()) {
    report.fail(
        offset, "offsets of a run's sections", "ascending multiples of 64 inside the run",
        std::to_string(footer.separators_offset) + " and " + std::to_string(footer.filter_offset));
  }
  if (footer.block_count == 0 || footer.block_count > footer.separators_offset / kBlockUnit ||
      footer.block_count >
          (footer.filter_offset - footer.separators_offset) / kSeparatorRecordSizeMin) {
    report.fail(offset, "block count of a run", "a count that fits its sections",
                std::to_string(footer.block_count));
  }
  return footer;
}

namespace {

struct SeparatorRecord {
  std::uint64_t units = 0, entries = 0;  // Of a block.
  std::string_view separator;
};
// Returns what follows the record, or null when it does not end before `end`.
const char* parse_record(const char* at, const char* end, SeparatorRecord& record) noexcept {
  std::uint64_t size = 0;
  const bool bytes_each =  // As in an ordinary run.
      static_cast<std::size_t>(end - at) >= kSeparatorRecordSizeMin &&
      ((static_cast<unsigned char>(at[0]) | static_cast<unsigned char>(at[1]) |
        static_cast<unsigned char>(at[2])) &
       0x80U) == 0;
  if (bytes_each) [[likely]] {
    record.units = static_cast<unsigned char>(at[0]);
    record.entries = static_cast<unsigned char>(at[1]);
    size = static_cast<unsigned char>(at[2]);
    at += kSeparatorRecordSizeMin;
  } else {
    for (std::uint64_t* const number : {&record.units, &record.entries, &size}) {
      at = directory::parse_varint(at, end, *number);
      if (at == nullptr) return nullptr;
    }
  }
  if (size > static_cast<std::size_t>(end - at)) return nullptr;
  record.separator = {at, static_cast<std::size_t>(size)};
  return at + size;
}

// Whether keys that lie in front of `end` ascend, for most by their first 8 bytes.
class AscendingOrder {
 public:
  explicit AscendingOrder(const char* end) noexcept : end_(end) {}
  // The first one follows the empty key.
  bool follows(std::string_view key) noexcept {
    const std::optional<std::uint64_t> head = head_of(key);
    const bool told = head && head_ && *head != *head_;
    const bool above = told ? *head > *head_ : key > last_;
    head_ = head;
    last_ = key;
    return above;
  }

 private:
  // Its first 8 bytes, big-endian, as if zeros followed it. None where too little is there to read.
  [[nodiscard]] std::optional<std::uint64_t> head_of(std::string_view key) const noexcept {
    constexpr std::size_t kSize = sizeof(std::uint64_t);
    if (key.empty() || static_cast<std::size_t>(end_ - key.data()) < kSize) return std::nullopt;
    const auto head = directory::load_be<std::uint64_t>(key.data());
    return key.size() >= kSize ? head : head & ~(~std::uint64_t{0} >> (8 * key.size()));
  }
  const char* const end_;
  std::optional<std::uint64_t> head_;
  std::string_view last_;
};

}  // namespace

RunSeparators parse_separators(std::string_view bytes, const RunFooter& footer,
                               const RunLocation& location, const std::string& file_name) {
  const Reporter report(location, file_name);
  const auto fail = [&](const char* what, std::uint64_t expected, std::uint64_t found) {
    report.check_equal(footer.separators_offset, what, expected, found);
  };
  directory::ByteReader reader(bytes);
  RunSeparators result;
  result.smallest_key = reader.sized();
  result.largest_key = reader.sized();
  const auto block_count = static_cast<std::size_t>(footer.block_count);
  result.block_offsets.resize(block_count + 1);
  result.entry_counts.resize(block_count);
  result.separators.resize(block_count);
  const std::uint64_t unit_count = footer.separators_offset / kBlockUnit;
  std::uint64_t units = 0;
  std::uint64_t entries = 0;
  const char* at = bytes.data() + reader.offset();
  const char* const end = bytes.data() + bytes.size();
  AscendingOrder order(end);
  for (std::size_t i = 0; i < block_count; ++i) {
    SeparatorRecord record;
    const char* const next = parse_record(at, end, record);
    const std::string_view separator = record.separator;
    const bool in_order = i == 0 ? separator.empty() : order.follows(separator);
    if (!reader.ok() || next == nullptr || record.units == 0 || record.units > unit_count - units ||
        record.entries == 0 || record.entries > footer.entry_count - entries || !in_order ||
        separator.size() > kKeySizeMax) {
      report.fail(footer.separators_offset + static_cast<std::size_t>(at - bytes.data()),
                  "record of a run's separator section",
                  "a block inside the run and an ascending separator",
                  "block " + std::to_string(i) + " of " + std::to_string(block_count) + ": " +
                      std::to_string(record.units) + " units, " + std::to_string(record.entries) +
                      " entries, separator " + printable_key(separator));
    }
    result.block_offsets[i] = static_cast<std::uint32_t>(units);
    result.entry_counts[i] = static_cast<std::uint32_t>(record.entries);
    result.separators[i] = separator;
    units += record.units;
    entries += record.entries;
    at = next;
  }
  static_cast<void>(reader.take(static_cast<std::size_t>(at - bytes.data()) - reader.offset()));
  result.block_offsets[block_count] = static_cast<std::uint32_t>(units);
  fail("units of a run's blocks", unit_count, units);
  fail("entries of a run's blocks", footer.entry_count, entries);
  if (reader.remaining() >= kBlockUnit ||
      reader.take(reader.remaining()).find_first_not_of('\0') != std::string_view::npos) {
    report.fail(footer.separators_offset, "padding of a run's separator section", "zeros",
                "others");
  }
  if (result.smallest_key > result.largest_key || result.largest_key.size() > kKeySizeMax ||
      result.largest_key < result.separators.back()) {
    report.fail(footer.separators_offset, "smallest and largest key of a run",
                "keys in order, not below the last separator",
                printable_key(result.smallest_key) + " and " + printable_key(result.largest_key));
  }
  return result;
}

std::string_view shortest_separator(std::string_view below, std::string_view above) {
  return above.substr(
      0, shared_prefix_size(below, above) + (VARVE_MUTANT("run.separator_too_short") ? 0 : 1));
}

std::string hex64(std::uint64_t value) {
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  return text;
}

std::string printable_key(std::string_view key) {
  constexpr std::size_t kShownMax = 40;
  std::string text = "\"";
  for (const char c : key.substr(0, kShownMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      text += c;
    } else {
      text += {'\\', 'x', "0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
    }
  }
  text += '"';
  if (key.size() > kShownMax) text += "... (" + std::to_string(key.size()) + " bytes)";
  return text;
}

void throw_finding(const std::string& file_name, const RunFinding& finding) {
  std::string message = file_name + ", " + finding.what + " at byte " +
                        std::to_string(finding.offset) + ": " + finding.expected + " expected, " +
                        finding.found + " found; " + std::to_string(finding.entry_count) +
                        " entries concerned";
  if (!finding.last_key.empty()) {
    message += ", keys from " + printable_key(finding.first_key) + " to " +
               printable_key(finding.last_key);
  }
  throw Error(ErrorCode::Corruption, message, file_name);
}

}  // namespace varve::segment
