// SPDX-License-Identifier: Apache-2.0
#include "lib/checker.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "directory/simulated_file_system.hpp"
#include "tests/lib/store_image.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/temporary_directory.hpp"

namespace varve::internal {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::Files;
using test::read_file;
using test::write_file;

const test::StoreImage& image() {
  return test::store_image();
}

CheckReport deep_check(const Files& files) {
  const auto directory = test::directory_of(files);
  return check_directory(*directory, {.deep = true});
}

// The only finding about `file` of this severity; null when there is none, or more than one.
const CheckFinding* find(const std::vector<CheckFinding>& findings, const std::string& file,
                         Severity severity) {
  const CheckFinding* found = nullptr;
  for (const CheckFinding& finding : findings) {
    if (finding.file != file || finding.severity != severity) continue;
    if (found != nullptr) return nullptr;
    found = &finding;
  }
  return found;
}
std::size_t count(const CheckReport& report, Severity severity) {
  return static_cast<std::size_t>(
      std::count_if(report.findings.begin(), report.findings.end(),
                    [&](const CheckFinding& finding) { return finding.severity == severity; }));
}

void write_image(const fs::path& directory) {
  for (const auto& [name, bytes] : image().files) write_file(directory / name, bytes);
}

const SegmentRecord& last_segment() {
  return image().manifest.segments.back();
}
std::string main_name() {
  return run_file_name(*last_segment().main);
}
std::string log_name() {
  return log_file_name(image().manifest.logs.back().number);
}

// The image under a manifest that says something else.
template <typename Edit>
CheckReport check_with_manifest(Edit edit) {
  Manifest manifest = image().manifest;
  edit(manifest);
  Files files = image().files;
  files["MANIFEST"] = encode_manifest_unchecked(manifest);
  return deep_check(files);
}

TEST_CASE("a report counts what it has seen", "[lib][check]") {
  const CheckReport report = deep_check(image().files);
  std::uint64_t runs = 0, entries = 0;
  for (const SegmentRecord& segment : image().manifest.segments) {
    if (segment.main) ++runs, entries += segment.main->entry_count;
    for (const RunRecord& slice : segment.slices) ++runs, entries += slice.entry_count;
  }
  CHECK(report.sound());
  CHECK(report.file_count == image().files.size());
  CHECK(report.segment_count == image().manifest.segments.size());
  CHECK(report.run_count == runs);
  CHECK(report.entry_count == entries);
  CHECK(report.block_count > runs);
  CHECK(report.log_record_count > image().states.size() - 2);
  CHECK(report.writer_epoch == image().manifest.writer_epoch);
  CHECK(report.manifest_edit == image().manifest.edit);

  const auto directory = test::directory_of(image().files);
  const CheckReport shallow = check_directory(*directory, {});
  CHECK(shallow.block_count == report.block_count);
  CHECK(shallow.size < report.size / 2);
}

TEST_CASE("progress ascends to the total", "[lib][check]") {
  const auto directory = test::directory_of(image().files);
  std::uint64_t done = 0, total = 0, calls = 0;
  CheckOptions options;
  options.progress = [&](const CheckProgress& progress) {
    CHECK(progress.done_size >= done);
    CHECK((total == 0 || total == progress.total_size));
    done = progress.done_size;
    total = progress.total_size;
    ++calls;
  };
  static_cast<void>(check_directory(*directory, options));
  CHECK(calls >= image().manifest.segments.size());
  CHECK(done == total);
}

TEST_CASE("a clean close leaves nothing to report", "[lib][check]") {
  const test::TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "index";
  auto index = SegmentIndex::open(path, test::image_options());
  for (int i = 0; i < 300; ++i) index.put(test::image_key(i), test::image_value(i, 1));
  CHECK(error_of([&] { static_cast<void>(check(path, {.lock_wait = {}})); }) == ErrorCode::Locked);
  index.close();
  CHECK(check(path, {.deep = true}).findings.empty());
  CHECK(check_log(path).findings.empty());
}

TEST_CASE("where there is no index there is nothing to check", "[lib][check]") {
  const test::TemporaryDirectory temporary;
  const auto refusal = [](const fs::path& path) {
    return error_of([&] { static_cast<void>(check(path)); });
  };
  CHECK(refusal(temporary.path()) == ErrorCode::NotFound);
  CHECK(refusal(temporary.path() / "absent") == ErrorCode::NotFound);
  write_file(temporary.path() / "notes.txt", "x");
  CHECK(refusal(temporary.path()) == ErrorCode::NotFound);
  CHECK(error_of([&] { check_log(temporary.path()); }) == ErrorCode::NotFound);
  CHECK(error_of([&] { static_cast<void>(check(temporary.path() / "notes.txt")); }) ==
        ErrorCode::NotFound);
}

TEST_CASE("checking changes nothing on disk", "[lib][check]") {
  const test::TemporaryDirectory temporary;
  write_image(temporary.path());
  write_file(temporary.path() / "delta-77.varve", "left over");
  write_file(temporary.path() / "delta-78.varve.tmp", "left over");
  const auto directory = directory::make_posix_directory(temporary.path());
  const Files before = test::files_of(*directory);
  static_cast<void>(check(temporary.path(), {.deep = true}));
  check_log(temporary.path());
  CHECK(test::files_of(*directory) == before);  // No LOCK either.
}

TEST_CASE("a killed writer leaves a warning that its log will be recovered", "[lib][check]") {
  const test::TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "index";
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto index = SegmentIndex::open(path, test::image_options());
    for (int i = 0; i < 50; ++i) index.put(test::image_key(i), test::image_value(i, 1));
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  const CheckReport report = check(path, {.deep = true});
  CHECK(report.sound());
  CHECK(report.findings.size() == 1);
  CHECK(find(report.findings, "MANIFEST", Severity::Warning) != nullptr);
  CHECK(report.log_record_count == 50);
}

TEST_CASE("a torn log tail is a warning with its place, a hole is damage", "[lib][check]") {
  std::vector<LogRecordInfo> records;
  const auto directory = test::directory_of(image().files);
  check_directory_log(*directory, [&](const LogRecordInfo& record) { records.push_back(record); },
                      {});
  REQUIRE(records.size() > 2);
  const LogRecordInfo& last = records.back();
  Files torn = image().files;
  torn[log_name()][last.offset + 30] ^= 1;
  const CheckReport warned = deep_check(torn);
  CHECK(warned.sound());
  const CheckFinding* finding = find(warned.findings, log_name(), Severity::Warning);
  REQUIRE(finding != nullptr);
  CHECK(finding->offset == last.offset);
  CHECK(finding->expected == "a whole record");
  CHECK(warned.log_record_count == records.size() - 1);

  Files holed = image().files;
  holed[log_name()][records[records.size() - 2].offset + 30] ^= 1;
  const CheckReport damaged = deep_check(holed);
  finding = find(damaged.findings, log_name(), Severity::Damage);
  REQUIRE(finding != nullptr);
  CHECK(finding->offset == records[records.size() - 2].offset);
}

TEST_CASE("logs that overlap or follow one that is being written are damage", "[lib][check]") {
  Manifest manifest = image().manifest;
  LogRecordEntry& first = manifest.logs.back();
  const std::uint64_t next = first.number + 1;
  const auto directory = test::directory_of(image().files);
  const LogReport whole = check_directory_log(*directory, {}, {});
  const auto check_with = [&](std::uint64_t sealed_end, Sequence first_sequence) {
    first = {.number = first.number, .sealed_end = sealed_end, .synced_end = sealed_end};
    Manifest changed = manifest;
    changed.logs.push_back({.number = next});
    changed.next_log_number = next + 1;
    std::string log(kLogHeaderSize, '\0');
    encode_log_header(
        {.uuid = manifest.uuid, .number = next, .first_sequence = first_sequence, .boot_id = "b"},
        log.data());
    std::string operations;
    append_operation(operations, OperationKind::Put, "k", "v");
    log.resize(kLogHeaderSize + log_record_size(operations.size()));
    encode_log_record(log.data() + kLogHeaderSize, log_seed(manifest.uuid, next), kLogHeaderSize,
                      first_sequence, operations);
    Files files = image().files;
    files["MANIFEST"] = encode_manifest(changed);
    files[log_file_name(next)] = log;
    return deep_check(files);
  };
  CHECK(check_with(whole.size, whole.last_sequence + 1).sound());
  CHECK(find(check_with(whole.size, whole.last_sequence).findings, log_file_name(next),
             Severity::Damage) != nullptr);
  CHECK(find(check_with(0, whole.last_sequence + 1).findings, "MANIFEST", Severity::Damage) !=
        nullptr);
}

TEST_CASE("every live log record is handed out in order", "[lib][check]") {
  const auto directory = test::directory_of(image().files);
  std::uint64_t sequence = 0, operations = 0, count = 0, end = kLogHeaderSize;
  const auto visit = [&](const LogRecordInfo& record) {
    CHECK(record.log_number == image().manifest.logs.back().number);
    CHECK(record.sequence > sequence);
    CHECK(record.offset == end);
    sequence = record.sequence;
    end = record.offset + record.size;
    operations += record.operation_count;
    ++count;
    CHECK_FALSE(record.operations.empty());
  };
  const LogReport report = check_directory_log(*directory, visit, {});
  CHECK(report.sound());
  CHECK(report.log_count == 1);
  CHECK(report.record_count == count);
  CHECK(report.operation_count == operations);
  CHECK(report.operation_count == report.record_count + 4);  // One batch of five.
  CHECK(report.last_sequence == sequence);
  CHECK(report.size == end);
}

TEST_CASE("what a visitor of log records throws passes through", "[lib][check]") {
  const auto directory = test::directory_of(image().files);
  CHECK_THROWS_AS(
      check_directory_log(*directory,
                          [](const LogRecordInfo&) { throw std::logic_error("enough"); }, {}),
      std::logic_error);
  const auto throw_error = [](const LogRecordInfo&) {
    throw Error(ErrorCode::Corruption, "of the visitor");
  };
  CHECK_THROWS_WITH(check_directory_log(*directory, throw_error, {}), "of the visitor");
}

TEST_CASE("damage of a run names block, keys, entries and what to do", "[lib][check]") {
  Files files = image().files;
  files[main_name()][9000] ^= 4;
  files[main_name()][30000] ^= 4;
  const CheckReport report = deep_check(files);
  CHECK(count(report, Severity::Damage) == 2);
  for (const CheckFinding& finding : report.findings) {
    if (finding.severity != Severity::Damage) continue;
    CHECK(finding.file == main_name());
    CHECK(finding.entry_count > 0);
    CHECK(finding.first_key >= last_segment().fence);
    CHECK(finding.last_key > finding.first_key);
    CHECK(finding.expected != finding.found);
    CHECK(finding.advice.find("varve dump") != std::string::npos);
  }
  // Blocks are looked at by a deep check only.
  CHECK(check_directory(*test::directory_of(files), {}).sound());
}

TEST_CASE("a run with a damaged filter is searched for further damage", "[lib][check]") {
  Files files = image().files;
  std::string& bytes = files[main_name()];
  bytes[bytes.size() - 128 - 10] ^= 4;  // The filter's end.
  bytes[9000] ^= 4;
  const CheckReport report = deep_check(files);
  CHECK(count(report, Severity::Damage) == 2);
}

TEST_CASE("a run that contradicts the manifest is damage", "[lib][check]") {
  const auto damage_in = [](const CheckReport& report, const std::string& file) {
    return std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& finding) {
      return finding.file == file && finding.severity == Severity::Damage;
    });
  };
  CHECK_FALSE(damage_in(check_with_manifest([](Manifest&) {}), main_name()));
  CHECK(damage_in(
      check_with_manifest([](Manifest& manifest) { ++manifest.segments.back().main->entry_count; }),
      main_name()));
  CHECK(damage_in(check_with_manifest(
                      [](Manifest& manifest) { ++manifest.segments.back().main->tombstone_count; }),
                  main_name()));
  CHECK(damage_in(
      check_with_manifest([](Manifest& manifest) { ++manifest.segments.back().main->raw_size; }),
      main_name()));
  CHECK(damage_in(
      check_with_manifest([](Manifest& manifest) { manifest.segments.back().fence = "key-0599"; }),
      main_name()));
  // The segment before then ends earlier.
  CHECK(damage_in(
      check_with_manifest([](Manifest& manifest) { manifest.segments.back().fence = "key-0300"; }),
      run_file_name(*image().manifest.segments[2].main)));
}

