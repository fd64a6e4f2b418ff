// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "directory/directory.hpp"
#include "directory/posix_directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/error.hpp"

// What every Directory promises, checked on each implementation.
namespace varve::directory {
namespace {

using std::chrono::milliseconds;

// `kind`: "posix", "simulated" (PosixDirectory over a SimulatedFileSystem), "unmappable" (that,
// without mappings) or "memory".
class Subject {
 public:
  explicit Subject(const std::string& kind) {
    if (kind == "posix") {
      directory_ = make_posix_directory(temporary_.path());
    } else if (kind == "memory") {
      directory_ = make_memory_directory();
    } else {
      auto disk = std::make_shared<SimulatedFileSystem>();
      disk->set_mappable(kind != "unmappable");
      directory_ = make_posix_directory(disk);
    }
  }
  Directory& operator*() const { return *directory_; }
  Directory* operator->() const { return directory_.get(); }
  void drop() { directory_.reset(); }

 private:
  test::TemporaryDirectory temporary_;
  std::shared_ptr<Directory> directory_;
};

#define EVERY_KIND GENERATE(as<std::string>(), "posix", "memory", "simulated", "unmappable")

void put(Directory& directory, std::string_view name, std::string_view bytes) {
  directory.put_immutable(name, [&](Sink& sink) { sink.append(bytes); });
}

std::string read(const Directory& directory, std::string_view name) {
  return directory.read_all(name, 1 << 30);
}

std::string names(const Directory& directory) {
  std::string all;
  for (const FileInfo& entry : directory.list()) all += entry.name + " ";
  return all;
}

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint64_t x = 88172645463325252ULL;
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    std::memcpy(bytes.data() + i, &x, 8);
  }
  return bytes;
}

template <typename Call>
ErrorCode code_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK_FALSE(error.path().empty());
    return error.code();
  }
  FAIL("an Error was expected");
  return {};
}

TEST_CASE("an immutable file has the bytes that were appended, in order", "[directory]") {
  const Subject directory(EVERY_KIND);
  directory->put_immutable("a", [](Sink& sink) {
    CHECK(sink.offset() == 0);
    sink.append("one ");
    sink.append("");
    sink.append("two");
    CHECK(sink.offset() == 7);
  });
  CHECK(read(*directory, "a") == "one two");
  put(*directory, "empty", "");
  CHECK(read(*directory, "empty").empty());
  CHECK(directory->open("empty")->size() == 0);
  CHECK(directory->open("empty")->map().empty());
}

TEST_CASE("a file of many write chunks is whole, whatever the sizes of the pieces", "[directory]") {
  const Subject directory(EVERY_KIND);
  constexpr std::size_t kChunk = PosixDirectory::kWriteChunkSize;
  const std::string bytes = pattern(2 * kChunk + kChunk / 2 + 3);
  directory->put_immutable("large", [&](Sink& sink) {
    std::string_view rest = bytes;
    for (const std::size_t size : {std::size_t{1}, kChunk + 1, std::size_t{7}, std::size_t{0}}) {
      sink.append(rest.substr(0, size));
      rest.remove_prefix(size);
      CHECK(sink.offset() == bytes.size() - rest.size());
    }
    sink.append(rest);
  });
  CHECK((read(*directory, "large") == bytes));
  directory->put_immutable("at-once", [&](Sink& sink) { sink.append(bytes); });
  CHECK((read(*directory, "at-once") == bytes));
}

TEST_CASE("a writer that throws leaves no file", "[directory]") {
  const Subject directory(EVERY_KIND);
  CHECK_THROWS_AS(directory->put_immutable("a",
                                           [](Sink& sink) {
                                             sink.append("half");
                                             throw std::runtime_error("the merge was cancelled");
                                           }),
                  std::runtime_error);
  CHECK(names(*directory).empty());
  put(*directory, "a", "whole");
  CHECK(read(*directory, "a") == "whole");
}

TEST_CASE("an immutable file is never written twice", "[directory]") {
  const Subject directory(EVERY_KIND);
  put(*directory, "a", "first");
  CHECK(code_of([&] { put(*directory, "a", "second"); }) == ErrorCode::AlreadyExists);
  bool begun = false;
  CHECK(code_of([&] { directory->put_immutable("a", [&](Sink&) { begun = true; }); }) ==
        ErrorCode::AlreadyExists);
  CHECK_FALSE(begun);
  CHECK(read(*directory, "a") == "first");
  CHECK(names(*directory) == "a ");
}

