// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "segment/arena.hpp"
#include "tests/directory/child_process.hpp"
#include "tests/lib/every_call.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/model.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/concurrent/epoch.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

// What a sanitizer cannot do in a child whose parent has threads. AddressSanitizer's allocator (of
// GCC 12 and clang 14) keeps the locks that the parent's threads held at that moment, so the
// child's next allocation may wait for good; ThreadSanitizer lets no thread start there.
bool sanitizer_allows_fork(Access parent) {
  return parent != Access::Concurrent ||
         !(segment::kAddressSanitizer || VARVE_THREAD_SANITIZER != 0);
}

}  // namespace

TEST_CASE("in a forked child every call is refused, and the parent goes on",
          "[lib][lifecycle][fork]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  if (segment::kAddressSanitizer && !sanitizer_allows_fork(access)) return;
  TemporaryDirectory temporary;
  Options options = tiny_options();
  options.access = access;
  auto index = std::make_unique<SegmentIndex>(SegmentIndex::open(temporary.path() / "i", options));
  index->put("before", "v");
  auto cursor = std::make_unique<Cursor>(index->scan());
  auto snapshot = std::make_unique<Snapshot>(index->snapshot());
  REQUIRE(cursor->next());
  const int status = in_child([&] {
    ::alarm(120);  // Rather than wait for good.
    if (!all_are(try_everything(*index), ErrorCode::ForkedHandle)) return 1;
    if (error_of([&] { static_cast<void>(cursor->next()); }) != ErrorCode::ForkedHandle) return 2;
    if (!error_of([&] {
           static_cast<void>(SegmentIndex::open(temporary.path() / "i", options));
         }).has_value()) {
      return 3;
    }
    cursor.reset();
    snapshot.reset();
    index.reset();
    return 0;
  });
  CHECK(status == 0);
  CHECK(lock_status(temporary.path() / "i").state == LockState::LockedByUs);
  index->put("after", "v");
  CHECK_FALSE(cursor->next());
  cursor.reset();
  snapshot.reset();
  CHECK(index->get("before") == "v");
  index->close();
  SegmentIndex again = SegmentIndex::open(temporary.path() / "i", options);
  CHECK(scan_all(again).size() == 2);
}

TEST_CASE("a forked child has an index of its own while its parent's threads are busy",
          "[lib][lifecycle][fork]") {
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  CAPTURE(static_cast<int>(access));
  if (!sanitizer_allows_fork(access)) return;
  TemporaryDirectory temporary;
  Options options = tiny_options();
  options.access = access;
  SegmentIndex index = SegmentIndex::open(temporary.path() / "of parent", options);
  index.put("k", "v");
  // The fork may find this thread anywhere in a read, pinned or not.
  std::atomic<bool> stop{false};
  std::thread reader;
  if (access != Access::Bare && !segment::kAddressSanitizer) {
    reader = std::thread([&] {
      while (!stop.load()) static_cast<void>(index.get("k"));
    });
  }
  for (int round = 0; round < 5; ++round) {
    const std::filesystem::path path = temporary.path() / ("of child " + std::to_string(round));
    const int status = in_child([&] {
      ::alarm(120);
      SegmentIndex own = SegmentIndex::open(path, options);
      for (int i = 0; i < 3000; ++i) own.put("key " + std::to_string(i), std::string(100, 'v'));
      own.compact();
      if (scan_all(own).size() != 3000) return 1;
      own.close();
      return SegmentIndex::open(path, options).get("key 2999") == std::string(100, 'v') ? 0 : 2;
    });
    CHECK(status == 0);
  }
  stop = true;
  if (reader.joinable()) reader.join();
}

}  // namespace varve::test
