// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/manifest.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/model.hpp"
#include "tests/support/quick_retries.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

namespace fs = std::filesystem;
using directory::Fault;
using directory::Operation;
using directory::SimulatedFileSystem;
using internal::SegmentIndexAccess;

// The code and the file name of the Error that opening throws.
struct Refusal {
  std::optional<ErrorCode> code;
  std::string message;
};
Refusal refusal_of(const fs::path& path) {
  try {
    static_cast<void>(SegmentIndex::open(path, tiny_options()));
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {};
}

// An index in files that has one of each: a main run, a delta run and, left by a crash, a log.
class Fixture {
 public:
  Fixture() {
    const auto disk = std::make_shared<SimulatedFileSystem>();
    SegmentIndex index =
        SegmentIndexAccess::open(directory::make_posix_directory(disk), tiny_options());
    write(index, 0, 400, std::string(100, 'm'));
    index.compact();
    write(index, 100, 110, "in the delta run");
    index.flush();
    write(index, 200, 210, "in the log");
    fs::create_directory(path());
    for (const directory::FileInfo& file : disk->list()) {
      write_file(path() / file.name, *disk->peek(file.name));
    }
    write_file(path() / "LOCK", "");
  }
  [[nodiscard]] fs::path path() const { return temporary_.path() / "index"; }
  [[nodiscard]] fs::path outside() const { return temporary_.path() / "outside"; }
  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] std::string name_of(std::string_view prefix) const {
    for (const auto& entry : fs::directory_iterator(path())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(prefix)) return name;
    }
    FAIL("there is no " << prefix);
    return {};
  }
  [[nodiscard]] internal::Manifest manifest() const {
    return internal::decode_manifest(read_file(path() / "MANIFEST"), "MANIFEST");
  }

 private:
  void write(SegmentIndex& index, int from, int to, const std::string& value) {
    for (int i = from; i < to; ++i) {
      const std::string key = std::to_string(1000 + i);
      index.put(key, value);
      model_.put(key, value);
    }
  }
  TemporaryDirectory temporary_;
  Model model_;
};

Fault fault(Operation operation, int error_number, std::string name_part = {}, bool sticky = true) {
  Fault fault;
  fault.operation = operation;
  fault.error_number = error_number;
  fault.name_part = std::move(name_part);
  fault.sticky = sticky;
  return fault;
}

}  // namespace

TEST_CASE("keys and values beyond their limits are refused without being touched",
          "[lib][bad_input]") {
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  const std::string longest(kKeySizeMax, 'k');
  const std::string too_long(kKeySizeMax + 1, 'k');
  // No such memory exists: reading one byte of it would be the end of the process.
  const std::string_view huge(reinterpret_cast<const char*>(16), kValueSizeMax + 1);
  const auto refused = [](auto&& call) { return error_of(call) == ErrorCode::InvalidArgument; };
  CHECK(refused([&] { index.put("", "v"); }));
  CHECK(refused([&] { index.erase(""); }));
  CHECK(refused([&] { index.put(too_long, "v"); }));
  CHECK(refused([&] { index.erase(too_long); }));
  CHECK(refused([&] { index.put("k", huge); }));
  CHECK(refused([&] { index.put(huge, "v"); }));
  CHECK(refused([&] { index.erase_range("a", too_long); }));
  CHECK(refused([&] { index.erase_range(too_long, ""); }));
  WriteBatch batch;
  CHECK(refused([&] { batch.put("", "v"); }));
  CHECK(refused([&] { batch.put("k", huge); }));
  CHECK(refused([&] { batch.erase(too_long); }));
  CHECK(batch.empty());
  CHECK(scan_all(index).empty());
  CHECK(index.statistics().last_sequence == 0);
  index.put(longest, "v");
  index.put("k", std::string(20 << 20, 'v'));
  index.erase_range(longest + "", longest);
  index.compact();
  CHECK(index.get(longest) == "v");
  CHECK(index.get("k")->size() == 20 << 20);
  // Asking for what cannot be there is an answer, no error.
  CHECK_FALSE(index.get("").has_value());
  CHECK_FALSE(index.get(too_long).has_value());
}

