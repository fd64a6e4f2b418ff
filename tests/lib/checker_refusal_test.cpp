// SPDX-License-Identifier: Apache-2.0
// What a check makes of a medium, or a lock, that refuses something.
#include <algorithm>
#include <string>

#include "directory/simulated_file_system.hpp"
#include "lib/checker.hpp"
#include "tests/lib/faulty_directory.hpp"
#include "tests/lib/store_image.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"

namespace varve::internal {
namespace {

using test::error_of;
using test::store_image;

const CheckFinding* find(const CheckReport& report, const std::string& file, Severity severity) {
  const auto found = std::find_if(report.findings.begin(), report.findings.end(),
                                  [&](const CheckFinding& finding) {
                                    return finding.file == file && finding.severity == severity;
                                  });
  return found == report.findings.end() ? nullptr : &*found;
}

// A check that does not get the directory's lock, for this reason.
CheckReport check_without_lock(ErrorCode code, const char* file) {
  test::FaultyDirectory directory;
  for (const auto& [name, bytes] : store_image().files) directory.replace(name, bytes);
  directory.faults.acquire_error = Error(code, "the test refused it", directory.path() / file);
  return check_directory(directory, {.deep = true});
}

}  // namespace

TEST_CASE("each read that the medium refuses once is a finding of its file",
          "[lib][check][fault]") {
  std::uint64_t nth = 0;
  for (;; ++nth) {
    auto files = std::make_shared<directory::SimulatedFileSystem>();
    for (const auto& [name, bytes] : store_image().files) files->plant(name, bytes);
    const std::size_t id = files->add_fault({.operation = directory::Operation::Read, .nth = nth});
    const CheckReport report =
        check_directory(*directory::make_posix_directory(files), {.deep = true});
    if (files->fired(id) == 0) break;
    const std::string name = files->faulted_calls().front().name;
    CAPTURE(nth, name);
    if (name == "LOCK") continue;  // It decides nothing.
    const CheckFinding* const finding = find(report, name, Severity::Damage);
    REQUIRE(finding != nullptr);
    CHECK((finding->found + finding->what).find("Input/output error") != std::string::npos);
  }
  CHECK(nth > 50);
}

TEST_CASE("a check goes on without the lock where it can, and says so", "[lib][check][fault]") {
  for (const ErrorCode code : {ErrorCode::Unsupported, ErrorCode::ReadOnly}) {
    const CheckReport report = check_without_lock(code, "LOCK");
    CHECK(report.sound());
    const CheckFinding* const note = find(report, "LOCK", Severity::Note);
    REQUIRE(note != nullptr);
    CHECK(note->what.find("the test refused it") != std::string::npos);
  }
  for (const ErrorCode code : {ErrorCode::Corruption, ErrorCode::Io}) {
    const CheckReport report = check_without_lock(code, "LOCK");
    const CheckFinding* const damage = find(report, "LOCK", Severity::Damage);
    REQUIRE(damage != nullptr);
    CHECK_FALSE(damage->advice.empty());
    CHECK(report.run_count >= 8);  // The rest is looked at all the same.
  }
  // Perhaps an index that lost LOCK and MANIFEST; what is there decides.
  CHECK(check_without_lock(ErrorCode::NotFound, "LOCK").sound());
  CHECK(error_of([] { static_cast<void>(check_without_lock(ErrorCode::Locked, "LOCK")); }) ==
        ErrorCode::Locked);
  CHECK(error_of([] { static_cast<void>(check_without_lock(ErrorCode::Io, "")); }) ==
        ErrorCode::Io);
}

TEST_CASE("a run with later sequences than the manifest tells is damage", "[lib][check]") {
  const auto directory = directory::make_memory_directory("index");
  test::Files files;
  {
    SegmentIndex index = SegmentIndexAccess::open(directory, test::image_options());
    index.put("key", "old");
    const auto snapshot =
        index.snapshot();  // So that both versions, and their sequences, are kept.
    index.put("key", "new");
    index.flush();
    files = test::files_of(*directory);
  }
  REQUIRE(check_directory(*test::directory_of(files), {.deep = true}).sound());
  Manifest manifest = decode_manifest(files.at("MANIFEST"), "MANIFEST");
  SegmentRecord& segment = manifest.segments.front();
  RunRecord& run = segment.main ? *segment.main : segment.slices.front();
  run.first_sequence = run.last_sequence = 0;
  files["MANIFEST"] = encode_manifest(manifest);
  const CheckReport report = check_directory(*test::directory_of(files), {});
  const CheckFinding* const finding = find(report, run_file_name(run), Severity::Damage);
  REQUIRE(finding != nullptr);
  CHECK(finding->what.find("largest sequence") != std::string::npos);
  CHECK(finding->expected == "0");
}

TEST_CASE("a dump of a log that is missing tells of it", "[lib][check]") {
  test::Files files = store_image().files;
  const std::string name = log_file_name(store_image().manifest.logs.back().number);
  files.erase(name);
  const LogReport report = check_directory_log(*test::directory_of(files), {}, {});
  CHECK_FALSE(report.sound());
  CHECK(report.record_count == 0);
  REQUIRE(report.findings.size() == 2);  // And that the last writer did not close the index.
  CHECK(std::any_of(report.findings.begin(), report.findings.end(),
                    [&](const auto& finding) { return finding.file == name; }));
}

}  // namespace varve::internal
