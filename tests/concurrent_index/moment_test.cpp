// SPDX-License-Identifier: Apache-2.0
// A reader's moment, and merges that come in the middle of it. Each script has a snapshot that is
// older than the key: without one, a merge's output is old for everybody, and hides nothing.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/interleave.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using internal::SegmentIndexAccess;

SegmentIndex open_by_hand() {
  Options options = tiny_options();
  options.access = Access::Concurrent;
  options.tuning.inline_maintenance = false;
  return SegmentIndexAccess::open(directory::make_memory_directory(), options);
}

}  // namespace

TEST_CASE("a read that was routed before a merge finds what the merge left of its key",
          "[concurrent][snapshot]") {
  auto index = open_by_hand();
  const Snapshot before = index.snapshot();
  index.put("a", "old");
  std::optional<std::string> seen;  // Before the script, which waits for its threads.
  Interleave script;
  auto& routed = script.stop("read.routed", "reader");
  script.begin("reader", [&] { seen = index.get("a"); });
  routed.await();
  index.put("a", "new");
  index.compact();  // Nobody is registered who would see "old".
  routed.release();
  script.join("reader");
  CHECK(seen == "new");
  CHECK_FALSE(index.get("a", &before));
}

TEST_CASE("a merge waits for a snapshot that is being taken", "[concurrent][snapshot]") {
  auto index = open_by_hand();
  const Snapshot before = index.snapshot();
  index.put("a", "old");
  std::optional<Snapshot> snapshot;
  Interleave script;
  auto& taking = script.stop("snapshot.taking", "reader");
  script.begin("reader", [&] { snapshot = index.snapshot(); });
  taking.await();  // It knows its moment, and has not told it.
  index.put("a", "new");
  script.begin("job", [&] { index.compact(); });
  CHECK_FALSE(script.ends_within("job", std::chrono::milliseconds(20)));
  taking.release();
  script.join("reader");
  script.join("job");
  CHECK(index.get("a", &*snapshot) == "old");
  CHECK(index.get("a") == "new");
  CHECK_FALSE(index.get("a", &before));
}

TEST_CASE("a merge keeps what keys that are looked up together are looked up at",
          "[concurrent][snapshot]") {
  auto index = open_by_hand();
  const Snapshot before = index.snapshot();
  index.put("a", "old");
  std::vector<std::optional<std::string>> seen;
  Interleave script;
  auto& begun = script.stop("multi_get.begun", "reader");
  script.begin("reader", [&] {
    const std::vector<std::string_view> keys = {"a", "b"};
    seen = index.multi_get(keys);
  });
  begun.await();
  index.put("a", "new");
  index.put("b", "new");
  index.compact();
  begun.release();
  script.join("reader");
  REQUIRE(seen.size() == 2);
  CHECK(seen[0] == "old");
  CHECK_FALSE(seen[1]);
}

}  // namespace varve::test