TEST_CASE("what gets the name of a file that is being written stays, and the writer is told",
          "[directory]") {
  const Subject directory(EVERY_KIND);
  const auto overtaken = [&](Sink& sink) {
    sink.append("late");
    static_cast<void>(directory->create_log("a", 4096));
  };
  CHECK(code_of([&] { directory->put_immutable("a", overtaken); }) == ErrorCode::AlreadyExists);
  CHECK(read(*directory, "a").size() == 4096);
  CHECK(names(*directory) == "a ");
}

TEST_CASE("replace makes or replaces a file as a whole", "[directory]") {
  const Subject directory(EVERY_KIND);
  directory->replace("MANIFEST", "long contents");
  const auto before = directory->open("MANIFEST");
  directory->replace("MANIFEST", "short");
  CHECK(read(*directory, "MANIFEST") == "short");
  std::string old(before->size(), '\0');
  before->read(0, old);
  CHECK(old == "long contents");  // Whoever has it open goes on reading what it was.
  CHECK(names(*directory) == "MANIFEST ");
}

TEST_CASE("reads are of exactly the range asked for", "[directory]") {
  const Subject directory(EVERY_KIND);
  const bool mapped = GENERATE(false, true);
  put(*directory, "a", "0123456789");
  const auto file = directory->open("a");
  CHECK(file->name() == "a");
  CHECK(file->size() == 10);
  if (mapped) {
    const std::string_view view = file->map();
    CHECK((view.empty() || view == "0123456789"));
    CHECK(file->map().data() == view.data());
  }
  std::string out(4, '\0');
  file->read(3, out);
  CHECK(out == "3456");
  file->read(6, out);
  CHECK(out == "6789");
  file->read(10, {});
  for (const std::uint64_t offset : {std::uint64_t{7}, std::uint64_t{10}, std::uint64_t{11},
                                     ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    CAPTURE(offset);
    CHECK(code_of([&] { file->read(offset, out); }) == ErrorCode::Corruption);
  }
}

TEST_CASE("what is absent is NotFound; removing it is no error", "[directory]") {
  const Subject directory(EVERY_KIND);
  CHECK(code_of([&] { static_cast<void>(directory->open("a")); }) == ErrorCode::NotFound);
  CHECK(code_of([&] { static_cast<void>(directory->read_all("a", 9)); }) == ErrorCode::NotFound);
  CHECK(code_of([&] { directory->punch("a", 0, 1); }) == ErrorCode::NotFound);
  CHECK(code_of([&] { static_cast<void>(directory->recycle_log("a", "b", 9)); }) ==
        ErrorCode::NotFound);
  directory->remove("a");
  CHECK(directory->list().empty());
}

TEST_CASE("read_all refuses a file larger than expected", "[directory]") {
  const Subject directory(EVERY_KIND);
  put(*directory, "a", "12345");
  CHECK(directory->read_all("a", 5) == "12345");
  CHECK(code_of([&] { static_cast<void>(directory->read_all("a", 4)); }) ==
        ErrorCode::LimitExceeded);
}

TEST_CASE("list names every file with its size, in order", "[directory]") {
  const Subject directory(EVERY_KIND);
  put(*directory, "b", "22");
  put(*directory, "a-1.varve", "1");
  directory->replace("c", "333");
  const auto entries = directory->list();
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].name == "a-1.varve");
  CHECK(entries[0].size == 1);
  CHECK(entries[1].name == "b");
  CHECK(entries[2].size == 3);
  CHECK(entries[2].kind == FileKind::Regular);
  directory->remove("b");
  CHECK(names(*directory) == "a-1.varve c ");
}

TEST_CASE("an open file outlives its removal, mapped or not, and its directory", "[directory]") {
  Subject directory(EVERY_KIND);
  const std::string bytes = pattern(3 << 20);
  put(*directory, "a", bytes);
  const auto mapped = directory->open("a");
  const auto unmapped = directory->open("a");
  const std::string_view view = mapped->map();
  directory->remove("a");
  CHECK(directory->list().empty());
  put(*directory, "a", "another");
  directory.drop();
  CHECK((view.empty() || view == bytes));
  std::string out(100, '\0');
  unmapped->read(1 << 20, out);
  CHECK((out == bytes.substr(1 << 20, 100)));
}

TEST_CASE("a punched range reads as zeros, and the rest as before", "[directory]") {
  const Subject directory(EVERY_KIND);
  const std::string bytes = pattern(64 << 10);
  put(*directory, "a", bytes);
  const auto file = directory->open("a");
  static_cast<void>(file->map());
  directory->punch("a", 8192, 16384);
  std::string expected = bytes;
  std::memset(expected.data() + 8192, 0, 16384);
  CHECK((read(*directory, "a") == expected));
  std::string out(bytes.size(), '\0');
  file->read(0, out);
  CHECK((out == expected));
  CHECK(file->size() == bytes.size());
  directory->punch("a", 100, 0);
  CHECK(code_of([&] { directory->punch("a", 65000, 1000); }) == ErrorCode::Corruption);
  CHECK(code_of([&] { directory->punch("a", ~std::uint64_t{0}, 2); }) == ErrorCode::Corruption);
}

