// SPDX-License-Identifier: Apache-2.0
#include "lib/log_format.hpp"

#include <atomic>
#include <cstring>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "directory/mutant.hpp"
#include "lib/log_record.hpp"
#include "lib/manifest.hpp"
#include "varve/error.hpp"
#include "varve/limits.hpp"

namespace varve::internal {

// LOG FILE "log-<number>.varve"                           format 1; all integers little-endian
//
//   offset  size  field
//        0     8  magic             "VARVELOG"
//        8     4  format            1; a reader refuses a larger one (Unsupported)
//       12     4  header_size       4096
//       16     8  number            the one in the file's name
//       24     8  first_sequence    no record has a smaller one
//       32     2  uuid_size         bytes, at most 64
//       34     2  boot_id_size      bytes, at most 64
//       36     4  reserved          zero
//       40    64  uuid              of the index, zero-padded
//      104    64  boot_id           of the machine run that wrote the file, zero-padded
//      168     -  zeros up to 4088
//     4088     8  header_checksum   XXH3-64 of bytes [0, 4088)
//     4096     -  records (log_record.hpp), one behind the other, up to the first that is not valid
//
// The file is preallocated and perhaps recycled: behind the records lie zeros, or what an older log
// held there. A record's checksum and tag are seeded with (uuid, number, offset), so an old record,
// or one from another place, is never valid. Magic, format and header_checksum keep their places in
// every later format. Golden copy: tests/golden/format-1/log-7.varve.

namespace {

using directory::ChecksumDomain;
using directory::load_le;
using directory::store_le;

constexpr std::string_view kMagic = "VARVELOG";
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kTextSizeMax = 64, kUuidAt = 40, kBootIdAt = 104, kTextsEnd = 168,
                      kChecksumAt = 4088;

std::uint64_t header_checksum(const char* header) noexcept {
  return directory::hash64({header, kChecksumAt}, directory::file_seed({}, ChecksumDomain::Log, 0));
}

[[noreturn]] void fail_header(const std::string& path, std::size_t offset,
                              const std::string& what) {
  throw Error(ErrorCode::Corruption,
              path + ", log header at byte " + std::to_string(offset) + ": " + what, path);
}

bool all_zero(std::string_view bytes) noexcept {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

}  // namespace

void append_operation(std::string& to, OperationKind kind, std::string_view first,
                      std::string_view second) {
  to.push_back(static_cast<char>(kind));
  directory::append_varint(to, first.size());
  to.append(first);
  if (kind == OperationKind::Erase) return;
  directory::append_varint(to, second.size());
  to.append(second);
}

bool OperationReader::next(Operation& operation) noexcept {
  if (!ok_ || offset_ == bytes_.size()) return false;
  directory::ByteReader reader(bytes_.substr(offset_));
  const auto kind = reader.le<std::uint8_t>();
  operation.kind = static_cast<OperationKind>(kind);
  operation.key = reader.sized();
  operation.value = {};
  ok_ = false;
  switch (operation.kind) {
    case OperationKind::Put:
      operation.value = reader.sized();
      if (operation.value.size() > kValueSizeMax) return false;
      [[fallthrough]];
    case OperationKind::Erase:
      if (operation.key.size() < kKeySizeMin) return false;
      break;
    case OperationKind::EraseRange:
      operation.value = reader.sized();
      if (operation.value.size() > kKeySizeMax) return false;
      break;
    default:
      return false;
  }
  if (!reader.ok() || operation.key.size() > kKeySizeMax) return false;
  offset_ += reader.offset();
  ok_ = true;
  return true;
}

void encode_log_header(const LogHeader& header, char* to) {
  VARVE_CHECK(!header.uuid.empty() && header.uuid.size() <= kTextSizeMax);
  VARVE_CHECK(header.boot_id.size() <= kTextSizeMax);
  std::memset(to, 0, kLogHeaderSize);
  std::memcpy(to, kMagic.data(), kMagic.size());
  store_le(to + 8, kFormat);
  store_le(to + 12, static_cast<std::uint32_t>(kLogHeaderSize));
  store_le(to + 16, header.number);
  store_le(to + 24, header.first_sequence);
  store_le(to + 32, static_cast<std::uint16_t>(header.uuid.size()));
  store_le(to + 34, static_cast<std::uint16_t>(header.boot_id.size()));
  header.uuid.copy(to + kUuidAt, kTextSizeMax);
  header.boot_id.copy(to + kBootIdAt, kTextSizeMax);
  store_le(to + kChecksumAt, header_checksum(to));
}

LogHeader decode_log_header(std::string_view bytes, const std::string& path) {
  if (bytes.size() < kLogHeaderSize) {
    fail_header(path, 0,
                std::to_string(kLogHeaderSize) + " bytes at least expected, " +
                    std::to_string(bytes.size()) + " found");
  }
  if (!bytes.starts_with(kMagic)) {
    fail_header(path, 0, "\"VARVELOG\" expected, other bytes found: no log, or damaged");
  }
  const char* at = bytes.data();
  const std::uint64_t expected = header_checksum(at);
  const auto found = load_le<std::uint64_t>(at + kChecksumAt);
  if (expected != found) {
    fail_header(
        path, kChecksumAt,
        "checksum " + std::to_string(expected) + " expected, " + std::to_string(found) + " found");
  }
  const auto format = load_le<std::uint32_t>(at + 8);
  if (format > kFormat) {
    throw Error(ErrorCode::Unsupported,
                path + ", log header: format " + std::to_string(kFormat) + " or older expected, " +
                    std::to_string(format) + " found: written by a newer version",
                path);
  }
  const auto uuid_size = load_le<std::uint16_t>(at + 32);
  const auto boot_id_size = load_le<std::uint16_t>(at + 34);
  if (format == 0 || load_le<std::uint32_t>(at + 12) != kLogHeaderSize ||
      load_le<std::uint32_t>(at + 36) != 0 || uuid_size > kTextSizeMax ||
      boot_id_size > kTextSizeMax) {
    fail_header(path, 8, "the fields of format 1 expected, impossible sizes found");
  }
  if (!all_zero(bytes.substr(kUuidAt + uuid_size, kTextSizeMax - uuid_size)) ||
      !all_zero(bytes.substr(kBootIdAt + boot_id_size, kTextSizeMax - boot_id_size)) ||
      !all_zero(bytes.substr(kTextsEnd, kChecksumAt - kTextsEnd))) {
    fail_header(path, kUuidAt, "zeros between the fields expected, other bytes found");
  }
  if (const auto first = load_le<std::uint64_t>(at + 24); first > kManifestNumberMax) {
    fail_header(path, 24,
                "a first sequence up to " + std::to_string(kManifestNumberMax) + " expected, " +
                    std::to_string(first) + " found");
  }
  return {.uuid = std::string(bytes.substr(kUuidAt, uuid_size)),
          .number = load_le<std::uint64_t>(at + 16),
          .first_sequence = load_le<std::uint64_t>(at + 24),
          .boot_id = std::string(bytes.substr(kBootIdAt, boot_id_size))};
}

std::uint64_t log_seed(std::string_view uuid, std::uint64_t number) noexcept {
  if (VARVE_MUTANT("log.number_not_in_seed")) number = 0;
  return directory::file_seed(uuid, ChecksumDomain::Log, number);
}

std::size_t encode_log_record(char* to, std::uint64_t log_seed, std::uint64_t offset,
                              Sequence sequence, std::string_view payload) noexcept {
  const std::size_t size = log_record_size(payload.size());
  const std::uint64_t seed = directory::part_seed(log_seed, offset);
  char* const payload_at = to + kLogRecordHeaderSize;
  store_le(to + 8, static_cast<std::uint32_t>(payload.size()));
  store_le(to + 12, log_record_tag(seed));
  store_le(to + 16, sequence);
  if (payload.data() != payload_at && !payload.empty()) {
    std::memcpy(payload_at, payload.data(), payload.size());
  }
  // Clears the 0 to 7 bytes of padding; they are the last ones of the record's last word.
  const std::size_t padding = size - kLogRecordHeaderSize - payload.size();
  char* const last_word = to + size - 8;
  store_le(last_word, load_le<std::uint64_t>(last_word) & (~std::uint64_t{0} >> (8 * padding)));
  const std::uint64_t checksum = directory::hash64({to + 8, size - 8}, seed);
  // Keeps the compiler from storing the checksum before what it vouches for.
  std::atomic_signal_fence(std::memory_order_release);
  store_le(to, checksum);
  return size;
}

}  // namespace varve::internal
