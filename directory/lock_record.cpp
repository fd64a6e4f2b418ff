// SPDX-License-Identifier: Apache-2.0
#include "directory/lock_record.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "directory/mutant.hpp"

namespace varve::directory {
namespace {

constexpr std::string_view kMagic = "VARVELCK";
constexpr std::uint32_t kFormat = 1;
constexpr std::uint8_t kPrimitive = 1;
constexpr std::size_t kBootIdOffset = 64, kBootIdSize = 40;
constexpr std::size_t kHostOffset = 104, kHostSize = 64;
constexpr std::size_t kProgramOffset = 168, kProgramSize = 64;
constexpr std::size_t kReservedOffset = 232;
constexpr std::size_t kChecksumOffset = 504;
// The last second of the year 9999: later times have no common notation.
constexpr std::int64_t kSinceMax = 253'402'300'799;

std::uint64_t checksum_of(const char* record) noexcept {
  return hash64({record, kChecksumOffset}, static_cast<std::uint64_t>(ChecksumDomain::LockRecord));
}

bool is_printable(char byte) noexcept {
  return byte >= 0x20 && byte < 0x7f;
}

void store_text(char* to, std::size_t size, std::string_view text) noexcept {
  const std::size_t used = std::min(size, text.size());
  std::transform(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(used), to,
                 [](char byte) { return is_printable(byte) ? byte : '?'; });
}

// Printable bytes, then zeros; nothing when it is anything else.
std::optional<std::string> load_text(std::string_view field) {
  const auto text_end = std::find(field.begin(), field.end(), '\0');
  if (!std::all_of(field.begin(), text_end, is_printable)) return std::nullopt;
  if (!std::all_of(text_end, field.end(), [](char byte) { return byte == 0; })) return std::nullopt;
  return std::string(field.begin(), text_end);
}

}  // namespace

std::array<char, kLockRecordSize> encode(const LockRecord& record) noexcept {
  std::array<char, kLockRecordSize> bytes{};
  char* const to = bytes.data();
  std::memcpy(to, kMagic.data(), kMagic.size());
  store_le(to + 8, kFormat);
  to[12] = static_cast<char>(record.state);
  to[13] = record.healthy ? 1 : 0;
  to[14] = static_cast<char>(record.mode);
  to[15] = static_cast<char>(kPrimitive);
  store_le(to + 16, record.write_number);
  store_le(to + 24, record.writer_epoch);
  store_le(to + 32, static_cast<std::uint64_t>(record.pid));
  store_le(to + 40, record.process_start_ticks);
  store_le(to + 48, record.pid_namespace);
  store_le(to + 56, static_cast<std::uint64_t>(record.since_unix_seconds));
  store_text(to + kBootIdOffset, kBootIdSize, record.boot_id);
  store_text(to + kHostOffset, kHostSize, record.host);
  store_text(to + kProgramOffset, kProgramSize, record.program);
  store_le(to + kChecksumOffset, checksum_of(to));
  return bytes;
}

std::optional<LockRecord> decode_lock_record(std::string_view bytes) {
  if (bytes.size() != kLockRecordSize || !bytes.starts_with(kMagic)) return std::nullopt;
  const char* const from = bytes.data();
  if (load_le<std::uint64_t>(from + kChecksumOffset) != checksum_of(from) &&
      !VARVE_MUTANT("lock.checksum_ignored")) {
    return std::nullopt;
  }
  if (load_le<std::uint32_t>(from + 8) != kFormat) return std::nullopt;

  // A checksum proves that somebody computed it, not that we did: every field is still checked.
  const auto state = static_cast<std::uint8_t>(from[12]);
  const auto healthy = static_cast<std::uint8_t>(from[13]);
  const auto mode = static_cast<std::uint8_t>(from[14]);
  const auto pid = load_le<std::uint64_t>(from + 32);
  const auto since = load_le<std::uint64_t>(from + 56);
  if (state != 1 && state != 2) return std::nullopt;
  if (healthy > 1 || mode > 1 || static_cast<std::uint8_t>(from[15]) != kPrimitive) {
    return std::nullopt;
  }
  if (pid < 1 || pid > std::uint64_t{std::numeric_limits<std::int32_t>::max()}) return std::nullopt;
  if (since > std::uint64_t{kSinceMax}) return std::nullopt;
  const std::string_view reserved =
      bytes.substr(kReservedOffset, kChecksumOffset - kReservedOffset);
  if (reserved.find_first_not_of('\0') != std::string_view::npos) return std::nullopt;
  auto boot_id = load_text(bytes.substr(kBootIdOffset, kBootIdSize));
  auto host = load_text(bytes.substr(kHostOffset, kHostSize));
  auto program = load_text(bytes.substr(kProgramOffset, kProgramSize));
  if (!boot_id || !host || !program) return std::nullopt;

  LockRecord record;
  record.state = static_cast<LockRecord::State>(state);
  record.healthy = healthy == 1;
  record.mode = static_cast<LockMode>(mode);
  record.write_number = load_le<std::uint64_t>(from + 16);
  record.writer_epoch = load_le<std::uint64_t>(from + 24);
  record.pid = static_cast<std::int64_t>(pid);
  record.process_start_ticks = load_le<std::uint64_t>(from + 40);
  record.pid_namespace = load_le<std::uint64_t>(from + 48);
  record.since_unix_seconds = static_cast<std::int64_t>(since);
  record.boot_id = std::move(*boot_id);
  record.host = std::move(*host);
  record.program = std::move(*program);
  return record;
}

LockHolder to_holder(const LockRecord& record) {
  LockHolder holder;
  holder.pid = record.pid;
  holder.process_start_ticks = record.process_start_ticks;
  holder.boot_id = record.boot_id;
  holder.host = record.host;
  holder.program = record.program;
  holder.writer_epoch = record.writer_epoch;
  holder.since_unix_seconds = record.since_unix_seconds;
  holder.mode = record.mode;
  return holder;
}

}  // namespace varve::directory
