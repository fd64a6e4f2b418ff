// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "directory/bytes.hpp"
#include "segment/run_format.hpp"
#include "tests/lib/golden.hpp"
#include "tests/segment/run_fixture.hpp"
#include "tests/support/catch.hpp"

namespace varve::segment {
namespace {

using directory::ChecksumDomain;
using test::current;
using test::findings;
using test::Version;

constexpr std::string_view kUuid = "01234567-89ab-4def-8123-456789abcdef";
const std::uint64_t kMainSeed = directory::file_seed(kUuid, ChecksumDomain::MainRun, 7, 1);
const std::uint64_t kJumboSeed = directory::file_seed(kUuid, ChecksumDomain::MainRun, 7, 2);
const std::uint64_t kDeltaSeed = directory::file_seed(kUuid, ChecksumDomain::DeltaFile, 3);

// Several blocks; keys that are each other's beginnings, bytes 00 and FF, a key of many versions,
// suffixes shorter and longer than a head.
std::vector<Version> main_versions() {
  std::vector<Version> versions;
  for (int i = 0; i < 40; ++i) {
    versions.push_back({.key = "key-" + std::to_string(1000 + 7 * i),
                        .value = std::string(static_cast<std::size_t>(i), 'v')});
  }
  for (Sequence sequence = 300; sequence >= 60; sequence -= 60) {
    versions.push_back({.key = "many",
                        .sequence = sequence,
                        .kind = sequence == 180 ? Kind::Tombstone : Kind::Value,
                        .value = sequence == 180 ? "" : "at " + std::to_string(sequence)});
  }
  versions.push_back({.key = "many", .value = "visible to everybody"});
  using namespace std::string_literals;
  for (const std::string& key : {"p"s, "p\0"s, "p\0\0"s, "p\0\x01"s, "pp"s, "ppp"s, "pppppppp"s,
                                 "\xFF"s, "\xFF\xFF\xFF\xFF\xFF\xFF"s}) {
    versions.push_back({.key = key, .value = "value of " + key});
  }
  return versions;
}

// One key whose versions make a block of more than 64 KiB, between two small blocks.
std::vector<Version> jumbo_versions() {
  return {{.key = "a", .value = "before"},
          {.key = "jumbo", .sequence = 5, .value = std::string(65'536, 'j')},
          {.key = "jumbo", .sequence = 4, .kind = Kind::Tombstone},
          {.key = "jumbo", .value = "oldest"},
          {.key = "z", .value = "behind"}};
}

std::vector<Version> slice_versions(char letter) {
  std::vector<Version> versions;
  for (int i = 0; i < 12; ++i) {
    Version version{.key = std::string(1, letter) + std::to_string(100 + i)};
    version.sequence = i % 3 == 0 ? Sequence{0} : Sequence(1000 + 100 * i);
    version.kind = i % 4 == 2 ? Kind::Tombstone : Kind::Value;
    if (version.kind == Kind::Value) version.value = "of slice " + std::string(1, letter);
    versions.push_back(std::move(version));
  }
  return versions;
}

RunSummary append_run(test::StringSink& sink, const RunWriterOptions& options,
                      const std::vector<Version>& versions) {
  RunWriter writer(sink, options);
  for (const Version& version : versions) {
    writer.add({.key = version.key,
                .value = version.value,
                .sequence = version.sequence,
                .kind = version.kind});
  }
  return writer.finish();
}

std::string main_file() {
  test::StringSink sink;
  append_run(sink, {.seed = kMainSeed, .block_size = 512, .filter_bits_per_key = 12},
             main_versions());
  return sink.bytes;
}

std::string jumbo_file() {
  test::StringSink sink;
  append_run(sink, {.seed = kJumboSeed, .block_size = 512, .filter_bits_per_key = 10},
             jumbo_versions());
  return sink.bytes;
}

// Two slices, the second one without a filter.
std::string delta_file() {
  test::StringSink sink;
  append_run(sink, {.seed = kDeltaSeed, .block_size = 4096, .filter_bits_per_key = 12},
             slice_versions('d'));
  sink.bytes.resize(4096);
  append_run(sink, {.seed = kDeltaSeed, .block_size = 256, .filter_bits_per_key = 0},
             slice_versions('e'));
  return sink.bytes;
}

// Where the first byte differs, for a message that is shorter than two files.
void check_same_bytes(std::string_view fresh, std::string_view golden) {
  const auto [here, there] =
      std::mismatch(fresh.begin(), fresh.end(), golden.begin(), golden.end());
  INFO("first difference at byte " << here - fresh.begin());
  CHECK((here == fresh.end() && there == golden.end()));
}

// The manifest's part of what follows is in the footer, at places of docs/FORMAT.md.
RunLocation location_of(std::string_view file, std::uint64_t seed, std::size_t begin,
                        std::size_t end) {
  REQUIRE(end <= file.size());
  const char* const footer = file.data() + end - 128;
  REQUIRE(std::string_view(footer, 8) == "VARVERUN");
  return {.offset = begin,
          .size = end - begin,
          .seed = seed,
          .entry_count = directory::load_le<std::uint64_t>(footer + 32),
          .footer_checksum = directory::load_le<std::uint64_t>(footer + 120)};
}

void check_decodes(const std::string& bytes, const RunLocation& location,
                   const std::vector<Version>& versions) {
  for (const Reads reads : {Reads::Mapped, Reads::Buffered}) {
    const auto run = Run::open(std::make_shared<test::StringFile>(bytes, reads == Reads::Mapped),
                               location, reads);
    CHECK(findings(*run).empty());
    REQUIRE(run->entry_count() == versions.size());
    const auto cursor = run->cursor();
    std::size_t i = 0;
    for (cursor->seek_to_first(); cursor->valid(); cursor->next(), ++i) {
      REQUIRE(i < versions.size());
      CHECK(current(*cursor) == versions[i]);
    }
    CHECK(i == versions.size());
    std::string scratch;
    for (const Version& version : versions) {
      CHECK(run->may_contain(directory::hash64(version.key)));
      const FoundEntry found = run->find(version.key, version.sequence, scratch);
      REQUIRE(found.found);
      CHECK(found.value == version.value);
      CHECK(found.kind == version.kind);
    }
  }
}

}  // namespace

TEST_CASE("a main run is written and read as in format 1", "[segment][run][golden]") {
  const std::string fresh = main_file();
  const std::string golden = varve::test::golden("format-1/main-7-1.varve", fresh);
  check_same_bytes(fresh, golden);
  REQUIRE(golden.size() == 2048);
  const RunLocation location = location_of(golden, kMainSeed, 0, golden.size());
  CHECK(location.footer_checksum == 0xea14fb07ab974b9f);
  check_decodes(golden, location, main_versions());
}

TEST_CASE("a run with a block beyond 64 KiB is written and read as in format 1",
          "[segment][run][golden]") {
  const std::string fresh = jumbo_file();
  const std::string golden = varve::test::golden("format-1/main-7-2.varve", fresh);
  check_same_bytes(fresh, golden);
  REQUIRE(golden.size() == 66'240);
  // The second block has its size in units at its byte 8.
  CHECK(directory::load_le<std::uint32_t>(golden.data() + 128 + 8) * std::size_t{64} > 64 * 1024);
  const RunLocation location = location_of(golden, kJumboSeed, 0, golden.size());
  CHECK(location.footer_checksum == 0x0e9379896f92e830);
  check_decodes(golden, location, jumbo_versions());
}

TEST_CASE("the slices of a delta file are written and read as in format 1",
          "[segment][run][golden]") {
  const std::string fresh = delta_file();
  const std::string golden = varve::test::golden("format-1/delta-3.varve", fresh);
  check_same_bytes(fresh, golden);
  REQUIRE(golden.size() == 4544);
  const RunLocation first = location_of(golden, kDeltaSeed, 0, 512);
  CHECK(first.footer_checksum == 0xb366fd7fcb496cb7);
  check_decodes(golden, first, slice_versions('d'));
  const RunLocation second = location_of(golden, kDeltaSeed, 4096, golden.size());
  CHECK(second.footer_checksum == 0xc9e23dad93443aa4);
  check_decodes(golden, second, slice_versions('e'));
}

}  // namespace varve::segment
