// SPDX-License-Identifier: Apache-2.0
// What jobs leave when the power or the process fails right behind them, one promise at a time. The
// sweeps in tests/crash meet the same by going everywhere; these say which promise was broken.
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/model.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using directory::SimulatedFileSystem;
using internal::SegmentIndexAccess;

constexpr WriteOptions kUnlogged{.durability = Durability::Buffered};

// An index of several segments whose jobs run when they are told to.
class Subject {
 public:
  explicit Subject(Access access, std::size_t log_file_size = 4 << 20) {
    options.access = access;
    options.memory_budget = 512 << 10;
    options.tuning.inline_maintenance = false;
    // What is flushed makes delta runs, as long as it is less than a main run.
    options.tuning.compaction_ratio = 4;
    options.tuning.segment_size = 256 << 10;
    options.tuning.log_file_size = log_file_size;
    index = open(disk);
    for (int i = 0; i < 3'000; ++i) {
      index.put(std::to_string(10'000 + i), std::string(250, 'v'));
      if (i % 1'000 == 999) index.compact();
    }
    index.sync();
    for (const SegmentStatistics& segment : index.statistics().segments) {
      fences.push_back(segment.first_key + "1");  // A key of the segment.
    }
    REQUIRE(fences.size() >= 3);
  }
  [[nodiscard]] SegmentIndex open(const std::shared_ptr<SimulatedFileSystem>& medium) const {
    return SegmentIndexAccess::open(directory::make_posix_directory(medium), options);
  }
  [[nodiscard]] SegmentIndex after_power_loss() const { return open(disk->after_reboot({})); }
  [[nodiscard]] SegmentIndex after_kill() const { return open(disk->after_kill()); }

  Options options = tiny_options();
  std::shared_ptr<SimulatedFileSystem> disk = std::make_shared<SimulatedFileSystem>();
  SegmentIndex index;
  std::vector<std::string> fences;  // A key in each segment.
};

Access any_access() {
  return GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
}

}  // namespace

TEST_CASE("a flush of one segment makes durable what was written before it to others",
          "[lib][jobs][durability]") {
  Subject subject(any_access());
  SegmentIndex& index = subject.index;
  index.put(subject.fences[0], "early");
  const std::uint64_t flush_count = index.statistics().flush_count;
  for (int i = 0; index.statistics().flush_count == flush_count; ++i) {
    index.put(subject.fences[1] + std::to_string(i), std::string(2'000, 'l'));
    static_cast<void>(index.maintain());
  }
  CHECK(index.statistics().segments[0].memory_entry_count == 1);  // Not flushed itself.
  const SegmentIndex recovered = subject.after_power_loss();
  CHECK(recovered.contains(subject.fences[1] + "0"));
  CHECK(recovered.get(subject.fences[0]) == "early");
}

TEST_CASE("a merge of one segment makes durable what was written before it to others",
          "[lib][jobs][durability]") {
  Subject subject(any_access());
  SegmentIndex& index = subject.index;
  index.put(subject.fences[0], "early");
  index.put(subject.fences[1], "late");
  CancelToken cancel;
  CHECK(error_of([&] {
          index.compact({.from = subject.fences[1],
                         .progress = [&](const MaintenanceProgress&) { cancel.cancel(); },
                         .cancel = &cancel});
        }) == ErrorCode::Cancelled);
  CHECK(index.statistics().segments[0].memory_entry_count == 1);
  CHECK(index.statistics().segments[1].memory_entry_count == 0);
  const SegmentIndex recovered = subject.after_power_loss();
  CHECK(recovered.get(subject.fences[1]) == "late");
  CHECK(recovered.get(subject.fences[0]) == "early");
}

TEST_CASE("a flush takes the unlogged writes of all segments", "[lib][jobs][durability]") {
  Subject subject(any_access());
  for (const std::string& key : subject.fences) subject.index.put(key, "unlogged", kUnlogged);
  subject.index.flush();
  const SegmentIndex recovered = subject.after_kill();
  for (const std::string& key : subject.fences) CHECK(recovered.get(key) == "unlogged");
}

TEST_CASE("unlogged writes whose flush found no space are flushed by the next sync()",
          "[lib][jobs][durability]") {
  Subject subject(any_access());
  for (const std::string& key : subject.fences) subject.index.put(key, "unlogged", kUnlogged);
  subject.disk->add_fault({.operation = directory::Operation::Create,
                           .name_part = "delta",
                           .sticky = true,
                           .error_number = ENOSPC});
  CHECK(error_of([&] { subject.index.flush(); }) == ErrorCode::NoSpace);
  subject.disk->clear_faults();
  subject.index.sync();
  const SegmentIndex recovered = subject.after_kill();
  for (const std::string& key : subject.fences) CHECK(recovered.get(key) == "unlogged");
}

TEST_CASE("a log is kept until the manifest that does without it is there",
          "[lib][jobs][durability]") {
  Subject subject(any_access(), 64 << 10);
  SegmentIndex& index = subject.index;
  for (const std::string& key : subject.fences) {
    index.put(key, "logged");
    for (int i = 0; i < 100; ++i) index.put(key + std::to_string(i), std::string(500, 'l'));
  }
  subject.disk->add_fault({.operation = directory::Operation::Create,
                           .name_part = "MANIFEST",
                           .sticky = true,
                           .error_number = ENOSPC});
  CHECK(error_of([&] { index.flush(); }) == ErrorCode::NoSpace);
  // Up to the next log file, which may be made of one that is not needed any more.
  CHECK(error_of([&] {
          for (int i = 0; i < 200; ++i) index.put(subject.fences[0], std::string(500, 'x'));
        }) == ErrorCode::NoSpace);
  {
    const SegmentIndex recovered = subject.after_kill();
    for (const std::string& key : subject.fences) CHECK(recovered.contains(key + "99"));
  }
  subject.disk->clear_faults();
  index.flush();
  for (const std::string& key : subject.fences) CHECK(index.contains(key + "99"));
}

TEST_CASE("a log is kept for its last record alone", "[lib][jobs][durability]") {
  Subject subject(any_access(), 64 << 10);
  SegmentIndex& index = subject.index;
  index.flush();
  index.put(subject.fences[0], "last of its file");
  index.put(subject.fences[1], std::string(80 << 10, 'l'));  // Goes into a file of its own.
  const std::uint64_t flush_count = index.statistics().flush_count;
  for (int i = 0; index.statistics().flush_count == flush_count; ++i) {
    index.put(subject.fences[1] + std::to_string(i), std::string(2'000, 'l'));
    static_cast<void>(index.maintain());
  }
  REQUIRE(index.statistics().segments[0].memory_entry_count == 1);  // Not flushed itself.
  CHECK(subject.after_kill().get(subject.fences[0]) == "last of its file");
}

TEST_CASE("who lost the directory does not replace its manifest", "[lib][jobs][lock]") {
  const TemporaryDirectory temporary;
  const std::filesystem::path path = temporary.path() / "index";
  Options options = tiny_options();
  options.access = any_access();
  SegmentIndex index = SegmentIndex::open(path, options);
  index.put("k", "v");
  const std::string before = read_file(path / "MANIFEST");
  REQUIRE(std::filesystem::remove(path / "LOCK"));
  const Error error = thrown_by([&] { index.flush(); });
  CHECK(error.code() == ErrorCode::ReadOnly);
  CHECK(read_file(path / "MANIFEST") == before);
  CHECK(index.get("k") == "v");
  CHECK(error_of([&] { index.put("k", "w"); }) == ErrorCode::ReadOnly);
}

}  // namespace varve::test
