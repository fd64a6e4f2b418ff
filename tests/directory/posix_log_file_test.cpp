// SPDX-License-Identifier: Apache-2.0
#include "directory/posix_log_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "directory/directory.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/longer_run.hpp"
#include "tests/support/temporary_directory.hpp"

namespace varve::directory {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRecordSize = 152;

// Of every record another, so that what an older life of its page held is not taken for it.
std::string record(std::uint64_t number) {
  std::string bytes(kRecordSize, static_cast<char>('a' + number % 26));
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

// Drops what the page cache holds of the file and is not dirty, so that it is read from the medium.
void forget_clean_pages(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  CHECK(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
  ::close(fd);
}

// Stores the records [from, to), published one by one.
void append(LogFile& log, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t number = from; number < to; ++number) {
    const std::size_t at = number * kRecordSize;
    const std::string bytes = record(number);
    std::memcpy(log.data() + at, bytes.data(), bytes.size());
    log.publish(at, at + bytes.size());
  }
}
// How many of the first `count` records are not what was appended.
std::uint64_t count_wrong(std::string_view bytes, std::uint64_t count) {
  std::uint64_t wrong_count = 0;
  for (std::uint64_t number = 0; number < count; ++number) {
    if (bytes.substr(number * kRecordSize, kRecordSize) != record(number)) ++wrong_count;
  }
  return wrong_count;
}

}  // namespace

// A sync lets go of pages that are being stored to. Had the system lost that one of them is dirty,
// the last sync would not write it, and what is read from the medium then would be something else.
TEST_CASE("what is appended while a log is synced is on the medium after the next sync",
          "[directory][log]") {
  const std::uint64_t capacity = test::setting("VARVE_LOG_SIZE", 24 << 20);
  const test::TemporaryDirectory scratch;
  const auto directory = make_posix_directory(scratch.path());
  std::unique_ptr<LogFile> log = directory->create_log("log-1", capacity);
  const std::uint64_t count = log->capacity() / kRecordSize;
  std::atomic<std::uint64_t> appended = 0, sync_count = 0;
  std::thread appender([&] {
    constexpr std::uint64_t kStep = 16;
    for (std::uint64_t number = 0; number < count; number += kStep) {
      const std::uint64_t end = std::min(number + kStep, count);
      append(*log, number, end);
      appended.store(end, std::memory_order_release);
      while (end > count / 2 && sync_count == 0) std::this_thread::yield();
    }
  });
  for (; appended.load(std::memory_order_acquire) < count; ++sync_count) log->sync();
  appender.join();
  log->sync();
  CHECK(sync_count > 0);
  log.reset();
  forget_clean_pages(scratch.path() / "log-1");
  CHECK(count_wrong(test::read_file(scratch.path() / "log-1"), count) == 0);
}

// Large syncs make the rest of the log's cache one of huge pages, small ones undo that.
TEST_CASE("a log holds what was appended, however large its syncs are", "[directory][log]") {
  const test::TemporaryDirectory scratch;
  const auto directory = make_posix_directory(scratch.path());
  std::unique_ptr<LogFile> log = directory->create_log("log-1", std::size_t{40} << 20);
  const std::uint64_t count = log->capacity() / kRecordSize;
  constexpr std::uint64_t kMany = (std::uint64_t{9} << 20) / kRecordSize, kFew = 3;
  std::uint64_t number = 0;
  const auto append_and_sync = [&](std::uint64_t more) {
    append(*log, number, number + more);
    number += more;
    log->sync();
  };
  for (int round = 0; round < 2; ++round) {
    append_and_sync(kMany);
    append_and_sync(kMany);
    for (int i = 0; i < 12; ++i) append_and_sync(kFew);
  }
  append_and_sync(count - number);
  log.reset();
  forget_clean_pages(scratch.path() / "log-1");
  CHECK(count_wrong(test::read_file(scratch.path() / "log-1"), count) == 0);
}

}  // namespace varve::directory
