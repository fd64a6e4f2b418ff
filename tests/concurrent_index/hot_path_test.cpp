// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>

#include "directory/directory.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/eager_hot_path.hpp"
#include "tests/support/interleave.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using internal::SegmentIndexAccess;

// An index whose hot path lets everything in.
class Subject {
 public:
  Subject() : index(SegmentIndexAccess::open(directory::make_memory_directory(), options())) {}
  [[nodiscard]] std::string value_of(const std::string& key) {
    return index.get(key).value_or("nothing");
  }
  [[nodiscard]] std::uint64_t hit_count() { return index.statistics().hot_path.hit_count; }
  [[nodiscard]] std::uint64_t stale_count() { return index.statistics().hot_path.stale_count; }

 private:
  static Options options() {
    Options options = tiny_options();
    options.access = Access::Concurrent;
    options.tuning.inline_maintenance = false;
    return options;
  }
  const EagerHotPath eager_;

 public:
  SegmentIndex index;
};

// More than a segment holds, around the keys "k" and "l".
void fill(SegmentIndex& index) {
  for (int i = 0; i < 200; ++i) {
    index.put("j" + std::to_string(i), std::string(300, 'j'));
    index.put("m" + std::to_string(i), std::string(300, 'm'));
  }
}

}  // namespace

TEST_CASE("the hot path answers until the segment is written to", "[concurrent][hot_path]") {
  Subject subject;
  subject.index.put("k", "1");
  CHECK(subject.value_of("k") == "1");
  CHECK(subject.hit_count() == 0);
  CHECK(subject.value_of("k") == "1");
  CHECK(subject.value_of("k") == "1");
  CHECK(subject.hit_count() == 2);
  SECTION("by a put of the key") {
    subject.index.put("k", "2");
    CHECK(subject.value_of("k") == "2");
  }
  SECTION("by a put of another key") {
    subject.index.put("l", "2");
    CHECK(subject.value_of("k") == "1");
  }
  SECTION("by an erase") {
    subject.index.erase("k");
    CHECK(subject.value_of("k") == "nothing");
  }
  SECTION("by the erase of a range") {
    subject.index.erase_range("a", "z");
    CHECK(subject.value_of("k") == "nothing");
  }
  SECTION("by a batch") {
    WriteBatch batch;
    batch.put("a", "2");
    batch.put("k", "2");
    subject.index.write(batch);
    CHECK(subject.value_of("k") == "2");
  }
  CHECK(subject.hit_count() == 2);
  CHECK(subject.stale_count() == 1);
}

TEST_CASE("flushes and merges leave the hot path as it is", "[concurrent][hot_path]") {
  Subject subject;
  subject.index.put("k", "1");
  CHECK(subject.value_of("k") == "1");
  subject.index.flush();
  CHECK(subject.value_of("k") == "1");
  subject.index.compact();
  CHECK(subject.value_of("k") == "1");
  CHECK(subject.hit_count() == 2);
}

TEST_CASE("a snapshot is not asked of the hot path", "[concurrent][hot_path]") {
  Subject subject;
  subject.index.put("k", "1");
  const Snapshot before = subject.index.snapshot();
  subject.index.put("k", "2");
  CHECK(subject.value_of("k") == "2");
  CHECK(subject.value_of("k") == "2");
  CHECK(subject.index.get("k", &before) == "1");
  CHECK(subject.value_of("k") == "2");
}

TEST_CASE("an entry made beside a write that is not visible yet does not outlive it",
          "[concurrent][hot_path]") {
  Subject subject;
  subject.index.put("k", "old");
  Interleave script;
  // Logged, and not in memory; in memory, and not published.
  const char* const hook = GENERATE("write.logged", "write.inserted");
  auto& writing = script.stop(hook, "writer");
  script.begin("writer", [&] { subject.index.put("k", "new"); });
  writing.await();
  for (int i = 0; i < 3; ++i) static_cast<void>(subject.value_of("k"));
  writing.release();
  script.join("writer");
  CHECK(subject.value_of("k") == "new");
}

TEST_CASE("an entry made by a read of a segment that is split meanwhile is not believed",
          "[concurrent][hot_path]") {
  Subject subject;
  subject.index.put("k", "old");
  fill(subject.index);
  REQUIRE(subject.index.statistics().segments.size() == 1);
  std::string seen;  // Before the script, which waits for its threads.
  Interleave script;
  auto& reading = script.stop("read.view_found", "reader");
  script.begin("reader", [&] { seen = subject.value_of("k"); });
  reading.await();  // It will read in the old segment whatever comes now.
  subject.index.compact();
  REQUIRE(subject.index.statistics().segments.size() > 1);
  subject.index.put("k", "new");
  reading.release();
  script.join("reader");
  CHECK((seen == "old" || seen == "new"));
  for (int i = 0; i < 3; ++i) CHECK(subject.value_of("k") == "new");
}

TEST_CASE("the parts of a split segment know of the last write to the whole",
          "[concurrent][hot_path]") {
  Subject subject;
  subject.index.put("k", "old");
  fill(subject.index);
  CHECK(subject.value_of("k") == "old");
  SECTION("and keep what is valid") {
    subject.index.compact();
    REQUIRE(subject.index.statistics().segments.size() > 1);
    const std::uint64_t hits_before = subject.hit_count();
    CHECK(subject.value_of("k") == "old");
    CHECK(subject.hit_count() == hits_before + 1);
    subject.index.put("k", "new");
  }
  SECTION("and what is stale stays so") {
    subject.index.put("k", "new");
    subject.index.compact();
    REQUIRE(subject.index.statistics().segments.size() > 1);
  }
  CHECK(subject.value_of("k") == "new");
}

}  // namespace varve::test
