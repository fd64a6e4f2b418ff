// SPDX-License-Identifier: Apache-2.0
// Whatever happens to the bytes of an index, check() names the file, and reading gives the right
// value or Error{Corruption}: never a wrong value, never a crash.

#include "tests/lib/damage.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "directory/bytes.hpp"
#include "lib/checker.hpp"
#include "lib/run_store.hpp"
#include "tests/support/catch.hpp"

namespace varve::internal {
namespace {

using test::Damaged;
using test::Files;
using test::find_report;
using test::is_log;
using test::live_files;
using test::log_end;
using test::log_name;
using test::misreading;
using test::random_bytes;
using test::Use;

const test::StoreImage& image() {
  return test::damage_image();
}

std::string flipped(std::string bytes, std::size_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ (1 << ((at * 5 + 3) % 8)));
  return bytes;
}

TEST_CASE("the image for the damage tests has every kind of file and of content", "[lib][damage]") {
  const Manifest& manifest = image().manifest;
  std::size_t mains = 0, slices = 0, tombstones = 0, ranges = 0;
  for (const SegmentRecord& segment : manifest.segments) {
    mains += segment.main ? 1 : 0;
    slices += segment.slices.size();
    ranges += segment.range_tombstones.size();
    for (const RunRecord& slice : segment.slices) tombstones += slice.tombstone_count;
  }
  CHECK(mains >= 2);
  CHECK(slices >= 4);
  CHECK(tombstones > 0);
  CHECK(ranges > 0);
  CHECK(manifest.logs.size() == 1);
  CHECK(log_end() > manifest.logs.back().synced_end);

  Damaged sound;
  const CheckReport report = check_directory(*sound, {.deep = true});
  CHECK(report.sound());
  for (const std::string& name : live_files()) CHECK(find_report(report, name) == nullptr);
  for (const Use use : {Use::Read, Use::Write, Use::Compact}) {
    CHECK(misreading(Damaged(), use, "MANIFEST").empty());
  }
}

TEST_CASE("a log cut off before what was synced is damage", "[lib][damage]") {
  const std::string name = log_name();
  const std::uint64_t synced = image().manifest.logs.back().synced_end;
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{4096}, synced / 2, synced - 1}) {
    Damaged damaged;
    damaged.set(name, std::string_view(image().files.at(name)).substr(0, size));
    CHECK_FALSE(check_directory(*damaged, {}).sound());
  }
}

TEST_CASE("a missing file is reported and never taken for an empty one", "[lib][damage]") {
  for (const std::string& name : live_files()) {
    Damaged damaged;
    damaged.remove(name);
    INFO(name);
    const CheckReport report = check_directory(*damaged, {});
    CHECK(find_report(report, name) != nullptr);
    for (const Use use : {Use::Read, Use::Write}) {
      CHECK(misreading(damaged, use, "MANIFEST").empty());
    }
  }
}

TEST_CASE("a file in the place of another is reported and never read", "[lib][damage]") {
  std::vector<std::string> names = live_files();
  for (const std::string& name : names) {
    for (const std::string& other : names) {
      if (name == other) continue;
      Damaged damaged;
      damaged.set(name, image().files.at(other));
      INFO(other << " as " << name);
      CHECK(find_report(check_directory(*damaged, {}), name) != nullptr);
      CHECK(misreading(damaged, Use::Read, "MANIFEST").empty());
    }
  }
}

// What the same file name held in another index of the same history: its uuid differs.
TEST_CASE("files of another index are reported and never read", "[lib][damage]") {
  const test::StoreImage other = test::SmallStoreBuilder().build().image;
  for (const std::string& name : live_files()) {
    REQUIRE(other.files.contains(name));
    Damaged damaged;
    damaged.set(name, other.files.at(name));
    INFO(name);
    CHECK_FALSE(check_directory(*damaged, {}).sound());
    CHECK(misreading(damaged, Use::Read, "MANIFEST").empty());
  }
}

TEST_CASE("an open that fails leaves every file as it was", "[lib][damage]") {
  std::size_t refused_count = 0;
  for (const std::string& name : live_files()) {
    const std::string& sound = image().files.at(name);
    for (const std::size_t at : {std::size_t{20}, sound.size() / 5, sound.size() / 3}) {
      Damaged damaged;
      damaged.set("delta-900.varve", "left over by a crash");
      damaged.set(name, flipped(sound, at));
      const Files before = test::files_of(*damaged);
      bool opened = false;
      try {
        static_cast<void>(SegmentIndexAccess::open(damaged.get(), test::image_options()));
        opened = true;
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::Corruption);
      }
      INFO(name << ", byte " << at);
      if (opened) continue;  // What is damaged is looked at when it is read.
      CHECK(test::files_of(*damaged) == before);
      ++refused_count;
    }
  }
  CHECK(refused_count >= 3);  // The manifest's, at least.
}

TEST_CASE("leftovers and foreign files are notes and change no answer", "[lib][damage]") {
  for (const std::string& name :
       std::vector<std::string>{"delta-900.varve", "log-900.varve", "main-9-9.varve", "notes.txt",
                                "main-1-1.varve.bak", "MANIFEST.old", "core"}) {
    Damaged damaged;
    damaged.set(name, random_bytes(5000, 3));
    const CheckReport report = check_directory(*damaged, {.deep = true});
    CHECK(report.sound());
    CHECK(std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& finding) {
      return finding.file == name && finding.severity == Severity::Note;
    }));
    for (const Use use : {Use::Read, Use::Write, Use::Compact}) {
      CHECK(misreading(damaged, use, "MANIFEST").empty());
    }
  }
}

}  // namespace
}  // namespace varve::internal
