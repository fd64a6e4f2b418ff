// SPDX-License-Identifier: Apache-2.0
#include "directory/posix_file_system.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "directory/directory.hpp"
#include "directory/mapping.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

namespace fs = std::filesystem;

using test::read_file;
using test::thrown_by;
using test::write_file;

void put(Directory& directory, std::string_view name, std::string_view bytes) {
  directory.put_immutable(name, [&](Sink& sink) { sink.append(bytes); });
}

// Makes `path` something that no index makes.
void plant(const std::string& what, const fs::path& path, const fs::path& victim) {
  if (what == "symlink") fs::create_symlink(victim, path);
  if (what == "dangling symlink") fs::create_symlink("nowhere", path);
  if (what == "hard link") fs::create_hard_link(victim, path);
  if (what == "directory") fs::create_directory(path);
  if (what == "fifo") REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  if (what == "socket") {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(fd);
  }
}

#define EVERY_PLANT \
  as<std::string>(), "symlink", "dangling symlink", "hard link", "directory", "fifo", "socket"

// A directory to plant something in, and a file beside it that must stay as it is.
struct Scene {
  Scene() {
    fs::create_directory(inside);
    write_file(victim, "secret");
  }
  const test::TemporaryDirectory temporary;
  const fs::path inside = temporary.path() / "index";
  const fs::path victim = temporary.path() / "victim";
};

TEST_CASE("what is planted under a data file's name is Corruption, and never touched",
          "[directory][posix][security]") {
  const auto what = GENERATE(EVERY_PLANT);
  CAPTURE(what);
  const Scene scene;
  const fs::path &inside = scene.inside, &victim = scene.victim;
  plant(what, inside / "main-1-1.varve", victim);
  const auto directory = make_posix_directory(inside);
  const std::string_view name = "main-1-1.varve";

  CHECK(thrown_by([&] { static_cast<void>(directory->open(name)); }).code() ==
        ErrorCode::Corruption);
  CHECK(thrown_by([&] { static_cast<void>(directory->read_all(name, 99)); }).code() ==
        ErrorCode::Corruption);
  CHECK(thrown_by([&] { directory->punch(name, 0, 1); }).code() == ErrorCode::Corruption);
  CHECK(thrown_by([&] { static_cast<void>(directory->recycle_log(name, "log-2", 10)); }).code() ==
        ErrorCode::Corruption);
  // It holds the name, so nothing is created there.
  CHECK(thrown_by([&] { put(*directory, name, "bytes"); }).code() == ErrorCode::AlreadyExists);
  CHECK(thrown_by([&] { static_cast<void>(directory->create_log(name, 10)); }).code() ==
        ErrorCode::AlreadyExists);
  const auto entries = directory->list();
  REQUIRE(entries.size() == 1);
  CHECK((entries[0].kind == FileKind::Regular) == (what == "hard link"));
  CHECK(read_file(victim) == "secret");
  CHECK_FALSE(fs::exists(inside / "nowhere"));
  if (what != "directory") {
    directory->replace(name, "bytes");  // Replaces the link itself.
    CHECK(read_file(inside / name) == "bytes");
    CHECK(read_file(victim) == "secret");
  }
}

TEST_CASE("what is planted under a tmp file's name is removed, never followed",
          "[directory][posix][security]") {
  const auto what =
      GENERATE(as<std::string>(), "symlink", "dangling symlink", "hard link", "fifo", "socket");
  CAPTURE(what);
  const test::TemporaryDirectory temporary;
  const fs::path inside = temporary.path() / "index";
  const fs::path victim = temporary.path() / "victim";
  fs::create_directory(inside);
  write_file(victim, "secret");
  const auto directory = make_posix_directory(inside);
  plant(what, inside / "a.tmp", victim);
  put(*directory, "a", "bytes");
  CHECK(directory->read_all("a", 99) == "bytes");
  plant(what, inside / "a.tmp", victim);
  directory->replace("a", "more");
  CHECK(directory->read_all("a", 99) == "more");
  CHECK(read_file(victim) == "secret");
  CHECK_FALSE(fs::exists(inside / "nowhere"));
  plant(what, inside / "a.tmp", victim);
  directory->remove("a.tmp");
  CHECK(directory->list().size() == 1);
  CHECK(read_file(victim) == "secret");
}

TEST_CASE("a file is not renamed over what was planted under its new name",
          "[directory][posix][security]") {
  const auto what = GENERATE(EVERY_PLANT);
  CAPTURE(what);
  const Scene scene;
  const fs::path &inside = scene.inside, &victim = scene.victim;
  write_file(inside / "a.tmp", "bytes");
  plant(what, inside / "a", victim);
  const fs::file_type planted = fs::symlink_status(inside / "a").type();
  PosixFileSystem file_system(inside);
  const Error error = thrown_by([&] { file_system.rename_new("a.tmp", "a"); });
  CHECK(error.code() == ErrorCode::AlreadyExists);
  CHECK(error.path() == inside / "a");
  CHECK(fs::symlink_status(inside / "a").type() == planted);
  CHECK(read_file(inside / "a.tmp") == "bytes");
  CHECK(read_file(victim) == "secret");
  fs::remove(inside / "a");
  file_system.rename_new("a.tmp", "a");
  CHECK(read_file(inside / "a") == "bytes");
  CHECK_FALSE(fs::exists(inside / "a.tmp"));
  CHECK(thrown_by([&] { file_system.rename_new("a.tmp", "b"); }).code() == ErrorCode::NotFound);
}

