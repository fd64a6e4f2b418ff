// SPDX-License-Identifier: Apache-2.0
// What an open refuses, or leaves alone, beyond what damage and crashes bring about.
#include "lib/recovery.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/checker.hpp"
#include "lib/log_format.hpp"
#include "tests/lib/faulty_directory.hpp"
#include "tests/lib/store_image.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"

namespace varve::internal {
namespace {

using test::Files;
using test::image_options;
using test::store_image;
using test::thrown_by;

test::Entries entries_of(const SegmentIndex& index) {
  test::Entries entries;
  for (const auto& [key, value] : index.scan()) entries.emplace(key, value);
  return entries;
}

void append_record(std::string& log, std::size_t offset, const std::string& uuid,
                   std::uint64_t number, Sequence sequence, bool range_erase = false) {
  std::string operations;
  append_operation(operations, OperationKind::Put, "crafted", "value");
  if (range_erase) append_operation(operations, OperationKind::EraseRange, "x", "y");
  log.resize(std::max(log.size(), offset + log_record_size(operations.size())));
  encode_log_record(log.data() + offset, log_seed(uuid, number), offset, sequence, operations);
}

// The image's log as it is, and a later one that holds `records` records of one operation each. Its
// header was written before `ahead` more records went to the earlier one.
Files with_later_log(std::uint64_t sealed_end, Sequence first_sequence, int records = 0,
                     Sequence ahead = 0) {
  Files files = store_image().files;
  Manifest manifest = store_image().manifest;
  LogRecordEntry& first = manifest.logs.back();
  first.sealed_end = first.synced_end = sealed_end;
  const std::uint64_t number = first.number + 1;
  manifest.logs.push_back({.number = number});
  manifest.next_log_number = number + 1;
  std::string log(kLogHeaderSize, '\0');
  encode_log_header({.uuid = manifest.uuid,
                     .number = number,
                     .first_sequence = first_sequence - ahead,
                     .boot_id = "b"},
                    log.data());
  for (int i = 0; i < records; ++i) {
    append_record(log, log.size(), manifest.uuid, number,
                  first_sequence + static_cast<Sequence>(i));
  }
  files["MANIFEST"] = encode_manifest(manifest);
  files[log_file_name(number)] = log;
  return files;
}

// The image's log with one more record, of two operations, whose checksum is right. The last one's
// sequence is one above the record's.
Files with_record(Sequence sequence, std::uint64_t& offset) {
  Files files = store_image().files;
  const Manifest& manifest = store_image().manifest;
  const std::uint64_t number = manifest.logs.back().number;
  offset = check_directory_log(*test::directory_of(files), {}, {}).size;
  append_record(files.at(log_file_name(number)), static_cast<std::size_t>(offset), manifest.uuid,
                number, sequence, true);
  return files;
}

std::vector<CheckFinding> damage_in(directory::Directory& directory) {
  std::vector<CheckFinding> findings = check_directory(directory, {.deep = true}).findings;
  std::erase_if(findings, [](const auto& one) { return one.severity != Severity::Damage; });
  return findings;
}

// An open in either way is Corruption of `file`, says `what`, and leaves the files as they are.
void check_refused(const std::shared_ptr<directory::Directory>& directory, const Files& files,
                   const std::string& file, const std::string& what) {
  for (const bool read_only : {true, false}) {
    CAPTURE(read_only, what);
    Options options = image_options();
    options.read_only = read_only;
    const Error error =
        thrown_by([&] { static_cast<void>(SegmentIndexAccess::open(directory, options)); });
    CHECK(error.code() == ErrorCode::Corruption);
    CHECK(error.path().filename() == file);
    CHECK(std::string(error.what()).find(what) != std::string::npos);
    CHECK((test::files_of(*directory) == files));
  }
}

}  // namespace

TEST_CASE("a log that is still being written, but not the last one, is Corruption",
          "[lib][recovery]") {
  const std::uint64_t number = store_image().manifest.logs.back().number;
  const LogReport whole = check_directory_log(*test::directory_of(store_image().files), {}, {});
  const Files files = with_later_log(0, whole.last_sequence + 1);
  const auto directory = test::directory_of(files);
  check_refused(directory, files, "MANIFEST", log_file_name(number));
  // Sealed where its records end, it may be followed.
  const SegmentIndex index = SegmentIndexAccess::open(
      test::directory_of(with_later_log(whole.size, whole.last_sequence + 1)), image_options());
  CHECK((entries_of(index) == store_image().whole()));
}

TEST_CASE("a log record with a sequence that no manifest may hold is Corruption, with its place",
          "[lib][recovery][hostile]") {
  const auto sequence = GENERATE(as<Sequence>{}, kManifestNumberMax, kManifestNumberMax + 1,
                                 UINT64_MAX - 1, UINT64_MAX);
  const std::string log = log_file_name(store_image().manifest.logs.back().number);
  std::uint64_t offset = 0;
  const Files files = with_record(sequence, offset);
  const auto directory = test::directory_of(files);
  const Sequence found = std::max(sequence, sequence + 1);  // Unless the last one has come to 0.
  const std::string place = "log at byte " + std::to_string(offset) + ":";
  CAPTURE(sequence);
  check_refused(directory, files, log, log + ", " + place);
  check_refused(
      directory, files, log,
      std::to_string(kManifestNumberMax) + " expected, " + std::to_string(found) + " found");
  const std::vector<CheckFinding> damage = damage_in(*directory);
  REQUIRE(damage.size() == 1);
  CHECK(damage.front().file == log);
  CHECK(damage.front().offset == offset);
  CHECK(damage.front().expected == "sequences up to " + std::to_string(kManifestNumberMax));
  CHECK(damage.front().found == std::to_string(found));
}

TEST_CASE("the largest sequence of a log record is one that its manifest can hold",
          "[lib][recovery]") {
  std::uint64_t offset = 0;
  const auto directory = test::directory_of(with_record(kManifestNumberMax - 1, offset));
  CHECK(damage_in(*directory).empty());
  for (int round = 0; round < 2; ++round) {
    const SegmentIndex index = SegmentIndexAccess::open(directory, image_options());
    CHECK(index.get("crafted") == "value");
    CHECK(index.statistics().last_sequence == kManifestNumberMax);
  }
}

TEST_CASE("a log that begins before the one before it ends is Corruption", "[lib][recovery]") {
  const LogReport whole = check_directory_log(*test::directory_of(store_image().files), {}, {});
  const Sequence ahead = GENERATE(Sequence{0}, Sequence{3});
  const auto records = GENERATE(1, 2);
  const Files files = with_later_log(whole.size, whole.last_sequence, records, ahead);
  const auto directory = test::directory_of(files);
  const std::string log = log_file_name(store_image().manifest.logs.back().number + 1);
  check_refused(directory, files, log, log + ", log at byte 4096:");
  const auto sound =
      test::directory_of(with_later_log(whole.size, whole.last_sequence + 1, records, ahead));
  CHECK(damage_in(*sound).empty());
  SegmentIndex index = SegmentIndexAccess::open(sound, image_options());
  CHECK(index.statistics().last_sequence == whole.last_sequence + static_cast<Sequence>(records));
  index.put("later", "value");
  CHECK(index.get("later") == "value");
}

TEST_CASE("what is no plain file by the reserve's name is neither used nor removed",
          "[lib][recovery]") {
  using enum directory::FileKind;
  const auto kind = GENERATE(Regular, Symlink, Directory, Other);
  const auto directory = std::make_shared<test::FaultyDirectory>();
  for (const auto& [name, bytes] : store_image().files) directory->replace(name, bytes);
  directory->faults.also_listed = {
      {.name = std::string(kReserveName), .size = 4096, .allocated_size = 4096, .kind = kind}};
  Options options = image_options();
  options.tuning.reserve_size = 8192;
  const SegmentIndex index = SegmentIndexAccess::open(directory, options);
  // Nothing of that name is there, so that a removal would fail.
  CHECK(index.statistics().space.reserve_size == (kind == Regular ? 4096 : 0));
  CHECK((entries_of(index) == store_image().whole()));
}

}  // namespace varve::internal