TEST_CASE("keys that are hard to tell apart stay apart and in order", "[lib][bad_input]") {
  SegmentIndex index = SegmentIndex::open_in_memory(tiny_options());
  Model model;
  for (const std::size_t prefix_size : {0, 3, 4, 5, 8, 300}) {
    const std::string prefix(prefix_size, '\0');
    for (std::size_t zeros = prefix_size == 0 ? 1 : 0; zeros < 10; ++zeros) {
      for (const char* const end : {"", "\x01", "\x7f", "\x80", "\xff", "\xff\xff"}) {
        const std::string key = prefix + std::string(zeros, '\0') + end;
        if (key.empty()) continue;
        index.put(key, key);
        model.put(key, key);
      }
    }
  }
  const auto compacted = GENERATE(false, true);
  if (compacted) index.compact();
  CHECK(difference(scan_all(index), model.scan()) == "");
  ScanOptions reverse;
  reverse.reverse = true;
  CHECK(difference(scan_all(index, reverse), model.scan(reverse)) == "");
  for (const auto& [key, value] : model.entries()) {
    CHECK((index.get(key) == value));
    CHECK(index.contains(key + '\0') == model.get(key + '\0').has_value());
  }
}

TEST_CASE("what a crash left in files is read back", "[lib][bad_input]") {
  const Fixture fixture;
  const SegmentIndex index = SegmentIndex::open(fixture.path(), tiny_options());
  CHECK(difference(scan_all(index), fixture.model().scan()) == "");
}

TEST_CASE("a missing file is Corruption that names it", "[lib][bad_input]") {
  const Fixture fixture;
  for (const char* const prefix : {"main-", "delta-", "log-"}) {
    const std::string name = fixture.name_of(prefix);
    CAPTURE(name);
    fs::rename(fixture.path() / name, fixture.outside());
    const Refusal refusal = refusal_of(fixture.path());
    CHECK(refusal.code == ErrorCode::Corruption);
    CHECK(refusal.message.find(name) != std::string::npos);
    fs::rename(fixture.outside(), fixture.path() / name);
  }
  fs::rename(fixture.path() / "MANIFEST", fixture.outside());
  CHECK(refusal_of(fixture.path()).code == ErrorCode::Corruption);
  fs::rename(fixture.outside(), fixture.path() / "MANIFEST");
  CHECK(difference(scan_all(SegmentIndex::open(fixture.path(), tiny_options())),
                   fixture.model().scan()) == "");
}

TEST_CASE("a link, a pipe or a directory in the place of a file is never followed",
          "[lib][bad_input]") {
  const Fixture fixture;
  for (const char* const prefix : {"main-", "delta-", "log-", "MANIFEST"}) {
    const std::string name = fixture.name_of(prefix);
    const fs::path file = fixture.path() / name;
    CAPTURE(name);
    fs::rename(file, fixture.outside());
    const std::string bytes = read_file(fixture.outside());
    fs::create_symlink(fixture.outside(), file);
    CHECK(refusal_of(fixture.path()).code == ErrorCode::Corruption);
    CHECK(read_file(fixture.outside()) == bytes);
    fs::remove(file);
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    CHECK(refusal_of(fixture.path()).code == ErrorCode::Corruption);
    fs::remove(file);
    fs::create_directory(file);
    CHECK(refusal_of(fixture.path()).code == ErrorCode::Corruption);
    fs::remove(file);
    fs::rename(fixture.outside(), file);
  }
  CHECK(difference(scan_all(SegmentIndex::open(fixture.path(), tiny_options())),
                   fixture.model().scan()) == "");
}

TEST_CASE("a file of another index is Corruption", "[lib][bad_input]") {
  const Fixture fixture, other;
  for (const char* const prefix : {"main-", "delta-", "log-"}) {
    const std::string name = fixture.name_of(prefix);
    CAPTURE(name);
    REQUIRE(fs::exists(other.path() / name));  // Same numbers, same sizes.
    const std::string bytes = read_file(fixture.path() / name);
    write_file(fixture.path() / name, read_file(other.path() / name));
    std::optional<ErrorCode> code = refusal_of(fixture.path()).code;
    CHECK(code == ErrorCode::Corruption);
    write_file(fixture.path() / name, bytes);
  }
}

