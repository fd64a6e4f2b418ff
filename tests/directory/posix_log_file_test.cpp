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
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "directory/directory.hpp"
#include "directory/file_system.hpp"
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

// In memory. Tells what was said about the pages of its mapping.
class HeldFile final : public File {
 public:
  struct Preference {
    std::size_t from;
    bool huge;
    friend bool operator==(const Preference&, const Preference&) = default;
  };
  HeldFile(std::size_t size, std::vector<Preference>& told) : bytes_(size, '\0'), told_(told) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] std::size_t read(std::uint64_t offset, std::span<char> out) const override {
    return bytes_.copy(out.data(), out.size(), offset);
  }
  void write(std::uint64_t offset, std::string_view bytes) override {
    bytes_.replace(offset, bytes.size(), bytes);
  }
  void allocate(std::uint64_t /*size*/) override {}
  void truncate(std::uint64_t size) override { bytes_.resize(size); }
  void punch(std::uint64_t /*offset*/, std::uint64_t /*size*/) override {}
  void start_write_back(std::uint64_t /*offset*/, std::uint64_t /*size*/) override {}
  void sync() override {}
  [[nodiscard]] std::unique_ptr<WritableMapping> map_writable() override {
    return std::make_unique<Mapping>(*this);
  }
  [[nodiscard]] std::unique_ptr<ReadableMapping> map_readable() const override { return nullptr; }

 private:
  struct Mapping final : WritableMapping {
    explicit Mapping(HeldFile& of) : file(of) {}
    [[nodiscard]] char* data() noexcept override { return file.bytes_.data(); }
    [[nodiscard]] std::size_t size() const noexcept override { return file.bytes_.size(); }
    void populate(std::size_t /*offset*/, std::size_t /*size*/) noexcept override {}
    void let_go(std::size_t /*from*/, std::size_t /*to*/) noexcept override {}
    void prefer_huge_pages(std::size_t from, bool huge) noexcept override {
      file.told_.push_back({from, huge});
    }
    HeldFile& file;
  };
  std::string bytes_;
  std::vector<Preference>& told_;
};

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

TEST_CASE("a log begins as the one before it ended: with huge pages while syncs are large",
          "[directory][log]") {
  constexpr std::size_t kSize = std::size_t{16} << 20, kMany = std::size_t{9} << 20;
  const auto average = std::make_shared<LogSyncAverage>(0);
  std::vector<HeldFile::Preference> told;
  const auto make = [&](const char* name) {
    told.clear();
    return make_posix_log_file(name, std::make_unique<HeldFile>(kSize, told), average);
  };
  auto log = make("log-1");
  CHECK(told.empty());
  log->publish(0, kMany);
  log->sync();
  if (told.empty()) {
    WARN("this system's syncs let go of what lies behind the end alone, in its own pages");
    return;
  }
  REQUIRE(told.size() == 1);
  CHECK(told.front().huge);
  CHECK(told.front().from >= kMany);
  log = make("log-2");
  CHECK(told == std::vector<HeldFile::Preference>{{0, true}});
  for (std::size_t end = 100; end <= 1200; end += 100) {
    log->publish(end - 100, end);
    log->sync();
  }
  REQUIRE(told.size() == 2);
  CHECK_FALSE(told.back().huge);
  log = make("log-3");
  CHECK(told.empty());
}

}  // namespace varve::directory