TEST_CASE("a directory under a tmp file's name is an error that names it", "[directory][posix]") {
  const test::TemporaryDirectory temporary;
  fs::create_directory(temporary.path() / "a.tmp");
  const auto directory = make_posix_directory(temporary.path());
  const Error error = thrown_by([&] { put(*directory, "a", "bytes"); });
  CHECK(error.code() == ErrorCode::Io);
  CHECK(error.path() == temporary.path() / "a.tmp");
}

TEST_CASE("files are their owner's alone, and descriptors are closed by exec",
          "[directory][posix][security]") {
  const test::TemporaryDirectory temporary;
  const mode_t old_mask = ::umask(0);
  PosixFileSystem file_system(temporary.path());
  const auto created = file_system.create("a");
  ::umask(old_mask);
  const auto opened = file_system.open("a", false);
  struct stat found {};
  REQUIRE(::stat((temporary.path() / "a").c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0600);
  int ours = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = fs::read_symlink(entry.path(), gone).string();
    if (!target.starts_with(temporary.path().string())) continue;
    const int fd = std::stoi(entry.path().filename().string());
    CHECK(fd >= 3);
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    ++ours;
  }
  CHECK(ours == 3);  // The directory and two files.
}

TEST_CASE("a free standard stream is never taken for a file", "[directory][posix][security]") {
  const test::TemporaryDirectory temporary;
  PosixFileSystem file_system(temporary.path());
  const int saved = ::fcntl(0, F_DUPFD_CLOEXEC, 3);
  ::close(0);
  const auto file = file_system.create("a");
  const bool taken = ::fcntl(0, F_GETFD) >= 0;
  if (saved >= 0) {
    ::dup2(saved, 0);
    ::close(saved);
  }
  CHECK_FALSE(taken);
  file->write(0, "bytes");
  CHECK(read_file(temporary.path() / "a") == "bytes");
}

TEST_CASE("a directory that is renamed or replaced behind us is still ours",
          "[directory][posix][security]") {
  const test::TemporaryDirectory temporary;
  const fs::path here = temporary.path() / "here";
  const fs::path there = temporary.path() / "there";
  fs::create_directory(here);
  const auto directory = make_posix_directory(here);
  put(*directory, "a", "1");
  fs::rename(here, there);
  fs::create_directory(here);
  put(*directory, "b", "2");
  CHECK(fs::exists(there / "b"));
  CHECK(fs::is_empty(here));
}

TEST_CASE("a directory may be named before it exists", "[directory][posix]") {
  const test::TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "later";
  const auto directory = make_posix_directory(path);
  CHECK(thrown_by([&] { static_cast<void>(directory->list()); }).code() == ErrorCode::NotFound);
  CHECK_FALSE(fs::exists(path));
  fs::create_directory(path);
  CHECK(directory->list().empty());
  write_file(temporary.path() / "file", "");
  const auto not_one = make_posix_directory(temporary.path() / "file");
  CHECK(thrown_by([&] { static_cast<void>(not_one->list()); }).code() == ErrorCode::NotFound);
}

TEST_CASE("an error carries errno, the path, the operation and its reason",
          "[directory][posix][error]") {
  const test::TemporaryDirectory temporary;
  PosixFileSystem file_system(temporary.path());
  const Error error = thrown_by([&] { static_cast<void>(file_system.open("absent", false)); });
  CHECK(error.code() == ErrorCode::NotFound);
  CHECK(error.system() == std::error_code(ENOENT, std::generic_category()));
  CHECK(error.path() == temporary.path() / "absent");
  CHECK(std::string(error.what()) ==
        "cannot open " + error.path().string() + ": No such file or directory");
}

TEST_CASE("a file that shrank under an open handle reads as Corruption", "[directory][posix]") {
  const test::TemporaryDirectory temporary;
  const auto directory = make_posix_directory(temporary.path());
  put(*directory, "a", "0123456789");
  const auto file = directory->open("a");
  fs::resize_file(temporary.path() / "a", 5);
  std::string out(4, '\0');
  file->read(1, out);
  CHECK(out == "1234");
  CHECK(thrown_by([&] { file->read(3, out); }).code() == ErrorCode::Corruption);
}

TEST_CASE("a log's blocks are allocated before it is mapped", "[directory][posix][log]") {
  const test::TemporaryDirectory temporary;
  const auto directory = make_posix_directory(temporary.path());
  const auto log = directory->create_log("log-1", 4 << 20);
  CHECK(directory->list().at(0).allocated_size >= 4 << 20);
}

