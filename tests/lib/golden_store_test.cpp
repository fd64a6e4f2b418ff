// SPDX-License-Identifier: Apache-2.0
// A whole index as format 1 wrote it, of every kind of file, and what it holds: written once, by
// test::SmallStoreBuilder of that time, and never again. Later code opens, verifies and reads it,
// and writes the same bytes where it writes the same thing.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "directory/lock_record.hpp"
#include "lib/checker.hpp"
#include "segment/run_format.hpp"
#include "segment/run_writer.hpp"
#include "tests/lib/golden.hpp"
#include "tests/lib/small_store.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/file_bytes.hpp"
#include "tests/support/temporary_directory.hpp"

namespace varve::internal {
namespace {

namespace fs = std::filesystem;
using directory::LockRecord;
using test::Entries;
using test::Files;
using test::thrown_by;

const fs::path kStore = VARVE_SOURCE_DIR "/tests/golden/format-1/store";
const fs::path kEntries = VARVE_SOURCE_DIR "/tests/golden/format-1/store.tsv";

LockRecord lock_record() {
  return {.state = LockRecord::State::Open,
          .healthy = true,
          .mode = LockMode::Exclusive,
          .write_number = 2,
          .writer_epoch = 2,
          .pid = 4242,
          .process_start_ticks = 12345,
          .pid_namespace = 4026531836,
          .since_unix_seconds = 1'750'000'000,
          .boot_id = "01234567-89ab-4def-8123-456789abcdef",
          .host = "host",
          .program = "program"};
}

// For a new format only, and never over what is there.
void write_golden_store() {
  const test::StoreImage& image = test::small_store().image;
  fs::create_directory(kStore);
  for (const auto& [name, bytes] : image.files) test::write_file(kStore / name, bytes);
  const auto lock = directory::encode(lock_record());
  test::write_file(kStore / "LOCK", {lock.data(), lock.size()});
  std::string entries;
  for (const auto& [key, value] : image.whole()) entries.append(key + "\t" + value + "\n");
  test::write_file(kEntries, entries);
}

Files read_golden_store() {
  if (std::getenv("VARVE_WRITE_GOLDEN") != nullptr && !fs::exists(kStore)) write_golden_store();
  Files files;
  for (const auto& entry : fs::directory_iterator(kStore)) {
    files[entry.path().filename().string()] = test::read_file(entry.path());
  }
  return files;
}

const Files& golden_store() {
  static const Files files = read_golden_store();
  return files;
}

const Entries& golden_entries() {
  static const Entries entries = [] {
    static_cast<void>(golden_store());
    std::istringstream text(test::read_file(kEntries));
    Entries found;
    for (std::string key, value; std::getline(text, key, '\t') && std::getline(text, value);) {
      found.emplace(key, value);
    }
    return found;
  }();
  return entries;
}

Manifest golden_manifest() {
  return decode_manifest(golden_store().at("MANIFEST"), "MANIFEST");
}

Entries entries_of(const SegmentIndex& index) {
  Entries found;
  for (const auto& [key, value] : index.scan()) found.emplace(key, value);
  return found;
}

std::vector<RunRecord> runs_of(const Manifest& manifest) {
  std::vector<RunRecord> runs;
  for (const SegmentRecord& segment : manifest.segments) {
    if (segment.main) runs.push_back(*segment.main);
    runs.insert(runs.end(), segment.slices.begin(), segment.slices.end());
  }
  return runs;
}

class StringSink final : public directory::Sink {
 public:
  explicit StringSink(std::uint64_t offset) : bytes(offset, '\0') {}
  void append(std::string_view piece) override { bytes += piece; }
  [[nodiscard]] std::uint64_t offset() const noexcept override { return bytes.size(); }
  std::string bytes;
};

TEST_CASE("a whole index of format 1 is sound and holds what it held", "[lib][golden]") {
  const Files& files = golden_store();
  REQUIRE(golden_entries().size() == 105);
  for (const std::string kind : {"MANIFEST", "LOCK", "log-", "delta-", "main-"}) {
    INFO(kind);
    CHECK(std::any_of(files.begin(), files.end(),
                      [&](const auto& file) { return file.first.starts_with(kind); }));
  }
  const auto directory = test::directory_of(files);
  const CheckReport report = check_directory(*directory, {.deep = true});
  CHECK(report.sound());
  CHECK(report.log_record_count > 10);
  for (const bool untrusted : {false, true}) {
    Options options = test::image_options();
    options.read_only = true;
    options.untrusted = untrusted;
    const SegmentIndex index = SegmentIndexAccess::open(directory, options);
    CHECK((entries_of(index) == golden_entries()));
    for (const auto& [key, value] : golden_entries()) CHECK((index.get(key) == value));
    CHECK_FALSE(index.get("key-0048").has_value());  // Erased; 0001 never was there since.
    CHECK_FALSE(index.get("key-0001").has_value());
  }
}

TEST_CASE("an index of format 1 in files is opened, written, compacted and closed",
          "[lib][golden]") {
  const test::TemporaryDirectory temporary;
  for (const auto& [name, bytes] : golden_store()) {
    test::write_file(temporary.path() / name, bytes);
  }
  Entries expected = golden_entries();
  {
    SegmentIndex index = SegmentIndex::open(temporary.path(), test::image_options());
    CHECK((entries_of(index) == expected));
    index.put("key-9999", "new");
    expected["key-9999"] = "new";
    index.compact();
    CHECK((entries_of(index) == expected));
    index.close();
  }
  CHECK(check(temporary.path(), {.deep = true}).findings.empty());
  CHECK((entries_of(SegmentIndex::open(temporary.path(), test::image_options())) == expected));
}

TEST_CASE("manifest, log and LOCK of format 1 are written as they were read", "[lib][golden]") {
  const Manifest manifest = golden_manifest();
  CHECK((encode_manifest(manifest) == golden_store().at("MANIFEST")));

  const std::uint64_t number = manifest.logs.back().number;
  const std::string& log = golden_store().at(log_file_name(number));
  std::string written(log.size(), '\0');
  encode_log_header(decode_log_header(log, "log"), written.data());
  std::uint64_t end = 0;
  scan_log(log, {.uuid = manifest.uuid, .number = number, .boot_id = {}}, "log",
           [&](const LogRecordView& record) {
             encode_log_record(written.data() + record.offset, log_seed(manifest.uuid, number),
                               record.offset, record.sequence, record.operations);
             end = record.offset + record.size;
           });
  REQUIRE(end > kLogHeaderSize);
  CHECK(written.substr(0, end) == log.substr(0, end));

  const std::string& lock = golden_store().at("LOCK");
  const auto record = directory::decode_lock_record(lock);
  REQUIRE(record.has_value());
  CHECK((*record == lock_record()));
  const auto encoded = directory::encode(*record);
  CHECK((std::string(encoded.data(), encoded.size()) == lock));
}

TEST_CASE("the runs of an index of format 1 are written as they were read", "[lib][golden]") {
  const Manifest manifest = golden_manifest();
  const auto directory = test::directory_of(golden_store());
  const std::vector<RunRecord> runs = runs_of(manifest);
  REQUIRE(runs.size() >= 6);
  for (const RunRecord& record : runs) {
    const std::string name = run_file_name(record);
    INFO(name << " at byte " << record.offset);
    const segment::RunLocation location{.offset = record.offset,
                                        .size = record.size,
                                        .seed = run_seed(manifest.uuid, record),
                                        .entry_count = record.entry_count,
                                        .footer_checksum = record.footer_checksum};
    const auto run = segment::Run::open(directory->open(name), location, Reads::Buffered);
    StringSink sink(record.offset);
    segment::RunWriter writer(
        sink, {.seed = location.seed, .block_size = 512, .filter_bits_per_key = 12});
    const auto cursor = run->cursor();
    for (cursor->seek_to_first(); cursor->valid(); cursor->next()) writer.add(cursor->entry());
    CHECK(writer.finish().footer_checksum == record.footer_checksum);
    const std::string_view golden = golden_store().at(name);
    CHECK((std::string_view(sink.bytes).substr(record.offset) ==
           golden.substr(record.offset, record.size)));
  }
}

// Opens the golden store with one file changed.
Error refusal_with(const std::string& name, const std::string& bytes) {
  Files files = golden_store();
  files[name] = bytes;
  const auto directory = test::directory_of(files);
  const CheckReport report = check_directory(*directory, {.deep = true});
  CHECK(std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& finding) {
    return finding.file == name && finding.severity == Severity::Damage &&
           finding.advice.find("upgrade") != std::string::npos;
  }));
  return thrown_by(
      [&] { static_cast<void>(SegmentIndexAccess::open(directory, test::image_options())); });
}