TEST_CASE("a log keeps what was stored and published, and can be read back", "[directory][log]") {
  const Subject directory(EVERY_KIND);
  const auto log = directory->create_log("log-1", 3 << 20);
  CHECK(log->name() == "log-1");
  REQUIRE(log->capacity() == 3 << 20);
  const std::string bytes = pattern(3 << 20);
  for (std::size_t at = 0; at < bytes.size(); at += 60'000) {
    const std::size_t end = std::min(bytes.size(), at + 60'000);
    std::memcpy(log->data() + at, bytes.data() + at, end - at);
    log->publish(at, end);
  }
  CHECK((read(*directory, "log-1") == bytes));
  log->sync();
  CHECK((read(*directory, "log-1") == bytes));
  CHECK(code_of([&] { static_cast<void>(directory->create_log("log-1", 10)); }) ==
        ErrorCode::AlreadyExists);
}

TEST_CASE("a log takes stores and writes side by side", "[directory][log]") {
  const Subject directory(EVERY_KIND);
  const auto log = directory->create_log("log-1", 1 << 20);
  const std::string bytes = pattern(1 << 20);
  constexpr std::size_t kStep = 60'000;
  for (std::size_t at = 0; at < bytes.size(); at += kStep) {
    const std::size_t end = std::min(bytes.size(), at + kStep);
    if (at / kStep % 2 == 0) {
      log->write(at, std::string_view(bytes).substr(at, end - at));
    } else {
      std::memcpy(log->data() + at, bytes.data() + at, end - at);
      log->publish(at, end);
    }
    if (at / kStep % 5 == 0) log->sync();
  }
  CHECK((read(*directory, "log-1") == bytes));
  CHECK(std::string_view(log->data(), bytes.size()) == bytes);
  log->write(bytes.size(), {});
  CHECK((read(*directory, "log-1") == bytes));
}

TEST_CASE("a recycled log has its new name, its old bytes and the capacity asked for",
          "[directory][log]") {
  const Subject directory(EVERY_KIND);
  {
    const auto log = directory->create_log("log-1", 8192);
    std::memcpy(log->data(), "record", 6);
    log->publish(0, 6);
  }
  const std::size_t capacity = GENERATE(std::size_t{100}, std::size_t{8192}, std::size_t{100'000});
  const auto reader = directory->open("log-1");
  static_cast<void>(reader->map());
  const auto log = directory->recycle_log("log-1", "log-2", capacity);
  CHECK(log->name() == "log-2");
  CHECK(log->capacity() == std::max<std::size_t>(8192, capacity));
  CHECK(names(*directory) == "log-2 ");
  CHECK(read(*directory, "log-2").substr(0, 6) == "record");
  std::memcpy(log->data() + log->capacity() - 3, "end", 3);
  log->publish(log->capacity() - 3, log->capacity());
  log->sync();
  CHECK(read(*directory, "log-2").substr(log->capacity() - 3) == "end");
  put(*directory, "log-3", "");
  CHECK(code_of([&] { static_cast<void>(directory->recycle_log("log-2", "log-3", 1)); }) ==
        ErrorCode::AlreadyExists);
}

TEST_CASE("a log that was left is gone on with behind its end", "[directory][log]") {
  const Subject directory(EVERY_KIND);
  {
    const auto log = directory->create_log("log-1", 300'000);
    const std::string bytes = pattern(250'000);
    log->write(0, bytes);
    log->sync();
  }
  const std::size_t synced_end = GENERATE(std::size_t{0}, std::size_t{7}, std::size_t{200'000});
  constexpr std::size_t kEnd = 200'000;
  const auto log = directory->resume_log("log-1", synced_end, kEnd);
  CHECK(log->name() == "log-1");
  CHECK(log->capacity() == 300'000);
  std::memcpy(log->data() + kEnd, "stored", 6);
  log->publish(kEnd, kEnd + 6);
  log->write(kEnd + 6, "written");
  for (int i = 0; i < 2; ++i) {
    log->sync();
    CHECK(read(*directory, "log-1").substr(0, kEnd) == pattern(250'000).substr(0, kEnd));
    CHECK(read(*directory, "log-1").substr(kEnd, 13) == "storedwritten");
  }
}

TEST_CASE("a log that is absent or shorter than it was is not gone on with", "[directory][log]") {
  const Subject directory(EVERY_KIND);
  put(*directory, "log-1", "12345678");
  static_cast<void>(directory->resume_log("log-1", 4, 8));
  CHECK(code_of([&] { static_cast<void>(directory->resume_log("log-1", 4, 9)); }) ==
        ErrorCode::Corruption);
  CHECK(code_of([&] { static_cast<void>(directory->resume_log("log-2", 0, 0)); }) ==
        ErrorCode::NotFound);
}

TEST_CASE("many threads may read, list and write at once", "[directory][concurrency]") {
  const Subject directory(EVERY_KIND);
  const std::string bytes = pattern(1 << 16);
  put(*directory, "shared", bytes);
  const auto file = directory->open("shared");
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::string out(1000, '\0');
      for (int i = 0; i < 20; ++i) {
        const auto offset = static_cast<std::size_t>((i * 37 + t * 1009) % 64'000);
        file->read(offset, out);
        if (bytes.compare(offset, out.size(), out) != 0) ++wrong[t];
        const std::string_view view = file->map();
        if (!view.empty() && view != bytes) ++wrong[t];
        const std::string name = "t" + std::to_string(t) + "-" + std::to_string(i);
        put(*directory, name, name);
        if (read(*directory, name) != name) ++wrong[t];
        static_cast<void>(directory->list());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
  CHECK(directory->list().size() == 81);
}

TEST_CASE("one exclusive owner or many shared ones", "[directory][ownership]") {
  const Subject directory(EVERY_KIND);
  const auto refused = [&](LockMode mode) {
    return code_of([&] { static_cast<void>(directory->acquire(mode, milliseconds(0), false)); });
  };
  CHECK(directory->lock_status().state == LockState::NotInitialized);
  CHECK(refused(LockMode::Exclusive) == ErrorCode::NotFound);
  {
    const auto owner = directory->acquire(LockMode::Exclusive, milliseconds(0), true);
    CHECK(owner->mode() == LockMode::Exclusive);
    CHECK_FALSE(owner->recovered_stale());
    CHECK_FALSE(owner->forked());
    owner->verify();
    owner->set_phase(true, 5);
    CHECK(directory->lock_status().state == LockState::LockedByUs);
    CHECK(directory->lock_status().holder.value().writer_epoch == 5);
    CHECK(refused(LockMode::Exclusive) == ErrorCode::Locked);
    CHECK(refused(LockMode::Shared) == ErrorCode::Locked);
  }
  CHECK(directory->lock_status().state == LockState::Unlocked);
  CHECK_FALSE(directory->lock_status().left_open);
  const auto reader = directory->acquire(LockMode::Shared, milliseconds(0), false);
  const auto reader_too = directory->acquire(LockMode::Shared, milliseconds(0), false);
  CHECK(refused(LockMode::Exclusive) == ErrorCode::Locked);
  reader->release();
  reader->release();
  CHECK(refused(LockMode::Exclusive) == ErrorCode::Locked);
  reader_too->release();
  const auto owner = directory->acquire(LockMode::Exclusive, milliseconds(0), false);
  CHECK_FALSE(owner->recovered_stale());
}

TEST_CASE("a waiting owner gets the directory when it is released", "[directory][ownership]") {
  const Subject directory(EVERY_KIND);
  auto first = directory->acquire(LockMode::Exclusive, milliseconds(0), true);
  std::thread waiter([&] {
    const auto second = directory->acquire(LockMode::Exclusive, milliseconds(30'000), true);
  });
  first->release();
  waiter.join();
  CHECK(directory->lock_status().state == LockState::Unlocked);
}

TEST_CASE("an index that is there is Unlocked although it was never owned",
          "[directory][ownership]") {
  const Subject directory(GENERATE(as<std::string>(), "memory", "simulated"));
  directory->replace("MANIFEST", "copied here");
  CHECK(directory->lock_status().state == LockState::Unlocked);
  const auto owner = directory->acquire(LockMode::Exclusive, milliseconds(0), false);
  CHECK_FALSE(owner->recovered_stale());
}

TEST_CASE("uuids are of version 4 and differ", "[directory][identity]") {
  const std::string a = random_uuid();
  CHECK(a.size() == 36);
  CHECK(a[14] == '4');
  CHECK(std::string("89ab").find(a[19]) != std::string::npos);
  CHECK(a.find_first_not_of("0123456789abcdef-") == std::string::npos);
  CHECK(a != random_uuid());
  CHECK(machine_boot_id() == machine_boot_id());
}

}  // namespace
}  // namespace varve::directory
