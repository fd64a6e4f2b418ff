// SPDX-License-Identifier: Apache-2.0
#include "directory/posix_log_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
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
  std::atomic<std::uint64_t> appended = 0;
  std::thread appender([&] {
    for (std::uint64_t number = 0; number < count; ++number) {
      const std::size_t at = number * kRecordSize;
      const std::string bytes = record(number);
      std::memcpy(log->data() + at, bytes.data(), bytes.size());
      log->publish(at, at + bytes.size());
      appended.store(number + 1, std::memory_order_release);
    }
  });
  std::uint64_t sync_count = 0;
  for (; appended.load(std::memory_order_acquire) < count; ++sync_count) log->sync();
  appender.join();
  log->sync();
  CHECK(sync_count > 0);
  log.reset();
  forget_clean_pages(scratch.path() / "log-1");
  const std::string bytes = test::read_file(scratch.path() / "log-1");
  std::uint64_t wrong_count = 0;
  for (std::uint64_t number = 0; number < count; ++number) {
    if (bytes.compare(number * kRecordSize, kRecordSize, record(number)) != 0) ++wrong_count;
  }
  CHECK(wrong_count == 0);
}

}  // namespace varve::directory
