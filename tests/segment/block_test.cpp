// SPDX-License-Identifier: Apache-2.0
#include "segment/block.hpp"

#include "tests/segment/run_fixture.hpp"
#include "tests/support/catch.hpp"

namespace varve::segment {
namespace {

using test::before;
using test::kShapes;
using test::Shape;
using test::Version;

std::string encode(const std::vector<Version>& versions) {
  BlockBuilder builder;
  for (const Version& version : versions) {
    builder.add({.key = version.key,
                 .value = version.value,
                 .sequence = version.sequence,
                 .kind = version.kind});
  }
  const std::size_t promised = builder.size();
  std::string bytes;
  builder.encode(bytes);
  CHECK(builder.empty());
  CHECK(bytes.size() <= promised);
  CHECK(bytes.size() % kBlockUnit == 0);
  return bytes;
}

// Behind the block lies what a reader may load; garbage shows whether it is used.
BlockView view_of(std::string& bytes) {
  const std::size_t size = bytes.size();
  bytes.append(kBlockSlack, '\x5A');
  return {bytes.data(), size};
}

Version decode(const BlockView& block, std::size_t index) {
  BlockEntry entry;
  load_entry(block.entry(index), entry);
  char head[kHeadSize];
  store_head(head, block.head(index));
  std::string key(block.prefix());
  key.append(head, std::min(kHeadSize, entry.suffix_size));
  key += entry.rest;
  return {.key = key,
          .sequence = entry.sequence,
          .kind = entry.kind,
          .value = std::string(entry.value)};
}

void check_searches(const BlockView& block, const std::vector<Version>& versions,
                    const std::string& key, Sequence at) {
  const Version wanted{.key = key, .sequence = at};
  const auto expected = std::lower_bound(versions.begin(), versions.end(), wanted, before);
  CHECK(block.lower_bound(key, at) == static_cast<std::size_t>(expected - versions.begin()));
  const FoundEntry found = block.find(key, at);
  const bool is_there = expected != versions.end() && expected->key == key;
  REQUIRE(found.found == is_there);
  if (is_there) {
    CHECK(found.value == expected->value);
    CHECK(found.sequence == expected->sequence);
    CHECK(found.kind == expected->kind);
  }
}

}  // namespace

TEST_CASE("a block holds what was added and finds every version and every gap",
          "[segment][block]") {
  for (const Shape shape : kShapes) {
    for (const std::size_t count : {1, 2, 15, 16, 17, 60, 300}) {
      CAPTURE(static_cast<int>(shape), count);
      const auto versions =
          test::make_versions(shape, shape == Shape::Huge ? 4 : count, 300, count);
      std::string bytes = encode(versions);
      REQUIRE(check_block_structure(bytes) == nullptr);
      const BlockView block = view_of(bytes);
      REQUIRE(block.entry_count() == versions.size());
      for (std::size_t i = 0; i < versions.size(); ++i) {
        REQUIRE(decode(block, i) == versions[i]);
        const std::string& key = versions[i].key;
        for (const Sequence at : {versions[i].sequence, versions[i].sequence - 1,
                                  versions[i].sequence + 1, kSequenceMax, Sequence{0}}) {
          check_searches(block, versions, key, at);
        }
        for (const std::string& near :
             {key + '\0', key + "\xFF", key.substr(0, key.size() - 1), key.substr(0, 3),
              key.substr(0, key.size() - 1) + '\xFF', key.substr(0, key.size() - 1) + '\0'}) {
          check_searches(block, versions, near, kSequenceMax);
        }
      }
      check_searches(block, versions, "", kSequenceMax);
      check_searches(block, versions, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", kSequenceMax);
    }
  }
}

TEST_CASE("a block beyond 64 KiB has wide positions and works as any other", "[segment][block]") {
  for (const std::size_t value_size : {65'200, 65'536, 400'000}) {
    const std::vector<Version> versions = {{.key = "a", .value = std::string(value_size, 'x')},
                                           {.key = "b", .value = "small"},
                                           {.key = "c", .value = std::string(70'000, 'y')}};
    std::string bytes = encode(versions);
    REQUIRE(check_block_structure(bytes) == nullptr);
    const BlockView block = view_of(bytes);
    for (std::size_t i = 0; i < versions.size(); ++i) CHECK(decode(block, i) == versions[i]);
    CHECK(block.find("b", kSequenceMax).value == "small");
  }
}

TEST_CASE("the bytes of a block are those of docs/FORMAT.md", "[segment][block][golden]") {
  std::string bytes = encode({{.key = "key-1", .value = "one"},
                              {.key = "key-22222", .sequence = 300, .kind = Kind::Tombstone}});
  using namespace std::string_literals;
  std::string expected =
      "\0\0\0\0\0\0\0\0"s     // Checksum, not yet.
      "\x02\0\0\0\x02\0\0\0"  // Units, entries.
      "\x04\0\0\0\0\0\0\0"s   // Prefix size, reserved.
      "key-"s
      "\0\0\0\x31\x32\x32\x32\x32"s +
      std::string(56, '\xFF') +  // Padding of the heads.
      "\x60\0\x65\0"s            // Positions.
      "\x01\x0Cone"s             // Of "1", all is in the head.
      "\x05\x03\xAC\x02\x32"s;   // Sequence 300; "2" behind the head.
  expected.resize(128);
  CHECK(bytes == expected);
}

TEST_CASE("no flipped bit of a block makes a reader leave it", "[segment][block][hostile]") {
  const auto versions = test::make_versions(Shape::Url, 6, 40, 5);
  const std::string sound = encode(versions);
  std::size_t rejected = 0;
  for (std::size_t bit = 64; bit < sound.size() * 8; ++bit) {
    // An exact heap copy, so that a sanitizer sees the first byte too far.
    std::vector<char> copy(sound.begin(), sound.end());
    copy[bit / 8] = static_cast<char>(copy[bit / 8] ^ (1 << bit % 8));
    if (check_block_structure({copy.data(), copy.size()}) != nullptr) {
      ++rejected;
      continue;
    }
    const BlockView block(copy.data(), copy.size());
    std::size_t sum = 0;
    for (std::size_t i = 0; i < block.entry_count(); ++i) {
      const Version version = decode(block, i);
      sum += version.key.size() + version.value.size();
    }
    for (const Version& version : versions) {
      sum += block.lower_bound(version.key, version.sequence);
      sum += block.find(version.key, kSequenceMax).value.size();
    }
    CHECK(sum < 100 * sound.size());
  }
  CHECK(rejected > 0);
}

TEST_CASE("a block's structure is refused when a field or the padding is wrong",
          "[segment][block][hostile]") {
  const std::string sound = encode({{.key = "key-1", .value = "one"}, {.key = "key-2"}});
  REQUIRE(check_block_structure(sound) == nullptr);
  const auto with = [&sound](std::size_t offset, char byte) {
    std::string bytes = sound;
    bytes[offset] = byte;
    return bytes;
  };
  CHECK(check_block_structure(std::string_view(sound).substr(0, 64)) != nullptr);
  CHECK(check_block_structure(std::string_view(sound).substr(0, 63)) != nullptr);
  CHECK(check_block_structure("") != nullptr);
  CHECK(check_block_structure(with(8, 9)) == std::string_view("size"));
  CHECK(check_block_structure(with(12, 0)) == std::string_view("entry count"));
  CHECK(check_block_structure(with(15, '\x80')) == std::string_view("entry count"));
  CHECK(check_block_structure(with(18, '\x7F')) == std::string_view("prefix size"));
  CHECK(check_block_structure(with(20, 1)) == std::string_view("reserved field"));
  CHECK(check_block_structure(with(sound.size() - 1, 1)) == std::string_view("padding"));
}

TEST_CASE("a builder refuses an entry that would not fit, but for the first", "[segment][block]") {
  BlockBuilder builder;
  CHECK(builder.try_add({.key = "a", .value = std::string(1000, 'x')}, 512));
  CHECK_FALSE(builder.try_add({.key = "b", .value = {}}, 512));
  CHECK(builder.entry_count() == 1);
  CHECK(builder.try_add({.key = "b", .value = {}}, 4096));
  CHECK(builder.last_key() == "b");
}

}  // namespace varve::segment
