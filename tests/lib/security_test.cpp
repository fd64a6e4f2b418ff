// SPDX-License-Identifier: Apache-2.0
// What docs/SECURITY.md promises of files, names and descriptors, seen from outside of an index.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>

#include "lib/manifest.hpp"
#include "tests/lib/plant.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/check.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

namespace fs = std::filesystem;

// With a main run, a delta run and a log.
void write_some(SegmentIndex& index) {
  for (int i = 0; i < 300; ++i) index.put(std::to_string(1000 + i), std::string(100, 'v'));
  index.compact();
  index.put("1100", "in a delta run");
  index.flush();
  index.put("1200", "in the log");
}

Options options_with(Reads reads) {
  Options options = tiny_options();
  options.reads = reads;
  return options;
}

fs::perms permissions_of(const fs::path& path) {
  return fs::symlink_status(path).permissions();
}

// Names that the next writes to an index will need.
enum class Name { Log, Delta, DeltaTmp, ManifestTmp };
std::string next_name(Name which, const fs::path& index) {
  const internal::Manifest manifest =
      internal::decode_manifest(read_file(index / "MANIFEST"), "MANIFEST");
  switch (which) {
    case Name::Log:
      return internal::log_file_name(manifest.next_log_number);
    case Name::Delta:
      return internal::delta_file_name(manifest.next_delta_number);
    case Name::DeltaTmp:
      return internal::delta_file_name(manifest.next_delta_number) + ".tmp";
    case Name::ManifestTmp:
      return "MANIFEST.tmp";
  }
  return "";
}

}  // namespace

TEST_CASE("an index and its files are their owner's alone, whatever the umask", "[lib][security]") {
  const TemporaryDirectory temporary;
  const fs::path made = temporary.path() / "made", given = temporary.path() / "given";
  fs::create_directory(given);
  const fs::perms given_permissions =
      fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec;
  fs::permissions(given, given_permissions);
  const mode_t old_mask = ::umask(0);
  for (const fs::path& path : {made, given}) {
    SegmentIndex index = SegmentIndex::open(path, tiny_options());
    write_some(index);
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(path)) {
      INFO(entry.path());
      CHECK(permissions_of(entry.path()) == (fs::perms::owner_read | fs::perms::owner_write));
      ++count;
    }
    CHECK(count >= 5);
  }
  ::umask(old_mask);
  CHECK(permissions_of(made) == fs::perms::owner_all);
  CHECK(permissions_of(given) == given_permissions);  // We did not make it.
}

