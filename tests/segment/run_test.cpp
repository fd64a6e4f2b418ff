// SPDX-License-Identifier: Apache-2.0
#include "segment/run.hpp"

#include <atomic>
#include <iterator>
#include <memory>
#include <thread>
#include <utility>

#include "directory/chunked_sink.hpp"
#include "directory/file_replacer.hpp"
#include "directory/simulated_file_system.hpp"
#include "segment/arena.hpp"
#include "segment/huge_buffer.hpp"
#include "segment/run_blocks.hpp"
#include "tests/segment/run_fixture.hpp"
#include "tests/support/catch.hpp"

namespace varve::segment {
namespace {

using test::before;
using test::current;
using test::Image;
using test::kShapes;
using test::open_image;
using test::Random;
using test::Shape;
using test::Version;
using test::write_image;

void check_scans(const Run& run, const std::vector<Version>& versions) {
  const auto cursor = run.cursor();
  CHECK_FALSE(cursor->valid());
  std::size_t i = 0;
  for (cursor->seek_to_first(); cursor->valid(); cursor->next(), ++i) {
    REQUIRE(i < versions.size());
    REQUIRE(current(*cursor) == versions[i]);
  }
  CHECK(i == versions.size());
  for (cursor->seek_to_last(); cursor->valid(); cursor->prev(), --i) {
    REQUIRE(i > 0);
    REQUIRE(current(*cursor) == versions[i - 1]);
  }
  CHECK(i == 0);
}

// Where a cursor stands must be where the model stands, and its neighbours as well.
void check_position(EntrySource& cursor, const std::vector<Version>& versions,
                    std::size_t expected) {
  REQUIRE(cursor.valid() == (expected < versions.size()));
  if (!cursor.valid()) return;
  REQUIRE(current(cursor) == versions[expected]);
  cursor.prev();
  REQUIRE(cursor.valid() == (expected > 0));
  if (cursor.valid()) {
    REQUIRE(current(cursor) == versions[expected - 1]);
    cursor.next();
    REQUIRE(current(cursor) == versions[expected]);
  }
}

void check_key(const Run& run, EntrySource& cursor, const std::vector<Version>& versions,
               const std::string& key) {
  const auto at_or_after = [&](Sequence at) {
    return static_cast<std::size_t>(std::lower_bound(versions.begin(), versions.end(),
                                                     Version{.key = key, .sequence = at}, before) -
                                    versions.begin());
  };
  const std::size_t first = at_or_after(kSequenceMax);
  cursor.seek(key);
  check_position(cursor, versions, first);
  cursor.seek_before(key);
  check_position(cursor, versions, first == 0 ? versions.size() : first - 1);
  std::string scratch;
  for (const Sequence at : {kSequenceMax, Sequence{0}, Sequence{1'000'500}, Sequence{950'000}}) {
    const std::size_t i = at_or_after(at);
    const FoundEntry found = run.find(key, at, scratch);
    REQUIRE(found.found == (i < versions.size() && versions[i].key == key));
    if (found.found) {
      REQUIRE(Version{key, found.sequence, found.kind, std::string(found.value)} == versions[i]);
    }
  }
}

void check_against_model(const Run& run, const std::vector<Version>& versions, std::uint64_t seed) {
  REQUIRE(run.entry_count() == versions.size());
  CHECK(run.smallest_key() == versions.front().key);
  CHECK(run.largest_key() == versions.back().key);
  check_scans(run, versions);
  Random random(seed);
  const auto cursor = run.cursor();
  const std::size_t step = versions.size() / 150 + 1;
  for (std::size_t i = 0; i < versions.size(); i += step) {
    const std::string& key = versions[i].key;
    CHECK(run.may_contain(directory::hash64(key)));
    for (const std::string& near :
         {key, key + '\0', key.substr(0, key.size() - 1), key.substr(0, key.size() / 2),
          key.substr(0, key.size() - 1) + static_cast<char>(random()),
          key.substr(0, random() % key.size()) + static_cast<char>(random())}) {
      check_key(run, *cursor, versions, near);
    }
  }
  check_key(run, *cursor, versions, "");
  check_key(run, *cursor, versions, std::string(20, '\xFF'));
  CHECK(test::findings(run).empty());
}

}  // namespace

TEST_CASE("a run answers as its model does, for all shapes of keys, block sizes and reads",
          "[segment][run]") {
  std::uint64_t seed = 1;
  for (const Shape shape : kShapes) {
    for (const std::size_t block_size : {512, 4096, 65536}) {
      const bool huge = shape == Shape::Huge;
      const auto versions =
          test::make_versions(shape, huge ? 12 : 1500, huge ? 9000 : 2500, ++seed);
      const Image image = write_image(versions, block_size, seed % 3 * 4096);
      for (const Reads reads : {Reads::Mapped, Reads::Buffered}) {
        CAPTURE(static_cast<int>(shape), block_size, static_cast<int>(reads));
        const auto run = open_image(image, reads);
        CHECK((block_size == 65536 || shape == Shape::OneByte || run->block_count() > 5));
        check_against_model(*run, versions, seed);
        CHECK(run->cursor()->values_are_stable() == (reads == Reads::Mapped));
      }
    }
  }
}

TEST_CASE("a run of one entry works", "[segment][run]") {
  for (const std::string& key : {std::string("k"), std::string(1, '\0'), std::string(65536, 'k')}) {
    for (const std::string& value : {std::string(), std::string(1 << 20, 'v')}) {
      const std::vector<Version> versions = {{.key = key, .value = value}};
      const auto run = open_image(write_image(versions, 4096), Reads::Mapped);
      CHECK(run->block_count() == 1);
      check_against_model(*run, versions, 1);
    }
  }
}

TEST_CASE("large values lie in their own blocks and leave the small ones dense", "[segment][run]") {
  std::vector<Version> versions;
  for (int i = 1000; i < 3000; ++i) {
    const bool large = i % 500 == 0;
    versions.push_back({.key = std::to_string(i),
                        .value = std::string(large ? 1'000'000 : 20, static_cast<char>(i))});
  }
  const Image image = write_image(versions, 4096);
  for (const Reads reads : {Reads::Mapped, Reads::Buffered}) {
    const auto run = open_image(image, reads);
    // 27 bytes of 2,000 small entries, and 4 large ones each with small successors.
    CHECK(run->block_count() < 2000 * 32 / 4096 + 4 + 12);
    check_against_model(*run, versions, 1);
  }
  CHECK(image.bytes.size() < 4'000'000 + 2000 * 33 + 8192);
}

TEST_CASE("each leaf of the sparse index knows where its blocks are", "[segment][run]") {
  const int count = GENERATE(1, 100, 3'200, 9'999);
  std::vector<Version> versions;
  for (int i = 10'000; i < 10'000 + count; ++i) {
    versions.push_back({.key = std::to_string(i), .value = std::string(20, 'v')});
  }
  const auto run = open_image(write_image(versions, 512, 4096), Reads::Mapped);
  const RunBlocks& blocks = run->blocks();
  std::size_t leaf = 0;
  for (std::size_t block = 0; block < blocks.count(); block += FenceTree::kFanout, ++leaf) {
    CHECK(blocks.leaf_file_offset(leaf) == blocks.file_offset(block));
    blocks.approach(leaf);
  }
  const std::size_t last = blocks.count() - 1;
  CHECK(blocks.leaf_file_offset(leaf) == blocks.file_offset(last) + blocks.size(last));
}

TEST_CASE("all versions of a key stay in one block", "[segment][run]") {
  std::vector<Version> versions = {{.key = "a", .value = "1"}};
  for (Sequence sequence = 20'000; sequence > 0; --sequence) {
    versions.push_back({.key = "many", .sequence = sequence, .value = std::to_string(sequence)});
  }
  versions.push_back({.key = "z", .value = "2"});
  const auto run = open_image(write_image(versions, 512), Reads::Buffered);
  std::string scratch;
  for (const Sequence at : {1, 2, 777, 19'999, 20'000, 40'000}) {
    CHECK(run->find("many", at, scratch).value == std::to_string(std::min<Sequence>(at, 20'000)));
  }
  CHECK_FALSE(run->find("many", 0, scratch).found);
  check_scans(*run, versions);
}

TEST_CASE("a seek to the cursor's own key, or to a part of it, is safe", "[segment][run]") {
  const auto versions = test::make_versions(Shape::Url, 500, 50, 3);
  const auto run = open_image(write_image(versions, 512), Reads::Buffered);
  const auto cursor = run->cursor();
  cursor->seek_to_last();
  const std::string last = current(*cursor).key;
  cursor->seek(cursor->entry().key);
  CHECK(cursor->entry().key == last);
  cursor->seek(cursor->entry().key.substr(0, 15));  // "https://example": before all others.
  REQUIRE(cursor->valid());
  CHECK(current(*cursor) == versions[0]);
  cursor->seek_before(cursor->entry().key);
  CHECK_FALSE(cursor->valid());
}

TEST_CASE("a seek to a part of the cursor's own key survives the prefix of another block",
          "[segment][run]") {
  std::vector<Version> versions;
  for (int i = 100; i < 200; ++i) versions.push_back({.key = "a-shared-" + std::to_string(i)});
  versions.push_back({.key = "za-shared-150", .value = std::string(5000, 'v')});
  const auto run = open_image(write_image(versions, 512), Reads::Mapped);
  const auto cursor = run->cursor();
  cursor->seek_to_last();
  cursor->seek(cursor->entry().key.substr(1));
  REQUIRE(cursor->valid());
  CHECK(cursor->entry().key == "a-shared-150");
  cursor->seek_to_last();
  cursor->seek_before(cursor->entry().key.substr(1));
  REQUIRE(cursor->valid());
  CHECK(cursor->entry().key == "a-shared-149");
}

TEST_CASE("the writer's size bounds what finish() leaves, closely", "[segment][run]") {
  const auto versions = test::make_versions(Shape::Random16, 5000, 100, 4);
  test::StringSink sink(8192);
  RunWriter writer(sink, {.seed = 1});
  std::uint64_t raw_size = 0, tombstone_count = 0, key_count = 0;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const Version& version = versions[i];
    writer.add({version.key, version.value, version.sequence, version.kind});
    raw_size += version.key.size() + version.value.size();
    tombstone_count += version.kind == Kind::Tombstone ? 1 : 0;
    key_count += i == 0 || version.key != versions[i - 1].key ? 1 : 0;
  }
  const std::uint64_t size = writer.size();
  const RunSummary summary = writer.finish();
  CHECK(summary.offset == 8192);
  CHECK(summary.size == sink.bytes.size() - 8192);
  CHECK(size <= summary.size + 256);
  CHECK(summary.size <= size + 256);
  CHECK(summary.entry_count == versions.size());
  CHECK(summary.raw_size == raw_size);
  CHECK(summary.tombstone_count == tombstone_count);
  CHECK(summary.key_count == key_count);
}

TEST_CASE("a run without a filter excludes nothing", "[segment][run]") {
  const auto versions = test::make_versions(Shape::Decimal, 100, 50, 5);
  const auto run = open_image(write_image(versions, 4096, 0, 0), Reads::Mapped);
  CHECK(run->may_contain(1));
  check_against_model(*run, versions, 1);
}

TEST_CASE("a run takes its tables' memory from a pool that it is given", "[segment][run]") {
  const auto versions = test::make_versions(Shape::Random16, 20'000, 10, 5);
  const test::Image image = write_image(versions, 1024);
  const auto pool = std::make_shared<ChunkPool>();
  auto run = Run::open(std::make_shared<test::StringFile>(image.bytes, true), image.location(),
                       Reads::Mapped, {}, pool);
  check_against_model(*run, versions, 1);
  // The separators' tree and the filter; the pages they take are theirs.
  CHECK(pool->size_in_use() > run->filter_size() + 10'000);
  CHECK(run->memory_size() > pool->size_in_use());
  const auto alone = open_image(image, Reads::Mapped);
  CHECK(run->memory_size() < alone->memory_size() + 4 * ChunkPool::kUnit);
  run.reset();
  CHECK(pool->size_in_use() == 0);
}

TEST_CASE("a buffer keeps its pool alive, and a small one needs none", "[segment][run]") {
  auto pool = std::make_shared<ChunkPool>();
  const std::weak_ptr<ChunkPool> observed = pool;
  {
    const HugeBuffer small(HugeBuffer::kPooledSizeMin - 1, pool);
    const HugeBuffer large(ChunkPool::kPooledSizeMax + 1, pool);
    CHECK(pool->size_in_use() == 0);
    CHECK(small.size() == HugeBuffer::kPooledSizeMin - 1);
    HugeBuffer pooled(HugeBuffer::kPooledSizeMin + 1, pool);
    CHECK(pooled.size() == HugeBuffer::kPooledSizeMin + ChunkPool::kUnit);
    CHECK(pool->size_in_use() == pooled.size());
    pooled.data()[pooled.size() - 1] = 'x';
    pool.reset();
    CHECK_FALSE(observed.expired());
    const HugeBuffer moved = std::move(pooled);
    CHECK(moved.data()[moved.size() - 1] == 'x');
  }
  CHECK(observed.expired());
}

TEST_CASE("a run is the same where its blocks are made in the sink's memory", "[segment][run]") {
  const Shape shape = GENERATE(from_range(std::begin(kShapes), std::end(kShapes)));
  CAPTURE(static_cast<int>(shape));
  const auto versions = test::make_versions(shape, 2'000, 100, 11);
  const Image image = write_image(versions, 1024);
  directory::SimulatedFileSystem disk;
  {
    directory::FileReplacer file(disk, "run");
    directory::ChunkedSink sink(file, 10'000);  // Blocks end at its end, behind it, or begin there.
    RunWriter writer(sink, {.seed = image.seed, .block_size = 1024, .filter_bits_per_key = 12});
    for (const Version& version : versions) {
      writer.add({version.key, version.value, version.sequence, version.kind});
    }
    writer.finish();
    sink.flush();
    file.commit_new();
  }
  CHECK((disk.peek("run") == image.bytes));
}

TEST_CASE("runs lie one behind the other in a file of the memory directory", "[segment][run]") {
  const auto files = directory::make_memory_directory();
  std::vector<std::vector<Version>> models;
  std::vector<RunLocation> locations;
  files->put_immutable("delta-1.varve", [&](directory::Sink& sink) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      models.push_back(test::make_versions(Shape::Url, 300, 100, i));
      RunWriter writer(sink, {.seed = 9});
      for (const Version& version : models.back()) {
        writer.add({version.key, version.value, version.sequence, version.kind});
      }
      const RunSummary summary = writer.finish();
      locations.push_back(
          {summary.offset, summary.size, 9, summary.entry_count, summary.footer_checksum});
      sink.append(std::string((4096 - sink.offset() % 4096) % 4096, '\0'));
    }
  });
  for (const Reads reads : {Reads::Mapped, Reads::Buffered}) {
    for (std::size_t i = 0; i < models.size(); ++i) {
      const auto run = Run::open(files->open("delta-1.varve"), locations[i], reads);
      check_against_model(*run, models[i], i);
    }
  }
}

TEST_CASE("threads may read a mapped run together from its first touch", "[segment][run]") {
  const auto versions = test::make_versions(Shape::Random16, 3000, 50, 6);
  const auto run = open_image(write_image(versions, 512), Reads::Mapped);
  std::atomic<std::size_t> wrong = 0;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::string scratch;
      for (const Version& version : versions) {
        const FoundEntry found = run->find(version.key, version.sequence, scratch);
        if (!found.found || found.value != version.value) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace varve::segment