void check_newer(const Error& error, const std::string& name) {
  INFO(name << ": " << error.what());
  CHECK(error.code() == ErrorCode::Unsupported);
  CHECK(error.path().filename() == name);
  CHECK(std::string(error.what()).find("newer version") != std::string::npos);
}

TEST_CASE("what a newer version wrote is told from damage, with what to do", "[lib][golden]") {
  std::string manifest = golden_store().at("MANIFEST");
  const auto with_checksum = [](std::string bytes) {
    directory::store_le(bytes.data() + bytes.size() - 8,
                        manifest_checksum(std::string_view(bytes).substr(0, bytes.size() - 8)));
    return bytes;
  };
  manifest[8] = 2;  // The format.
  check_newer(refusal_with("MANIFEST", with_checksum(manifest)), "MANIFEST");
  manifest[8] = 1;
  for (int bit = 0; bit < 64; bit += 9) {
    std::string bytes = manifest;
    bytes[24 + bit / 8] = static_cast<char>(1 << bit % 8);  // Feature bits.
    check_newer(refusal_with("MANIFEST", with_checksum(bytes)), "MANIFEST");
  }
  const std::string log_name = log_file_name(golden_manifest().logs.back().number);
  std::string log = golden_store().at(log_name);
  log[8] = 2;
  directory::store_le(
      log.data() + 4088,
      directory::hash64({log.data(), 4088},
                        directory::file_seed({}, directory::ChecksumDomain::Log, 0)));
  check_newer(refusal_with(log_name, log), log_name);
}

TEST_CASE("a run of a newer format is told from damage", "[lib][golden]") {
  Manifest manifest = golden_manifest();
  RunRecord& record = *manifest.segments.back().main;
  Files files = golden_store();
  std::string& bytes = files.at(run_file_name(record));
  const std::uint64_t footer = record.size - segment::kRunFooterSize;
  bytes[footer + 8] = 2;
  record.footer_checksum =
      directory::hash64(std::string_view(bytes).substr(footer, 120),
                        directory::part_seed(run_seed(manifest.uuid, record), footer));
  directory::store_le(bytes.data() + footer + 120, record.footer_checksum);
  files["MANIFEST"] = encode_manifest(manifest);
  const auto directory = test::directory_of(files);
  check_newer(thrown_by([&] {
                static_cast<void>(SegmentIndexAccess::open(directory, test::image_options()));
              }),
              run_file_name(record));
}

}  // namespace
}  // namespace varve::internal