TEST_CASE("no descriptor of an index reaches a program that is executed", "[lib][security]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "index-of-the-parent";
  const auto reads = GENERATE(Reads::Mapped, Reads::Buffered);
  SegmentIndex index = SegmentIndex::open(path, options_with(reads));
  write_some(index);
  static_cast<void>(index.get("1100"));
  const std::string list = (temporary.path() / "list").string();
  const std::string script = "ls -l /proc/self/fd > '" + list + "'";
  const auto open_in_child = [&] {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::execl("/bin/sh", "sh", "-c", script.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
    return read_file(list).find("index-of-the-parent") != std::string::npos;
  };
  CHECK_FALSE(open_in_child());
  // The list would show one.
  const int inherited = ::open((path / "MANIFEST").c_str(), O_RDONLY);  // NOLINT: on purpose.
  CHECK(open_in_child());
  ::close(inherited);
}

TEST_CASE("what is planted as LOCK is refused, never followed, and nobody hangs",
          "[lib][security]") {
  for (const Plant what : kPlants) {
    CAPTURE(static_cast<int>(what));
    const TemporaryDirectory temporary;
    const fs::path path = temporary.path() / "i", victim = temporary.path() / "victim";
    {
      SegmentIndex index = SegmentIndex::open(path, tiny_options());
      write_some(index);
    }
    write_file(victim, "precious");
    fs::remove(path / "LOCK");
    plant(what, path / "LOCK", victim);
    Options reading = tiny_options();
    reading.read_only = true;
    CHECK(error_of([&] { static_cast<void>(SegmentIndex::open(path, tiny_options())); }));
    static_cast<void>(error_of([&] { static_cast<void>(SegmentIndex::open(path, reading)); }));
    static_cast<void>(error_of([&] { static_cast<void>(lock_status(path)); }));
    static_cast<void>(error_of([&] { static_cast<void>(check(path, {.deep = true})); }));
    CHECK(read_file(victim) == "precious");
    CHECK_FALSE(fs::exists(temporary.path() / "nowhere"));
    fs::remove(path / "LOCK");
    CHECK(SegmentIndex::open(path, tiny_options()).get("1200") == "in the log");
  }
}

TEST_CASE("a name that an index will need is not written through, and nothing is lost",
          "[lib][security]") {
  for (const Plant what : kPlants) {
    const TemporaryDirectory temporary;
    const fs::path path = temporary.path() / "i", victim = temporary.path() / "victim";
    {
      SegmentIndex index = SegmentIndex::open(path, tiny_options());
      write_some(index);
    }
    write_file(victim, "precious");
    for (const Name which : {Name::Log, Name::Delta, Name::DeltaTmp, Name::ManifestTmp}) {
      const std::string name = next_name(which, path);
      INFO(static_cast<int>(what) << " as " << name);
      plant(what, path / name, victim);
      const auto refused = error_of([&] {
        SegmentIndex index = SegmentIndex::open(path, tiny_options());
        index.put("1300", "new");
        index.flush();
        index.compact();
        index.close();
      });
      // What is a file, or a link by a temporary name, was left by a crash and is removed. A log
      // and a delta file take another number.
      const bool temporary_name = which == Name::DeltaTmp || which == Name::ManifestTmp;
      if (temporary_name && what == Plant::Directory) {
        CHECK(refused == ErrorCode::Io);
      } else {
        CHECK_FALSE(refused.has_value());
      }
      CHECK(read_file(victim) == "precious");
      CHECK_FALSE(fs::exists(temporary.path() / "nowhere"));
      fs::remove(path / name);
      SegmentIndex index = SegmentIndex::open(path, tiny_options());
      CHECK(index.get("1200") == "in the log");
      CHECK(index.get("1100") == "in a delta run");
      index.close();
      CHECK(check(path, {.deep = true}).sound());
    }
  }
}

TEST_CASE("what has the name of the next log does not end writing, and is left alone",
          "[lib][security]") {
  const Access access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  for (const Plant what : kPlants) {
    CAPTURE(static_cast<int>(what), to_string(access));
    const TemporaryDirectory temporary;
    const fs::path path = temporary.path() / "i", victim = temporary.path() / "victim";
    write_file(victim, "precious");
    Options options = tiny_options();
    options.access = access;
    SegmentIndex index = SegmentIndex::open(path, options);
    index.put("0", "first");
    // Twice: beside the first log, and where one would be recycled.
    std::string value;
    for (int round = 0; round < 2; ++round) {
      const fs::path in_the_way = path / next_name(Name::Log, path);
      plant(what, in_the_way, victim);
      const fs::file_type type = fs::symlink_status(in_the_way).type();
      for (int i = 0; i < 30; ++i) {
        value.assign(9000, static_cast<char>('a' + i % 26));
        index.put("key" + std::to_string(i), value, {.durability = Durability::Synced});
      }
      CHECK(fs::symlink_status(in_the_way).type() == type);
    }
    CHECK(index.health());
    index.close();
    CHECK(read_file(victim) == "precious");
    CHECK_FALSE(fs::exists(temporary.path() / "nowhere"));
    index = SegmentIndex::open(path, options);
    CHECK(index.get("key29") == value);
    CHECK(index.get("0") == "first");
  }
}

TEST_CASE("a name that stays taken is told, and writing goes on once it is free",
          "[lib][security]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "i";
  Options options = tiny_options();
  options.access = Access::Bare;
  SegmentIndex index = SegmentIndex::open(path, options);
  index.put("0", "first");
  const std::uint64_t next =
      internal::decode_manifest(read_file(path / "MANIFEST"), "MANIFEST").next_log_number;
  for (std::uint64_t i = 0; i < 40; ++i) {
    fs::create_directory(path / internal::log_file_name(next + i));
  }
  const std::string value(9000, 'v');
  std::optional<Error> refused;
  int count = 0;
  while (!refused && count < 100) {
    try {
      index.put("key" + std::to_string(count), value);
      ++count;
    } catch (const Error& error) {
      refused = error;
    }
  }
  REQUIRE(refused);
  CHECK(refused->code() == ErrorCode::AlreadyExists);
  CHECK(refused->path().parent_path() == path);
  CHECK(std::string(refused->what()).find("move it away") != std::string::npos);
  CHECK(index.lifecycle() == Lifecycle::Ready);
  for (std::uint64_t i = 0; i < 40; ++i) fs::remove(path / internal::log_file_name(next + i));
  for (int i = 0; i < 30; ++i) index.put("later" + std::to_string(i), value);
  CHECK(index.get("key" + std::to_string(count)) == std::nullopt);
  CHECK(index.get("later29") == value);
}

TEST_CASE("a directory in the way of the manifest is named, with what to do", "[lib][security]") {
  const TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "i";
  {
    SegmentIndex index = SegmentIndex::open(path, tiny_options());
    write_some(index);
  }
  fs::create_directories(path / "MANIFEST.tmp" / "inside");
  const std::string manifest = read_file(path / "MANIFEST");
  const Error error =
      thrown_by([&] { static_cast<void>(SegmentIndex::open(path, tiny_options())); });
  CHECK(error.code() == ErrorCode::Io);
  CHECK(error.path() == path / "MANIFEST.tmp");
  CHECK(std::string(error.what()).find("move it away") != std::string::npos);
  CHECK(read_file(path / "MANIFEST") == manifest);
  CHECK(fs::exists(path / "MANIFEST.tmp" / "inside"));
  Options reading = tiny_options();
  reading.read_only = true;
  CHECK(SegmentIndex::open(path, reading).get("1200") == "in the log");
  fs::rename(path / "MANIFEST.tmp", temporary.path() / "away");
  CHECK(SegmentIndex::open(path, tiny_options()).get("1200") == "in the log");
}

}  // namespace varve::test