TEST_CASE("a missing manifest is damage, and the files that are there are listed", "[lib][check]") {
  const test::TemporaryDirectory temporary;
  write_image(temporary.path());
  fs::remove(temporary.path() / "MANIFEST");
  const CheckReport report = check(temporary.path());  // There is no LOCK either.
  CHECK(count(report, Severity::Damage) == 1);
  CHECK(find(report.findings, "MANIFEST", Severity::Damage) != nullptr);
  CHECK(find(report.findings, main_name(), Severity::Note) != nullptr);
  CHECK(find(report.findings, log_name(), Severity::Note) != nullptr);
  CHECK_FALSE(check_log(temporary.path()).sound());
}

TEST_CASE("a damaged manifest is damage with its place", "[lib][check]") {
  Files files = image().files;
  files["MANIFEST"][200] ^= 1;
  const CheckReport report = deep_check(files);
  const CheckFinding* finding = find(report.findings, "MANIFEST", Severity::Damage);
  REQUIRE(finding != nullptr);
  CHECK(finding->offset == files["MANIFEST"].size() - 8);
  CHECK(finding->expected.starts_with("checksum "));
  CHECK_FALSE(finding->found.empty());
  CHECK(find(report.findings, main_name(), Severity::Note) != nullptr);
}

TEST_CASE("links, pipes and directories are never opened", "[lib][check]") {
  const test::TemporaryDirectory temporary;
  const fs::path elsewhere = temporary.path() / "elsewhere";
  const fs::path path = temporary.path() / "index";
  fs::create_directory(path);
  write_image(path);
  const auto found_as = [&](const std::string& name) {
    const CheckReport report = check(path, {.deep = true});
    const CheckFinding* finding = find(report.findings, name, Severity::Damage);
    return finding == nullptr ? std::string("nothing") : finding->found;
  };
  for (const std::string& name : {std::string("MANIFEST"), main_name(), log_name()}) {
    const fs::path file = path / name;
    INFO(name);
    fs::rename(file, elsewhere);
    fs::create_symlink(elsewhere, file);  // To sound bytes.
    CHECK(found_as(name) == "a symbolic link");
    fs::remove(file);
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    CHECK(found_as(name) == "a special file");
    fs::remove(file);
    fs::create_directory(file);
    CHECK(found_as(name) == "a directory");
    fs::remove(file);
    fs::create_hard_link(elsewhere, file);
    CHECK(found_as(name) == "2 hard links");
    fs::remove(file);
    fs::rename(elsewhere, file);
  }
  fs::create_symlink("/nowhere", path / "delta-90.varve");
  REQUIRE(::mkfifo((path / "delta-91.varve").c_str(), 0600) == 0);
  fs::create_directory(path / "delta-92.varve.tmp");
  fs::create_directory(path / "a directory");
  const CheckReport report = check(path, {.deep = true});
  CHECK(report.sound());
  for (const char* name :
       {"delta-90.varve", "delta-91.varve", "delta-92.varve.tmp", "a directory"}) {
    CHECK(find(report.findings, name, Severity::Note) != nullptr);
  }
}

