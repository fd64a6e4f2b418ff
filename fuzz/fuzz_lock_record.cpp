// SPDX-License-Identifier: Apache-2.0
// Strategy: the mutator gives most inputs the size, magic, format and checksum of a lock record.
// Invariants: decoding never throws; what it accepts encodes to the same bytes, and its texts and
// numbers are fit to be shown.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "directory/checksum.hpp"
#include "directory/lock_record.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace {

using namespace varve::directory;

void repair(char* record) {
  std::memcpy(record, "VARVELCK\1\0\0\0", 12);
  store_le(record + 504,
           hash64({record, 504}, static_cast<std::uint64_t>(ChecksumDomain::LockRecord)));
}

bool is_text(const std::string& text, std::size_t size_max) {
  return text.size() <= size_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned seed) {
  if (size_max >= kLockRecordSize && (size != kLockRecordSize || seed % 64 == 0)) {
    LockRecord fresh;
    fresh.state = LockRecord::State::Open;
    fresh.pid = 4711;
    fresh.since_unix_seconds = 1'700'000'000;
    fresh.boot_id = "3c2b8d1e-0000-4000-8000-000000000000";
    fresh.host = "host";
    fresh.program = "program";
    const auto bytes = encode(fresh);
    std::memcpy(data, bytes.data(), bytes.size());
    size = bytes.size();
  }
  size = LLVMFuzzerMutate(data, size, seed % 32 == 1 ? size_max : size);
  if (size < kLockRecordSize && size_max >= kLockRecordSize && seed % 32 != 1) {
    std::memset(data + size, 0, kLockRecordSize - size);
    size = kLockRecordSize;
  }
  if (size >= kLockRecordSize && seed % 16 != 1) repair(reinterpret_cast<char*>(data));
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto record = decode_lock_record(bytes);
  if (!record) return 0;
  const auto again = encode(*record);
  VARVE_CHECK(std::string_view(again.data(), again.size()) == bytes);
  VARVE_CHECK(record->pid > 0 && record->pid <= INT32_MAX && record->since_unix_seconds >= 0);
  VARVE_CHECK(is_text(record->boot_id, 40) && is_text(record->host, 64));
  VARVE_CHECK(is_text(record->program, 64));
  VARVE_CHECK(to_holder(*record).pid == record->pid);
  return 0;
}