TEST_CASE("a manifest that is foreign, newer or breaks a rule is refused", "[lib][bad_input]") {
  const Fixture fixture;
  const fs::path path = fixture.path() / "MANIFEST";
  const std::string good = read_file(path);
  const internal::Manifest good_manifest = fixture.manifest();
  const auto refusal_with = [&](std::string_view bytes) {
    write_file(path, bytes);
    return refusal_of(fixture.path()).code;
  };
  CHECK(refusal_with("") == ErrorCode::Corruption);
  CHECK(refusal_with("MANIFEST-000004\n") == ErrorCode::Corruption);
  CHECK(refusal_with(std::string(100000, '\0')) == ErrorCode::Corruption);
  internal::Manifest manifest = good_manifest;
  manifest.feature_bits = std::uint64_t{1} << 40;
  CHECK(refusal_with(internal::encode_manifest_unchecked(manifest)) == ErrorCode::Unsupported);
  manifest = good_manifest;
  manifest.segments.front().main->entry_count += 1;
  CHECK(refusal_with(internal::encode_manifest_unchecked(manifest)) == ErrorCode::Corruption);
  manifest = good_manifest;
  manifest.segments.front().main->size = ~std::uint64_t{0} - 5;
  CHECK(refusal_with(internal::encode_manifest_unchecked(manifest)) == ErrorCode::Corruption);
  manifest = good_manifest;
  manifest.segments.front().main->offset = std::uint64_t{1} << 63;
  CHECK(refusal_with(internal::encode_manifest_unchecked(manifest)) == ErrorCode::Corruption);
  manifest = good_manifest;
  manifest.segments.clear();
  CHECK(refusal_with(internal::encode_manifest_unchecked(manifest)) == ErrorCode::Corruption);
  write_file(path, good);
  CHECK(difference(scan_all(SegmentIndex::open(fixture.path(), tiny_options())),
                   fixture.model().scan()) == "");
}

TEST_CASE("files left half done are removed, foreign ones are left alone", "[lib][bad_input]") {
  const Fixture fixture;
  write_file(fixture.outside(), "precious");
  const std::vector<std::string> strays = {"MANIFEST.tmp",     "main-9-9.varve.tmp",
                                           "log-77.varve.tmp", "main-99-1.varve",
                                           "delta-999.varve",  "log-999.varve"};
  for (const std::string& name : strays) write_file(fixture.path() / name, "half done");
  fs::create_symlink(fixture.outside(), fixture.path() / "delta-5000.varve.tmp");
  const std::vector<std::string> foreign = {"README",          "manifest",        "MANIFEST~",
                                            "main-01-1.varve", "log-1.varve.bak", "LOG-1.VARVE",
                                            "notes.tmp",       ".hidden"};
  for (const std::string& name : foreign) write_file(fixture.path() / name, "foreign");
  fs::create_directory(fixture.path() / "sub");
  fs::create_directory(fixture.path() / "main-7000-1.varve.tmp");
  {
    SegmentIndex index = SegmentIndex::open(fixture.path(), tiny_options());
    CHECK(difference(scan_all(index), fixture.model().scan()) == "");
    index.compact();
  }
  for (const std::string& name : strays) {
    CAPTURE(name);
    CHECK_FALSE(fs::exists(fs::symlink_status(fixture.path() / name)));
  }
  CHECK_FALSE(fs::is_symlink(fixture.path() / "delta-5000.varve.tmp"));
  CHECK(read_file(fixture.outside()) == "precious");
  for (const std::string& name : foreign) CHECK(read_file(fixture.path() / name) == "foreign");
  CHECK(fs::is_directory(fixture.path() / "sub"));
  CHECK(fs::is_directory(fixture.path() / "main-7000-1.varve.tmp"));
}

