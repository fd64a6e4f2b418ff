// SPDX-License-Identifier: Apache-2.0
#include "lib/manifest.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "tests/lib/golden.hpp"
#include "tests/support/catch.hpp"
#include "varve/error.hpp"
#include "varve/limits.hpp"

namespace varve::internal {
namespace {

constexpr std::uint64_t kExtremes[] = {0,
                                       1,
                                       (1ULL << 31) - 1,
                                       (1ULL << 31) + 1,
                                       (1ULL << 32) - 1,
                                       (1ULL << 32) + 1,
                                       (1ULL << 63) - 1,
                                       (1ULL << 63) + 1,
                                       UINT64_MAX - 4};

RunRecord slice(std::uint64_t number, std::uint64_t offset, std::uint64_t size) {
  return {.kind = RunRecord::Kind::Slice,
          .file_number = number,
          .offset = offset,
          .size = size,
          .entry_count = 10,
          .tombstone_count = 3,
          .raw_size = 1000,
          .tier = 2,
          .first_sequence = 4,
          .last_sequence = 90,
          .footer_checksum = 0x0123456789abcdefULL};
}

// Every field has a value of its own, so that two that are swapped show.
Manifest example() {
  Manifest manifest;
  manifest.uuid = "01234567-89ab-4def-8123-456789abcdef";
  manifest.writer_epoch = 11;
  manifest.edit = 12;
  manifest.closed_cleanly = true;
  manifest.key_codec = "u64";
  manifest.value_codec = "order/1";
  manifest.next_segment_id = 13;
  manifest.next_delta_number = 14;
  manifest.next_log_number = 15;
  manifest.last_sequence = 1600;
  manifest.checkpoint = 17;
  manifest.options_text = "durability=Process\nsegment_size=67108864\n";
  manifest.logs = {{.number = 3, .sealed_end = 9000, .synced_end = 9000},
                   {.number = 7, .sealed_end = 0, .synced_end = 4096}};
  SegmentRecord first;
  first.id = 1;
  first.version = 21;
  first.flushed_sequence = 22;
  first.main = slice(1, 0, 4096);
  first.main->kind = RunRecord::Kind::Main;
  first.main->file_version = 20;
  first.slices = {slice(5, 0, 100), slice(4, 4096, 8192)};
  first.range_tombstones = {{.from = "a", .to = "c", .sequence = 30},
                            {.from = "b", .to = "", .sequence = 31}};
  SegmentRecord second;
  second.id = 2;
  second.fence = std::string("m\0\xff", 3);
  second.version = 1;
  second.slices = {slice(5, 100, 100)};
  manifest.segments = {first, second};
  return manifest;
}

// Small enough to flip every bit of it.
Manifest small_example() {
  Manifest manifest;
  manifest.uuid = "u";
  manifest.last_sequence = 100;
  manifest.next_delta_number = 9;
  manifest.logs = {{.number = 0, .sealed_end = 0, .synced_end = 4096}};
  SegmentRecord only;
  only.slices = {slice(5, 0, 100)};
  only.range_tombstones = {{.from = "a", .to = "c", .sequence = 30}};
  manifest.segments = {only};
  return manifest;
}

void fix_checksum(std::string& bytes) {
  const std::size_t at = bytes.size() - 8;
  directory::store_le(bytes.data() + at, manifest_checksum({bytes.data(), at}));
}

ErrorCode refusal(std::string_view bytes) {
  try {
    static_cast<void>(decode_manifest(bytes, "dir/MANIFEST"));
  } catch (const Error& error) {
    CHECK(error.path() == "dir/MANIFEST");
    CHECK(std::string(error.what()).find("dir/MANIFEST") != std::string::npos);
    return error.code();
  }
  FAIL("decoded " << bytes.size() << " bytes that should have been refused");
  return ErrorCode::Closed;
}

TEST_CASE("a manifest is read back with every field", "[lib][manifest]") {
  const Manifest manifest = example();
  const std::string bytes = encode_manifest(manifest);
  CHECK(decode_manifest(bytes, "MANIFEST") == manifest);
  CHECK(encode_manifest(decode_manifest(bytes, "MANIFEST")) == bytes);
}

TEST_CASE("fields of a manifest may have their largest values", "[lib][manifest]") {
  Manifest manifest = example();
  manifest.writer_epoch = manifest.edit = kManifestNumberMax;
  manifest.next_segment_id = kManifestSegmentIdMax;
  manifest.next_delta_number = manifest.next_log_number = kManifestNumberMax;
  manifest.last_sequence = kManifestNumberMax;
  manifest.checkpoint = kManifestNumberMax;
  manifest.key_codec.clear();
  manifest.options_text.assign(100'000, '\0');
  manifest.logs = {{kManifestNumberMax - 1, UINT64_MAX, UINT64_MAX}};
  SegmentRecord& segment = manifest.segments[1];
  segment.id = kManifestSegmentIdMax - 1;
  segment.version = kManifestNumberMax;
  segment.flushed_sequence = kManifestNumberMax;
  segment.fence.assign(kKeySizeMax, '\xff');
  RunRecord run = slice(kManifestNumberMax - 1, UINT64_MAX - 1, 1);
  run.entry_count = run.tombstone_count = run.raw_size = UINT64_MAX;
  run.first_sequence = run.last_sequence = kManifestNumberMax;
  run.footer_checksum = UINT64_MAX;
  run.tier = UINT32_MAX;
  segment.slices = {run};
  run.kind = RunRecord::Kind::Main;
  run.file_number = segment.id;
  run.file_version = segment.version;
  run.offset = 0;
  segment.main = run;
  segment.range_tombstones = {
      {.from = "", .to = std::string(kKeySizeMax, 'z'), .sequence = kManifestNumberMax}};
  CHECK(decode_manifest(encode_manifest(manifest), "MANIFEST") == manifest);
}

TEST_CASE("every flipped bit of a manifest is detected", "[lib][manifest][damage]") {
  const std::string sound = encode_manifest(small_example());
  std::string bytes = sound;
  for (std::size_t bit = 0; bit < sound.size() * 8; ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    const ErrorCode code = refusal(bytes);
    if (code != ErrorCode::Corruption) FAIL("bit " << bit);
    bytes[bit / 8] = sound[bit / 8];
  }
}

TEST_CASE("a manifest cut short at any length is detected", "[lib][manifest][damage]") {
  const std::string sound = encode_manifest(example());
  for (std::size_t size = 0; size < sound.size(); ++size) {
    CHECK(refusal(std::string_view(sound).substr(0, size)) == ErrorCode::Corruption);
  }
}

TEST_CASE("bytes behind a manifest are detected", "[lib][manifest][damage]") {
  const std::string sound = encode_manifest(example());
  for (const std::size_t size : {1, 8, 512, 4096}) {
    CHECK(refusal(sound + std::string(size, '\0')) == ErrorCode::Corruption);
    CHECK(refusal(sound + std::string(size, 'x')) == ErrorCode::Corruption);
    std::string checksummed = sound + std::string(size, '\0');
    directory::store_le(checksummed.data() + 16, std::uint64_t{checksummed.size()});
    fix_checksum(checksummed);
    CHECK(refusal(checksummed) == ErrorCode::Corruption);
  }
}

TEST_CASE("hostile fixed fields with a right checksum are refused or kept as they are",
          "[lib][manifest][hostile]") {
  const std::string sound = encode_manifest(example());
  for (std::size_t at = 8; at < 104; at += 4) {
    for (const std::uint64_t extreme : kExtremes) {
      std::string bytes = sound;
      directory::store_le(bytes.data() + at, extreme);
      fix_checksum(bytes);
      try {
        const Manifest decoded = decode_manifest(bytes, "MANIFEST");
        CHECK(encode_manifest(decoded) == bytes);
      } catch (const Error& error) {
        CHECK((error.code() == ErrorCode::Corruption || error.code() == ErrorCode::Unsupported));
      }
    }
  }
}

TEST_CASE("hostile counts in a manifest are refused before anything is allocated",
          "[lib][manifest][hostile]") {
  // The only segment ends with varint slice_count = 0 and varint range_tombstone_count = 0.
  Manifest manifest = small_example();
  manifest.segments[0].slices.clear();
  manifest.segments[0].range_tombstones.clear();
  const std::string sound = encode_manifest(manifest);
  for (const std::uint64_t extreme : kExtremes) {
    if (extreme == 0) continue;
    for (const std::size_t field : {88, 96}) {  // log_count, segment_count
      std::string bytes = sound;
      directory::store_le(bytes.data() + field, extreme + 1);
      fix_checksum(bytes);
      CHECK(refusal(bytes) == ErrorCode::Corruption);
    }
    for (const bool slices : {true, false}) {
      std::string bytes = sound.substr(0, sound.size() - 10);
      if (!slices) directory::append_varint(bytes, 0);
      directory::append_varint(bytes, extreme);
      if (slices) directory::append_varint(bytes, 0);
      bytes.append(8, '\0');
      directory::store_le(bytes.data() + 16, std::uint64_t{bytes.size()});
      fix_checksum(bytes);
      CHECK(refusal(bytes) == ErrorCode::Corruption);
    }
    // The size of the uuid, the first text.
    std::string bytes = sound.substr(0, 104);
    directory::append_varint(bytes, extreme);
    bytes += sound.substr(104 + 1);
    directory::store_le(bytes.data() + 16, std::uint64_t{bytes.size()});
    fix_checksum(bytes);
    if (extreme != 1) CHECK(refusal(bytes) == ErrorCode::Corruption);
  }
}

TEST_CASE("fields of a manifest that are impossible are refused though its checksum is right",
          "[lib][manifest][hostile]") {
  // The only segment is the last part: its slice and range tombstone come before the checksum.
  Manifest manifest = small_example();
  manifest.segments[0].range_tombstones.clear();
  const std::string sound = encode_manifest(manifest);
  const std::size_t slice_size = [&] {
    Manifest without = manifest;
    without.segments[0].slices.clear();
    return sound.size() - encode_manifest(without).size();
  }();
  // Before the checksum and the count of range tombstones.
  const std::size_t slice_at = sound.size() - 8 - 1 - slice_size;
  REQUIRE(sound[slice_at] == 2);      // Its kind.
  REQUIRE(sound[slice_at - 1] == 1);  // How many there are.
  REQUIRE(sound[slice_at - 2] == 0);  // has_main.
  const auto refusal_with = [&](std::size_t at, const std::string& bytes, std::size_t replaced) {
    std::string changed = sound;
    changed.replace(at, replaced, bytes);
    directory::store_le(changed.data() + 16, std::uint64_t{changed.size()});
    fix_checksum(changed);
    return refusal(changed);
  };
  CHECK(refusal_with(8, std::string(4, '\0'), 4) == ErrorCode::Corruption);  // Format 0.
  for (const char kind : {'\0', '\3', '\xff'}) {
    CHECK(refusal_with(slice_at, std::string(1, kind), 1) == ErrorCode::Corruption);
  }
  CHECK(refusal_with(slice_at - 2, "\2", 1) == ErrorCode::Corruption);
  // Its tier, of one byte, is followed by two sequences of one byte and a checksum of eight.
  const std::size_t tier_at = slice_at + slice_size - 8 - 3;
  REQUIRE(sound[tier_at] == 2);
  std::string tier;
  directory::append_varint(tier, std::uint64_t{UINT32_MAX});
  std::string changed = sound;
  changed.replace(tier_at, 1, tier);
  directory::store_le(changed.data() + 16, std::uint64_t{changed.size()});
  fix_checksum(changed);
  CHECK(decode_manifest(changed, "MANIFEST").segments[0].slices[0].tier == UINT32_MAX);
  tier.clear();
  directory::append_varint(tier, std::uint64_t{UINT32_MAX} + 1);
  CHECK(refusal_with(tier_at, tier, 1) == ErrorCode::Corruption);
}

TEST_CASE("a newer format and unknown features are unsupported, not corrupt", "[lib][manifest]") {
  std::string bytes = encode_manifest(example());
  directory::store_le(bytes.data() + 8, Manifest::kFormat + 1);
  CHECK(refusal(bytes) == ErrorCode::Corruption);  // The checksum covers the format.
  fix_checksum(bytes);
  CHECK(refusal(bytes) == ErrorCode::Unsupported);

  Manifest manifest = example();
  for (int bit = 0; bit < 64; ++bit) {
    manifest.feature_bits = std::uint64_t{1} << bit;
    CHECK(refusal(encode_manifest(manifest)) == ErrorCode::Unsupported);
  }
}

TEST_CASE("a manifest whose checksum is right but whose rules are broken is refused",
          "[lib][manifest]") {
  const std::vector<std::pair<const char*, std::function<void(Manifest&)>>> breakages = {
      {"no uuid", [](Manifest& m) { m.uuid.clear(); }},
      {"a long uuid", [](Manifest& m) { m.uuid.assign(kUuidSizeMax + 1, 'u'); }},
      {"no segment", [](Manifest& m) { m.segments.clear(); }},
      {"a first fence", [](Manifest& m) { m.segments[0].fence = "a"; }},
      {"equal fences", [](Manifest& m) { m.segments[1].fence.clear(); }},
      {"a long fence", [](Manifest& m) { m.segments[1].fence.assign(kKeySizeMax + 1, 'f'); }},
      {"one id twice", [](Manifest& m) { m.segments[1].id = 1; }},
      {"id too high", [](Manifest& m) { m.segments[1].id = m.next_segment_id; }},
      {"log too high", [](Manifest& m) { m.logs[1].number = m.next_log_number; }},
      {"one log twice", [](Manifest& m) { m.logs[1].number = 3; }},
      {"slice in main", [](Manifest& m) { m.segments[0].main->kind = RunRecord::Kind::Slice; }},
      {"main as slice", [](Manifest& m) { m.segments[0].slices[0].kind = RunRecord::Kind::Main; }},
      {"slice version", [](Manifest& m) { m.segments[0].slices[0].file_version = 1; }},
      {"main offset", [](Manifest& m) { m.segments[0].main->offset = 1; }},
      {"main twice", [](Manifest& m) { m.segments[1].main = m.segments[0].main; }},
      {"main too high", [](Manifest& m) { m.segments[0].main->file_number = 13; }},
      {"main of another", [](Manifest& m) { m.segments[0].main->file_number = 2; }},
      {"main ahead", [](Manifest& m) { m.segments[0].main->file_version = 22; }},
      {"delta too high", [](Manifest& m) { m.segments[0].slices[0].file_number = 14; }},
      {"slice twice", [](Manifest& m) { m.segments[1].slices = {m.segments[0].slices[0]}; }},
      {"slices overlap", [](Manifest& m) { m.segments[1].slices[0].offset = 99; }},
      {"empty run", [](Manifest& m) { m.segments[0].main->size = 0; }},
      {"range overflow", [](Manifest& m) { m.segments[0].slices[0] = slice(5, UINT64_MAX, 2); }},
      {"tombstones", [](Manifest& m) { m.segments[0].slices[0].tombstone_count = 11; }},
      {"sequences", [](Manifest& m) { m.segments[0].slices[0].first_sequence = 91; }},
      {"last sequence", [](Manifest& m) { m.last_sequence = 89; }},
      {"range order", [](Manifest& m) { m.segments[0].range_tombstones[0].sequence = 32; }},
      {"long range",
       [](Manifest& m) { m.segments[0].range_tombstones[0].to.assign(kKeySizeMax + 1, 'x'); }},
      {"range from a long key",
       [](Manifest& m) { m.segments[0].range_tombstones[0].from.assign(kKeySizeMax + 1, 'x'); }},
  };
  for (const auto& [name, breakage] : breakages) {
    INFO(name);
    Manifest manifest = example();
    CHECK_FALSE(find_manifest_problem(manifest));
    breakage(manifest);
    CHECK(find_manifest_problem(manifest));
    CHECK(refusal(encode_manifest_unchecked(manifest)) == ErrorCode::Corruption);
  }
}

TEST_CASE("numbers that leave no room to count on are refused", "[lib][manifest][hostile]") {
  const std::vector<std::pair<const char*, std::function<void(Manifest&)>>> changes = {
      {"segment id", [](Manifest& m) { m.next_segment_id = kManifestSegmentIdMax + 1; }},
      {"delta number", [](Manifest& m) { m.next_delta_number = kManifestNumberMax + 1; }},
      {"log number", [](Manifest& m) { m.next_log_number = kManifestNumberMax + 1; }},
      {"last sequence", [](Manifest& m) { m.last_sequence = kManifestNumberMax + 1; }},
      {"version", [](Manifest& m) { m.segments[1].version = kManifestNumberMax + 1; }},
      {"epoch", [](Manifest& m) { m.writer_epoch = kManifestNumberMax + 1; }},
      {"edit", [](Manifest& m) { m.edit = kManifestNumberMax + 1; }},
      {"checkpoint", [](Manifest& m) { m.checkpoint = kManifestNumberMax + 1; }},
      {"flushed", [](Manifest& m) { m.segments[1].flushed_sequence = kManifestNumberMax + 1; }},
      {"range erase",
       [](Manifest& m) {
         m.segments[1].range_tombstones = {
             {.from = "", .to = "z", .sequence = kManifestNumberMax + 1}};
       }},
  };
  for (const auto& [name, change] : changes) {
    INFO(name);
    Manifest manifest = example();
    change(manifest);
    CHECK(refusal(encode_manifest_unchecked(manifest)) == ErrorCode::Corruption);
    CHECK(find_manifest_problem(manifest));  // Such a one is not written, either.
  }
}

TEST_CASE("a run's name and seed tell its kind, number and version apart", "[lib][manifest]") {
  RunRecord main = slice(5, 0, 10);
  main.kind = RunRecord::Kind::Main;
  main.file_version = 6;
  CHECK(run_file_name(main) == "main-5-6.varve");
  CHECK(run_file_name(slice(5, 7, 10)) == "delta-5.varve");
  CHECK(run_seed("u", main) == directory::file_seed("u", directory::ChecksumDomain::MainRun, 5, 6));
  CHECK(run_seed("u", slice(5, 7, 10)) ==
        directory::file_seed("u", directory::ChecksumDomain::DeltaFile, 5));
  CHECK(run_seed("u", main) != run_seed("u", slice(5, 0, 10)));
}

TEST_CASE("the manifest of format 1 is written byte for byte as it always was",
          "[lib][manifest][golden]") {
  const std::string golden = test::golden("format-1/MANIFEST", encode_manifest(example()));
  CHECK(encode_manifest(example()) == golden);
  CHECK(decode_manifest(golden, "MANIFEST") == example());
}

}  // namespace
}  // namespace varve::internal
