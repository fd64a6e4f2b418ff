// SPDX-License-Identifier: Apache-2.0
// What an open refuses, or leaves alone, beyond what damage and crashes bring about.
#include "lib/recovery.hpp"

#include <memory>
#include <string>

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

// The image's log as it is, and a later one that holds nothing.
Files with_later_log(std::uint64_t sealed_end, Sequence first_sequence) {
  Files files = store_image().files;
  Manifest manifest = store_image().manifest;
  LogRecordEntry& first = manifest.logs.back();
  first.sealed_end = first.synced_end = sealed_end;
  const std::uint64_t number = first.number + 1;
  manifest.logs.push_back({.number = number});
  manifest.next_log_number = number + 1;
  std::string log(kLogHeaderSize, '\0');
  encode_log_header(
      {.uuid = manifest.uuid, .number = number, .first_sequence = first_sequence, .boot_id = "b"},
      log.data());
  files["MANIFEST"] = encode_manifest(manifest);
  files[log_file_name(number)] = log;
  return files;
}

}  // namespace

TEST_CASE("a log that is still being written, but not the last one, is Corruption",
          "[lib][recovery]") {
  const std::uint64_t number = store_image().manifest.logs.back().number;
  const LogReport whole = check_directory_log(*test::directory_of(store_image().files), {}, {});
  const Files files = with_later_log(0, whole.last_sequence + 1);
  const auto directory = test::directory_of(files);
  for (const bool read_only : {true, false}) {
    Options options = image_options();
    options.read_only = read_only;
    const Error error =
        thrown_by([&] { static_cast<void>(SegmentIndexAccess::open(directory, options)); });
    CHECK(error.code() == ErrorCode::Corruption);
    CHECK(error.path().filename() == "MANIFEST");
    CHECK(std::string(error.what()).find(log_file_name(number)) != std::string::npos);
    CHECK((test::files_of(*directory) == files));
  }
  // Sealed where its records end, it may be followed.
  const SegmentIndex index = SegmentIndexAccess::open(
      test::directory_of(with_later_log(whole.size, whole.last_sequence + 1)), image_options());
  CHECK((entries_of(index) == store_image().whole()));
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