TEST_CASE("a link by the manifest's temporary name is not written through", "[lib][bad_input]") {
  const Fixture fixture;
  write_file(fixture.outside(), "precious");
  fs::create_symlink(fixture.outside(), fixture.path() / "MANIFEST.tmp");
  CHECK(difference(scan_all(SegmentIndex::open(fixture.path(), tiny_options())),
                   fixture.model().scan()) == "");
  CHECK(read_file(fixture.outside()) == "precious");
  CHECK_FALSE(fs::is_symlink(fixture.path() / "MANIFEST"));
}

struct FullPlace {
  const char* what;
  Fault fault;
};
std::vector<FullPlace> full_places() {
  return {
      {"a run's bytes", fault(Operation::Write, ENOSPC, "delta-")},
      {"a main run's bytes", fault(Operation::Write, ENOSPC, "main-")},
      {"creating a run", fault(Operation::Create, ENOSPC, "delta-")},
      {"syncing a run", fault(Operation::Sync, ENOSPC, "main-")},
      {"renaming a run", fault(Operation::Rename, ENOSPC, "delta-")},
      {"creating a log", fault(Operation::Create, ENOSPC, "log-")},
      {"allocating a log", fault(Operation::Allocate, EDQUOT, "log-")},
      {"recycling a log", fault(Operation::Rename, ENOSPC, "log-")},
      {"the manifest's bytes", fault(Operation::Write, ENOSPC, "MANIFEST")},
      {"syncing the manifest", fault(Operation::Sync, ENOSPC, "MANIFEST")},
      {"renaming the manifest", fault(Operation::Rename, ENOSPC, "MANIFEST")},
  };
}

TEST_CASE("a full disk refuses a write and everything goes on once there is room",
          "[lib][bad_input][faults]") {
  const QuickRetries quick;
  Options options = tiny_options();
  options.access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  CAPTURE(to_string(options.access));
  for (const FullPlace& place : full_places()) {
    CAPTURE(place.what);
    const auto disk = std::make_shared<SimulatedFileSystem>();
    SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
    Model model;
    Workload workload(Workload::Shape::Decimal, 9);
    const auto write_some = [&](int count) {
      for (int i = 0; i < count; ++i) {
        const std::string key = workload.key(), value = workload.value();
        index.put(key, value);
        model.put(key, value);
      }
    };
    write_some(3000);
    const std::size_t id = disk->add_fault(place.fault);
    CHECK(error_of([&] { write_some(20000); }) == ErrorCode::NoSpace);
    CHECK(disk->fired(id) > 0);
    CHECK(index.statistics().space.shortage_count > 0);
    CHECK(difference(scan_all(index), model.scan()) == "");
    // Trying again fails alike, or finds room in another way.
    const std::optional<ErrorCode> again = error_of([&] { write_some(200); });
    CHECK((!again || again == ErrorCode::NoSpace));
    // Whoever opens what is there now, finds all of it.
    const auto left = disk->after_kill();
    CHECK(difference(
              scan_all(SegmentIndexAccess::open(directory::make_posix_directory(left), options)),
              model.scan()) == "");
    disk->clear_faults();
    while (index.maintain()) {  // What the background has not tried again yet.
    }
    // One that the background began before that may still fail, and refuse writes until the next.
    const bool may_refuse = options.access == Access::Concurrent;
    const auto goes_on = [&] {
      const std::optional<ErrorCode> refused = error_of([&] { write_some(1); });
      return !refused || (may_refuse && refused == ErrorCode::NoSpace &&
                          becomes([&] { return !error_of([&] { write_some(1); }); }));
    };
    int written = 0;
    while (written < 2000 && goes_on()) ++written;
    CHECK(written == 2000);
    index.compact();
    CHECK(becomes([&] { return index.health(); }));
    CHECK(difference(scan_all(index), model.scan()) == "");
    index.close();
    index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
    CHECK(difference(scan_all(index), model.scan()) == "");
  }
}

