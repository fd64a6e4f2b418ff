// SPDX-License-Identifier: Apache-2.0
// Something comes, while an index is open, under the name of the file that it will write next.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/file_names.hpp"
#include "lib/manifest.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/lib/plant.hpp"
#include "tests/lib/store_image.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/check.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

constexpr std::uint64_t kPlantedCount = 6;

internal::Manifest manifest_of(const fs::path& path) {
  return internal::decode_manifest(read_file(path / "MANIFEST"), "MANIFEST");
}

// Plants at the names that `name_of` gives from `first` on, and says later whether all is there.
class Planted {
 public:
  Planted(Plant what, const fs::path& victim, std::uint64_t count,
          const std::function<fs::path(std::uint64_t)>& name_of)
      : victim_(victim) {
    write_file(victim, "precious");
    for (std::uint64_t i = 0; i < count; ++i) {
      plant(what, name_of(i), victim);
      types_[name_of(i)] = fs::symlink_status(name_of(i)).type();
    }
  }
  void check_untouched() const {
    for (const auto& [path, type] : types_) {
      CAPTURE(path);
      CHECK(fs::symlink_status(path).type() == type);
    }
    CHECK(read_file(victim_) == "precious");
    CHECK_FALSE(fs::exists(victim_.parent_path() / "nowhere"));
  }
  void clear() {
    for (const auto& [path, type] : types_) fs::remove(path);
    types_.clear();
  }

 private:
  fs::path victim_;
  std::map<fs::path, fs::file_type> types_;
};

// An index in which no job runs but those that are asked for.
class Store {
 public:
  explicit Store(Access access) {
    options_.access = access;
    options_.tuning.inline_maintenance = false;
    open();
  }
  [[nodiscard]] SegmentIndex& index() noexcept { return *index_; }
  [[nodiscard]] fs::path path() const { return temporary_.path() / "i"; }
  [[nodiscard]] fs::path victim() const { return temporary_.path() / "victim"; }
  void put(int from, int to, char fill) {
    for (int i = from; i < to; ++i) {
      const std::string key = std::to_string(1000 + i), value(100, fill);
      index_->put(key, value);
      entries_[key] = value;
    }
  }
  // What is on disk is sound and holds everything, after a clean close and after a kill.
  void check_reopened() {
    index_->close();
    const CheckReport report = check(path(), {.deep = true});
    for (const CheckFinding& finding : report.findings) {
      CAPTURE(finding.file, finding.what);
      CHECK(finding.severity != Severity::Damage);
    }
    open();
    check_entries();
  }
  void check_entries() const {
    Entries found;
    for (const auto& [key, value] : index_->scan()) found.emplace(key, value);
    CHECK((found == entries_));
  }

 private:
  void open() { index_ = std::make_unique<SegmentIndex>(SegmentIndex::open(path(), options_)); }

  TemporaryDirectory temporary_;
  Options options_ = tiny_options();
  Entries entries_;
  std::unique_ptr<SegmentIndex> index_;
};

std::uint64_t version_of(const SegmentIndex& index) {
  return index.statistics().segments.front().version;
}

}  // namespace

TEST_CASE("what has the name of the next main run does not stop its merge, and is left alone",
          "[lib][taken]") {
  const Access access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  for (const Plant what : kPlants) {
    CAPTURE(static_cast<int>(what), to_string(access));
    Store store(access);
    store.put(0, 20, 'a');
    store.index().compact();
    store.put(0, 5, 'b');
    const std::uint64_t id = manifest_of(store.path()).segments.front().id;
    const std::uint64_t version = version_of(store.index());
    const Planted planted(what, store.victim(), kPlantedCount, [&](std::uint64_t i) {
      return store.path() / internal::main_file_name(id, version + 1 + i);
    });
    store.index().compact();
    planted.check_untouched();
    const internal::Manifest manifest = manifest_of(store.path());
    REQUIRE(manifest.segments.front().main);
    CHECK(manifest.segments.front().main->file_version > version + kPlantedCount);
    CHECK(version_of(store.index()) >= manifest.segments.front().main->file_version);
    // The next jobs begin above the run that is there.
    store.put(7, 8, 'c');
    store.index().flush();
    store.put(8, 9, 'd');
    store.index().compact();
    store.check_entries();
    planted.check_untouched();
    CHECK(store.index().health());
    store.check_reopened();
  }
}