TEST_CASE("punching frees blocks where the file system can", "[directory][posix]") {
  const test::TemporaryDirectory temporary;
  const auto directory = make_posix_directory(temporary.path());
  put(*directory, "a", std::string(1 << 20, 'x'));
  const std::uint64_t before = directory->list().at(0).allocated_size;
  directory->punch("a", 0, 1 << 19);
  CHECK(directory->list().at(0).allocated_size < before);
  CHECK(directory->list().at(0).size == 1 << 20);
}

TEST_CASE("a large file is mapped at an address that suits huge pages", "[directory][posix]") {
  const test::TemporaryDirectory temporary;
  const auto directory = make_posix_directory(temporary.path());
  put(*directory, "a", std::string((4 << 20) + 5, 'x'));
  std::vector<std::shared_ptr<const ImmutableFile>> files;
  for (int i = 0; i < 4; ++i) {
    files.push_back(directory->open("a"));
    const std::string_view bytes = files.back()->map();
    REQUIRE(bytes.size() == (4 << 20) + 5);
    CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % kHugePageSize == 0);
    CHECK(bytes.find_first_not_of('x') == std::string_view::npos);
  }
}

TEST_CASE("more files can be mapped than descriptors be opened", "[directory][posix]") {
  const test::TemporaryDirectory temporary;
  const auto directory = make_posix_directory(temporary.path());
  put(*directory, "a", "bytes");
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit few = {.rlim_cur = 40, .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  std::vector<std::shared_ptr<const ImmutableFile>> files;
  ErrorCode refused = ErrorCode::NotFound;
  try {
    for (int i = 0; i < 100; ++i) {
      files.push_back(directory->open("a"));
      static_cast<void>(files.back()->map());
    }
#if defined(__SANITIZE_ADDRESS__)  // The preset's other sanitizer needs a pipe to look at objects.
    throw Error(ErrorCode::Io, "left out");
#else
    std::vector<std::shared_ptr<const ImmutableFile>> unmapped;
    for (int i = 0; i < 100; ++i) unmapped.push_back(directory->open("a"));
#endif
  } catch (const Error& error) {
    refused = error.code();
  }
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(files.size() == 100);
  CHECK(refused == ErrorCode::Io);  // Descriptors ran out, and came back:
  CHECK(directory->read_all("a", 9) == "bytes");
  std::string out(5, '\0');
  files.at(99)->read(0, out);
  CHECK(out == "bytes");
}

// A medium of system calls that are interrupted and come up short.
struct Medium {
  std::string bytes;
  int calls = 0;
  bool stuck = false;
};
Medium medium;

ssize_t short_read(int, void* to, std::size_t size, off_t offset) {
  if (medium.calls++ % 3 != 0) {
    errno = EINTR;
    return -1;
  }
  const auto at = static_cast<std::size_t>(offset);
  if (at >= medium.bytes.size()) return 0;
  const std::size_t count = std::min({size, medium.bytes.size() - at, std::size_t{3}});
  std::memcpy(to, medium.bytes.data() + at, count);
  return static_cast<ssize_t>(count);
}
ssize_t short_write(int, const void* from, std::size_t size, off_t offset) {
  if (medium.stuck) return 0;
  if (medium.calls++ % 3 != 0) {
    errno = EINTR;
    return -1;
  }
  const std::size_t count = std::min(size, std::size_t{3});
  medium.bytes.resize(static_cast<std::size_t>(offset) + count);
  std::memcpy(medium.bytes.data() + offset, from, count);
  return static_cast<ssize_t>(count);
}
ssize_t failing_read(int, void*, std::size_t, off_t) {
  errno = EIO;
  return -1;
}
ssize_t failing_write(int, const void*, std::size_t, off_t) {
  errno = EDQUOT;
  return -1;
}

TEST_CASE("interrupted and short system calls are completed", "[directory][posix][fault]") {
  medium = {};
  write_all(short_write, 9, 0, "0123456789", "f");
  CHECK(medium.bytes == "0123456789");
  std::string out(7, '\0');
  CHECK(read_up_to(short_read, 9, 2, out, "f") == 7);
  CHECK(out == "2345678");
  CHECK(read_up_to(short_read, 9, 6, out, "f") == 4);
  CHECK(out.substr(0, 4) == "6789");
  CHECK(read_up_to(short_read, 9, 10, out, "f") == 0);
  CHECK(read_up_to(short_read, 9, ~std::uint64_t{0}, out, "f") == 0);
  CHECK(thrown_by([&] { static_cast<void>(read_up_to(failing_read, 9, 0, out, "f")); }).code() ==
        ErrorCode::Io);
  CHECK(thrown_by([&] { write_all(failing_write, 9, 0, "x", "f"); }).code() == ErrorCode::NoSpace);
  medium.stuck = true;
  CHECK(thrown_by([&] { write_all(short_write, 9, 0, "x", "f"); }).code() == ErrorCode::Io);
}

}  // namespace
}  // namespace varve::directory