TEST_CASE("a manifest that is older than LOCK tells is noted", "[lib][check]") {
  const test::TemporaryDirectory temporary;
  const fs::path path = temporary.path() / "index";
  SegmentIndex::open(path).close();
  const std::string old = read_file(path / "MANIFEST");
  for (int i = 0; i < 3; ++i) SegmentIndex::open(path).close();
  CHECK(check(path).findings.empty());
  write_file(path / "MANIFEST", old);
  CHECK(find(check(path).findings, "MANIFEST", Severity::Note) != nullptr);
}

TEST_CASE("a read that the medium refuses is a finding with its reason", "[lib][check]") {
  using directory::Operation;
  const auto check_with_fault = [](const std::string& name, Operation operation) {
    auto files = std::make_shared<directory::SimulatedFileSystem>();
    for (const auto& [file, bytes] : image().files) files->plant(file, bytes);
    files->add_fault({.operation = operation, .name_part = name, .sticky = true});
    return check_directory(*directory::make_posix_directory(files), {.deep = true});
  };
  for (const std::string& name : {std::string("MANIFEST"), main_name(), log_name()}) {
    for (const Operation operation : {Operation::Read, Operation::Open}) {
      const CheckReport report = check_with_fault(name, operation);
      const CheckFinding* finding = find(report.findings, name, Severity::Damage);
      INFO(name);
      REQUIRE(finding != nullptr);
      CHECK(finding->found == "Input/output error");
      if (name != "MANIFEST")
        CHECK(report.run_count >= 8);  // The others are looked at all the same.
    }
  }
  CHECK(error_of([&] { static_cast<void>(check_with_fault("", Operation::List)); }) ==
        ErrorCode::Io);
}

TEST_CASE("severities have names", "[lib][check]") {
  CHECK(to_string(Severity::Note) == "Note");
  CHECK(to_string(Severity::Warning) == "Warning");
  CHECK(to_string(Severity::Damage) == "Damage");
}

}  // namespace
}  // namespace varve::internal