TEST_CASE("what has the name of the next delta file does not stop its flush, and is left alone",
          "[lib][taken]") {
  const Access access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  for (const Plant what : kPlants) {
    CAPTURE(static_cast<int>(what), to_string(access));
    Store store(access);
    store.put(0, 300, 'a');
    store.index().compact();
    store.put(0, 2, 'b');
    const std::uint64_t next = manifest_of(store.path()).next_delta_number;
    const Planted planted(what, store.victim(), kPlantedCount, [&](std::uint64_t i) {
      return store.path() / internal::delta_file_name(next + i);
    });
    store.index().flush();
    planted.check_untouched();
    CHECK(manifest_of(store.path()).next_delta_number == next + kPlantedCount + 1);
    CHECK(fs::is_regular_file(store.path() / internal::delta_file_name(next + kPlantedCount)));
    store.check_entries();
    CHECK(store.index().health());
    store.check_reopened();
  }
}

TEST_CASE("what has the name of a new segment's run does not stop a split", "[lib][taken]") {
  const Access access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  CAPTURE(to_string(access));
  Store store(access);
  const std::uint64_t next = manifest_of(store.path()).next_segment_id;
  const Planted planted(Plant::Directory, store.victim(), kPlantedCount, [&](std::uint64_t i) {
    return store.path() / internal::main_file_name(next + i, 1);
  });
  store.put(0, 1000, 'a');
  store.index().compact();
  planted.check_untouched();
  const internal::Manifest manifest = manifest_of(store.path());
  REQUIRE(manifest.segments.size() > 1);
  for (std::size_t i = 1; i < manifest.segments.size(); ++i) {
    REQUIRE(manifest.segments[i].main);
    CHECK(manifest.segments[i].main->file_version >= 2);
  }
  store.put(0, 1000, 'b');
  store.index().flush();
  store.index().compact();
  store.check_entries();
  store.check_reopened();
}

// Between the look at its name and the renaming there is all the time that writing it takes.
TEST_CASE("what gets the name of a file that a job is writing is left alone", "[lib][taken]") {
  const Access access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  const bool main = GENERATE(false, true);
  CAPTURE(to_string(access), main);
  const auto disk = std::make_shared<directory::SimulatedFileSystem>();
  Options options = tiny_options();
  options.access = access;
  options.tuning.inline_maintenance = false;
  const auto open = [&] {
    return internal::SegmentIndexAccess::open(directory::make_posix_directory(disk), options);
  };
  SegmentIndex index = open();
  Entries entries;
  const auto put = [&](int count, const std::string& value) {
    for (int i = 0; i < count; ++i) {
      index.put(std::to_string(i), value);
      entries[std::to_string(i)] = value;
    }
  };
  put(300, std::string(100, 'a'));
  index.compact();
  put(2, "b");
  std::string taken;
  disk->watch_steps([&](std::uint64_t) {
    const std::string step = disk->steps().back();
    if (!taken.empty() || !step.ends_with(".varve.tmp") || !step.starts_with("write ")) return;
    taken = step.substr(6, step.size() - 10);
    disk->plant(taken, "of another");
  });
  const Error error = thrown_by([&] { main ? index.compact() : index.flush(); });
  CHECK(error.code() == ErrorCode::AlreadyExists);
  CHECK(taken.starts_with(main ? "main-" : "delta-"));
  CHECK(error.path().filename() == taken);
  CHECK(disk->peek(taken) == "of another");
  CHECK(index.lifecycle() == Lifecycle::Ready);
  main ? index.compact() : index.flush();
  CHECK(disk->peek(taken) == "of another");
  const auto found = [&] {
    Entries all;
    for (const auto& [key, value] : index.scan()) all.emplace(key, value);
    return all;
  };
  CHECK((found() == entries));
  index.close();
  index = open();
  CHECK((found() == entries));
}

TEST_CASE("names that are all taken are told, and jobs go on once they are free", "[lib][taken]") {
  const Access access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  const bool main = GENERATE(false, true);
  CAPTURE(to_string(access), main);
  Store store(access);
  store.put(0, 300, 'a');
  store.index().compact();
  store.put(0, 2, 'b');
  const internal::Manifest manifest = manifest_of(store.path());
  const std::uint64_t id = manifest.segments.front().id;
  const std::uint64_t version = version_of(store.index());
  Planted planted(
      Plant::Directory, store.victim(), 2 * internal::kTakenNamesMax, [&](std::uint64_t i) {
        return store.path() / (main ? internal::main_file_name(id, version + 1 + i)
                                    : internal::delta_file_name(manifest.next_delta_number + i));
      });
  const Error error = thrown_by([&] { main ? store.index().compact() : store.index().flush(); });
  CHECK(error.code() == ErrorCode::AlreadyExists);
  CHECK(error.path().parent_path() == store.path());
  CHECK(std::string(error.what()).find("move it away") != std::string::npos);
  CHECK(store.index().lifecycle() == Lifecycle::Ready);
  planted.check_untouched();
  store.check_entries();
  planted.clear();
  main ? store.index().compact() : store.index().flush();
  store.check_entries();
  store.check_reopened();
}

}  // namespace varve::test