TEST_CASE("a failure that leaves the disk in doubt ends the writing and not the reading",
          "[lib][bad_input][faults]") {
  struct Place {
    const char* what;
    Fault fault;
    bool flush;
  };
  const std::vector<Place> places = {
      {"the log's sync", fault(Operation::Sync, EIO, "log-", false), false},
      {"the log's sync before a flush", fault(Operation::Sync, EIO, "log-", false), true},
      {"the directory's sync after the manifest's renaming",
       [] {
         Fault after = fault(Operation::SyncDirectory, EIO, {}, false);
         after.nth = 1;
         return after;
       }(),
       true},
      {"the directory's sync after the manifest's renaming, with no space",
       [] {
         Fault after = fault(Operation::SyncDirectory, ENOSPC, {}, false);
         after.nth = 1;
         return after;
       }(),
       true},
      {"the manifest's sync", fault(Operation::Sync, EIO, "MANIFEST", false), true},
      {"the manifest's renaming", fault(Operation::Rename, EIO, "MANIFEST", false), true},
      {"a medium that went read-only", fault(Operation::Rename, EROFS, "MANIFEST", false), true},
  };
  for (const Place& place : places) {
    CAPTURE(place.what);
    const auto disk = std::make_shared<SimulatedFileSystem>();
    SegmentIndex index =
        SegmentIndexAccess::open(directory::make_posix_directory(disk), tiny_options());
    Model model;
    for (int i = 0; i < 100; ++i) {
      index.put(std::to_string(i), "v");
      model.put(std::to_string(i), "v");
    }
    const std::size_t id = disk->add_fault(place.fault);
    std::optional<ErrorCode> code = error_of([&] { place.flush ? index.flush() : index.sync(); });
    CHECK(code.has_value());
    CHECK(disk->fired(id) > 0);
    disk->clear_faults();
    CHECK_FALSE(index.health());
    CHECK(index.lifecycle() == Lifecycle::Failed);
    CHECK(error_of([&] { index.put("late", "v"); }).has_value());
    CHECK(error_of([&] {
            index.put("late", "v", {.durability = Durability::Buffered, .deadline = {}});
          }).has_value());
    CHECK(error_of([&] { index.erase("0"); }).has_value());
    CHECK(error_of([&] { index.sync(); }).has_value());
    CHECK(error_of([&] { index.compact(); }).has_value());
    CHECK(difference(scan_all(index), model.scan()) == "");
    CHECK(index.get("7") == "v");
    static_cast<void>(error_of([&] { index.close(); }));
    CHECK(index.lifecycle() == Lifecycle::Closed);
    index = SegmentIndexAccess::open(directory::make_posix_directory(disk), tiny_options());
    CHECK(index.health());
    CHECK(difference(scan_all(index), model.scan()) == "");
    index.put("now", "v");
  }
}

TEST_CASE("a read that the medium refuses is an Error for its keys only",
          "[lib][bad_input][faults]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  Options options = tiny_options();
  options.reads = Reads::Buffered;
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  for (int i = 0; i < 400; ++i) index.put(std::to_string(i), std::string(100, 'v'));
  index.compact();
  index.put("in memory", "v");
  disk->add_fault(fault(Operation::Read, EIO, "main-"));
  CHECK(index.get("in memory") == "v");
  CHECK(error_of([&] { static_cast<void>(index.get("17")); }) == ErrorCode::Io);
  CHECK(error_of([&] { static_cast<void>(index.contains("399")); }) == ErrorCode::Io);
  index.put("17", "newer");
  CHECK(index.get("17") == "newer");
  CHECK(error_of([&] { index.compact(); }) == ErrorCode::Io);
  CHECK(index.health());
  disk->clear_faults();
  CHECK(index.get("18") == std::string(100, 'v'));
  index.compact();
  CHECK(index.get("17") == "newer");
  CHECK(scan_all(index).size() == 401);
}

TEST_CASE("a directory that cannot be written is opened read-only", "[lib][bad_input]") {
  const Fixture fixture;
  if (::geteuid() == 0) return;  // Nothing is forbidden to root.
  fs::permissions(fixture.path(), fs::perms::owner_read | fs::perms::owner_exec);
  Options options = tiny_options();
  CHECK(refusal_of(fixture.path()).code.has_value());
  options.read_only = true;
  CHECK(difference(scan_all(SegmentIndex::open(fixture.path(), options)), fixture.model().scan()) ==
        "");
  fs::permissions(fixture.path(), fs::perms::owner_all);
}

}  // namespace varve::test
