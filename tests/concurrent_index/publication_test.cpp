// SPDX-License-Identifier: Apache-2.0
// Two writes that have finished out of their order, each before it looks at what the other one did
// (lib/published_sequence.hpp).
#include <optional>
#include <string>
#include <vector>

#include "directory/directory.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/interleave.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

// An index of several segments, and a key of each of two.
struct Fixture {
  Fixture() : index(open()) {
    for (int i = 0; i < 600; ++i) index.put(std::to_string(1000 + i), std::string(200, 'x'));
    index.compact();
    const auto segments = index.statistics().segments;
    REQUIRE(segments.size() >= 3);
    first = segments[1].first_key + "a";
    second = segments[2].first_key + "b";
  }
  static SegmentIndex open() {
    Options options = tiny_options();
    options.access = Access::Concurrent;
    options.tuning.inline_maintenance = false;
    return internal::SegmentIndexAccess::open(directory::make_memory_directory(), options);
  }
  SegmentIndex index;
  std::string first, second;
};

// Both are done, the second one before the first, and neither has moved the published sequence on.
struct BothMarked {
  explicit BothMarked(Fixture& fixture) {
    auto& logged = script.stop("write.logged", "first");
    script.begin("first", [&] { fixture.index.put(fixture.first, "1"); });
    logged.await();
    script.begin("second", [&] { fixture.index.put(fixture.second, "2"); });
    second_marked.await();
    logged.release();
    first_marked.await();
  }
  Interleave script;
  Interleave::Stop& first_marked = script.stop("write.marked", "first");
  Interleave::Stop& second_marked = script.stop("write.marked", "second");
};

}  // namespace

TEST_CASE("whoever of two writers looks first publishes both", "[concurrent][publish]") {
  const bool first_looks = GENERATE(true, false);
  Fixture fixture;
  BothMarked both(fixture);
  CHECK(fixture.index.get(fixture.first) == "1");
  CHECK_FALSE(fixture.index.get(fixture.second));
  (first_looks ? both.first_marked : both.second_marked).release();
  both.script.join(first_looks ? "first" : "second");
  CHECK(fixture.index.get(fixture.first) == "1");
  CHECK(fixture.index.get(fixture.second) == "2");
  (first_looks ? both.second_marked : both.first_marked).release();
  both.script.join(first_looks ? "second" : "first");
}

TEST_CASE("who waits for writes that are done publishes them", "[concurrent][publish]") {
  Fixture fixture;
  BothMarked both(fixture);
  fixture.index.compact();  // Merges what was written.
  CHECK(fixture.index.get(fixture.first) == "1");
  CHECK(fixture.index.get(fixture.second) == "2");
}

TEST_CASE("an exclusive scan shows what is done and about to be published",
          "[concurrent][publish]") {
  Fixture fixture;
  BothMarked both(fixture);
  ScanOptions options;
  options.isolation = Isolation::Exclusive;
  std::vector<std::string> found;
  {
    Cursor cursor = fixture.index.scan(options);
    while (cursor.next()) {
      if (cursor.value().size() == 1) found.emplace_back(cursor.value());
    }
  }
  CHECK(found == std::vector<std::string>{"1", "2"});
}

}  // namespace varve::test
