// SPDX-License-Identifier: Apache-2.0
#include "directory/lock_record.hpp"

#include <limits>
#include <string>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "tests/support/catch.hpp"

namespace varve::directory {
namespace {

LockRecord full_record() {
  LockRecord record;
  record.state = LockRecord::State::Open;
  record.healthy = false;
  record.mode = LockMode::Shared;
  record.write_number = 0x0102030405060708;
  record.writer_epoch = std::numeric_limits<std::uint64_t>::max();
  record.pid = std::numeric_limits<std::int32_t>::max();
  record.process_start_ticks = 123456789;
  record.pid_namespace = 4026531836;
  record.since_unix_seconds = 1'795'223'529;
  record.boot_id = "01234567-89ab-cdef-0123-456789abcdef";
  record.host = std::string(64, 'h');
  record.program = "orderd (v2) beta";
  return record;
}

std::string bytes_of(const LockRecord& record) {
  const auto bytes = encode(record);
  return {bytes.data(), bytes.size()};
}

// As somebody would who knows the format and wants to mislead.
std::string forged(std::size_t offset, std::string_view field) {
  std::string bytes = bytes_of(full_record());
  bytes.replace(offset, field.size(), field);
  store_le(bytes.data() + 504,
           hash64({bytes.data(), 504}, static_cast<std::uint64_t>(ChecksumDomain::LockRecord)));
  return bytes;
}

std::string le64(std::uint64_t value) {
  std::string bytes;
  append_le(bytes, value);
  return bytes;
}

}  // namespace

TEST_CASE("a lock record reads back as it was written", "[directory][lock_record]") {
  const LockRecord record = full_record();
  REQUIRE(bytes_of(record).size() == kLockRecordSize);
  REQUIRE(decode_lock_record(bytes_of(record)) == record);

  LockRecord small;
  small.pid = 1;
  CHECK(decode_lock_record(bytes_of(small)) == small);
}

TEST_CASE("the fields of a lock record are where its table says", "[directory][lock_record]") {
  const std::string bytes = bytes_of(full_record());
  CHECK(bytes.substr(0, 8) == "VARVELCK");
  CHECK(load_le<std::uint32_t>(bytes.data() + 8) == 1);
  CHECK(bytes[12] == 2);
  CHECK(bytes[13] == 0);
  CHECK(bytes[14] == 1);
  CHECK(bytes[15] == 1);
  CHECK(load_le<std::uint64_t>(bytes.data() + 16) == 0x0102030405060708);
  CHECK(load_le<std::uint64_t>(bytes.data() + 32) == 0x7fffffff);
  CHECK(bytes.substr(64, 36) == "01234567-89ab-cdef-0123-456789abcdef");
  CHECK(bytes.substr(104, 64) == std::string(64, 'h'));
  CHECK(bytes.substr(168, 16) == "orderd (v2) beta");
  CHECK(bytes.substr(232, 272) == std::string(272, '\0'));
}

TEST_CASE("every flipped bit of a lock record is detected", "[directory][lock_record]") {
  const std::string bytes = bytes_of(full_record());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    CAPTURE(bit);
    REQUIRE_FALSE(decode_lock_record(damaged).has_value());
  }
}

TEST_CASE("a lock record of any other length is refused", "[directory][lock_record]") {
  const std::string bytes = bytes_of(full_record());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    REQUIRE_FALSE(decode_lock_record(std::string_view(bytes).substr(0, size)).has_value());
  }
  CHECK_FALSE(decode_lock_record(bytes + '\0').has_value());
  CHECK_FALSE(decode_lock_record(std::string(kLockRecordSize, '\0')).has_value());
}

TEST_CASE("a forged lock record with a good checksum is still checked field by field",
          "[directory][lock_record]") {
  REQUIRE(decode_lock_record(forged(32, le64(1))).has_value());  // The forgery itself works.
  const std::string format_2("\x02\0\0\0", 4);
  CHECK_FALSE(decode_lock_record(forged(8, format_2)));
  CHECK_FALSE(decode_lock_record(forged(12, std::string(1, '\0'))));
  CHECK_FALSE(decode_lock_record(forged(12, "\x03")));
  CHECK_FALSE(decode_lock_record(forged(13, "\x02")));
  CHECK_FALSE(decode_lock_record(forged(14, "\x02")));
  CHECK_FALSE(decode_lock_record(forged(15, "\x02")));
  // A pid that a system call would take for a group, for everybody, or for another number.
  for (const std::uint64_t pid : {std::uint64_t{0}, std::uint64_t{0x80000000}, ~std::uint64_t{0},
                                  std::uint64_t{0x100000001}}) {
    CAPTURE(pid);
    CHECK_FALSE(decode_lock_record(forged(32, le64(pid))));
  }
  CHECK_FALSE(decode_lock_record(forged(56, le64(~std::uint64_t{0}))));
  CHECK_FALSE(decode_lock_record(forged(56, le64(253'402'300'800))));
  CHECK_FALSE(decode_lock_record(forged(104, "\x1b[2J")));      // Would clear a terminal.
  CHECK_FALSE(decode_lock_record(forged(168 + 20, "hidden")));  // Text after the padding began.
  CHECK_FALSE(decode_lock_record(forged(400, "x")));
}

TEST_CASE("texts that a terminal would obey or that are too long are made harmless",
          "[directory][lock_record]") {
  LockRecord record = full_record();
  record.program = "a\x1b[31m\n\xc3\xa4";
  record.host = std::string(200, 'h');
  const auto decoded = decode_lock_record(bytes_of(record));
  REQUIRE(decoded.has_value());
  CHECK(decoded->program == "a?[31m???");
  CHECK(decoded->host == std::string(64, 'h'));
}

TEST_CASE("no lock record of random bytes is taken for one of ours", "[directory][lock_record]") {
  std::uint64_t state = 42;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = bytes_of(full_record());
    const std::size_t from = round % 2 == 0 ? 0 : 8;  // Half of them keep the magic.
    for (std::size_t i = from; i < bytes.size(); ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      bytes[i] = static_cast<char>(state >> 56);
    }
    REQUIRE_FALSE(decode_lock_record(bytes).has_value());
  }
}

}  // namespace varve::directory
