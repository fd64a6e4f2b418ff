// SPDX-License-Identifier: Apache-2.0
#include "lib/in_parallel.hpp"

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "directory/directory.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "varve/segment_index.hpp"

namespace varve::internal {

TEST_CASE("every number is called once, by however many threads there are", "[lib][threads]") {
  const std::size_t thread_count = GENERATE(0, 1, 2, 3, 20);
  for (const std::size_t count : {0, 1, 2, 100}) {
    std::vector<std::atomic<int>> calls(count);
    in_parallel(count, thread_count, [&](std::size_t i) { ++calls[i]; });
    for (const auto& one : calls) CHECK(one == 1);
  }
}

TEST_CASE("threads take part beside the caller, and fewer do where there are no more",
          "[lib][threads][fault]") {
  const auto caller = std::this_thread::get_id();
  std::mutex mutex;
  std::set<std::thread::id> others;
  std::atomic<bool> all = false;
  // Nobody goes on before two others are there. Which of them take what is left then is chance.
  in_parallel(3, 3, [&](std::size_t) {
    {
      const std::lock_guard lock(mutex);
      if (std::this_thread::get_id() != caller) others.insert(std::this_thread::get_id());
      if (others.size() == 2) all = true;
    }
    while (!all) std::this_thread::yield();
  });
  CHECK(others.size() == 2);

  struct Limit {
    explicit Limit(int count) { hooks::threads_left = count; }
    Limit(const Limit&) = delete;
    Limit& operator=(const Limit&) = delete;
    ~Limit() { hooks::threads_left = std::numeric_limits<int>::max(); }
  };
  const Limit none(0);
  int count = 0;
  in_parallel(10, 3, [&](std::size_t) {
    CHECK(std::this_thread::get_id() == caller);
    ++count;
  });
  CHECK(count == 10);
}

TEST_CASE("the failure of the first number that fails is thrown", "[lib][threads]") {
  const std::size_t thread_count = GENERATE(1, 2, 5);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> before = 0;
    std::string told;
    try {
      in_parallel(1000, thread_count, [&](std::size_t i) {
        if (i < 100) ++before;
        if (i >= 100 && i % 10 == 0) throw std::runtime_error(std::to_string(i));
      });
    } catch (const std::runtime_error& error) {
      told = error.what();
    }
    CHECK(told == "100");
    CHECK(before == 100);
  }
}

TEST_CASE("an index that is opened by several threads is the one that was closed",
          "[lib][threads][lifecycle]") {
  constexpr std::uint64_t kCount = 500'000;  // Enough for as many threads as there may be.
  const std::shared_ptr<directory::Directory> directory = directory::make_memory_directory();
  Options options;
  options.access = Access::Concurrent;
  options.tuning.segment_size = 1 << 20;
  options.tuning.maintenance_threads = 3;
  const auto open = [&] { return SegmentIndexAccess::open(directory, options); };
  const auto key_of = [](std::uint64_t i) { return std::to_string(1'000'000 + 7919 * i % kCount); };
  {
    SegmentIndex index = open();
    for (std::uint64_t i = 0; i < kCount; ++i) index.put(key_of(i), std::to_string(i));
    index.compact();
    for (std::uint64_t i = 0; i < 1000; ++i) index.put(key_of(i), "new");
    index.flush();  // A delta file for several segments.
    REQUIRE(index.statistics().runs.segment_count > 3);
    index.close();
  }
  {
    const SegmentIndex index = open();
    for (std::uint64_t i = 0; i < kCount; ++i) {
      if (index.get(key_of(i)) != (i < 1000 ? "new" : std::to_string(i))) FAIL(key_of(i));
    }
    CHECK(index.scan().next());
  }
  // Damaged are all of them: which one is told of does not depend on the threads.
  int damaged_count = 0;
  for (const directory::FileInfo& file : directory->list()) {
    if (!file.name.starts_with("main-")) continue;
    std::string bytes = directory->read_all(file.name, 1 << 30);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);  // In the footer.
    directory->replace(file.name, bytes);
    ++damaged_count;
  }
  REQUIRE(damaged_count > 3);
  const auto told = [&](std::uint32_t thread_count) {
    options.tuning.maintenance_threads = thread_count;
    const Error error = test::thrown_by([&] { static_cast<void>(open()); });
    CHECK(error.code() == ErrorCode::Corruption);
    return std::string(error.what());
  };
  const std::string by_one = told(1);
  CHECK(by_one.find("main-") != std::string::npos);
  for (int i = 0; i < 10; ++i) CHECK(told(3) == by_one);
}

}  // namespace varve::internal
