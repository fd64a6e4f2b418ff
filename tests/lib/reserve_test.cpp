// SPDX-License-Identifier: Apache-2.0
// What is kept back is for erases alone, and while it cannot be had so is all other room: it may be
// the last.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/file_names.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/model.hpp"
#include "tests/support/quick_retries.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

// An index on a medium that has room for everything but what is refused.
struct Refusing {
  Refusing(Access access, bool inline_maintenance) {
    options.access = access;
    options.memory_budget = 1 << 20;
    options.tuning.segment_size = 64 << 10;
    options.tuning.block_size = 512;
    options.tuning.maintenance_threads = 1;
    options.tuning.inline_maintenance = inline_maintenance;
  }
  void refuse(directory::Operation operation, std::string_view name_part) const {
    medium->add_fault({.operation = operation,
                       .name_part = std::string(name_part),
                       .sticky = true,
                       .error_number = ENOSPC});
  }
  // With runs of a size that asks for a reserve.
  void open() {
    index = internal::SegmentIndexAccess::open(directory::make_posix_directory(medium), options);
    for (int i = 0; i < 1'200; ++i) put(i);
    index.flush();
  }
  void put(int number) {
    index.put(std::to_string(10'000 + number), std::string(500, 'v'));
    model.put(std::to_string(10'000 + number), std::string(500, 'v'));
  }
  void erase_until(std::size_t memory_size) {
    while (index.statistics().memory_size < memory_size) erase_next();
  }
  // Every other key, time and again: no segment becomes empty, which would take no room.
  void erase_next() {
    const std::string key = std::to_string(10'000 + 2 * erased++ % 1'200);
    index.erase(key);
    model.erase(key);
  }
  [[nodiscard]] std::size_t run_file_count() const {
    const std::vector<directory::FileInfo> files = medium->list();
    return static_cast<std::size_t>(
        std::count_if(files.begin(), files.end(), [](const directory::FileInfo& file) {
          return file.name.starts_with("delta-") || file.name.starts_with("main-");
        }));
  }

  // How often the reserve was made smaller or removed.
  [[nodiscard]] std::int64_t given_up_count() const {
    const std::vector<std::string> steps = medium->steps();
    return std::count(steps.begin(), steps.end(), "truncate reserve.varve") +
           std::count(steps.begin(), steps.end(), "remove reserve.varve");
  }

  const std::shared_ptr<directory::SimulatedFileSystem> medium =
      std::make_shared<directory::SimulatedFileSystem>();
  Options options;
  SegmentIndex index;
  Model model;
  int erased = 0;
};

}  // namespace

TEST_CASE("while the reserve cannot be had there are only erases, and flushes that they wait for",
          "[lib][space]") {
  const auto access = GENERATE(Access::Bare, Access::Concurrent);
  CAPTURE(to_string(access));
  Refusing on(access, false);
  on.refuse(directory::Operation::Allocate, internal::kReserveName);
  on.open();
  REQUIRE(on.index.statistics().space.is_short);
  CHECK(error_of([&] { on.put(0); }) == ErrorCode::NoSpace);
  const std::size_t budget = on.index.statistics().memory_budget;
  const std::size_t file_count = on.run_file_count();
  on.erase_until(budget * 3 / 4);  // By other rules memory is due from the half on.
  CHECK_FALSE(on.index.maintain());
  CHECK(on.run_file_count() == file_count);
  on.erase_until(budget);
  CHECK(on.index.maintain());
  CHECK(on.run_file_count() == file_count + 1);
  CHECK_FALSE(on.index.maintain());
  CHECK(error_of([&] { on.put(0); }) == ErrorCode::NoSpace);

  on.medium->clear_faults();
  on.put(0);
  CHECK_FALSE(on.index.statistics().space.is_short);
  while (on.index.maintain()) {
  }
  CHECK(difference(scan_all(on.index), on.model.scan()) == "");
}

TEST_CASE("writes that wait for a flush without room leave the reserve to erases that do",
          "[lib][space]") {
  const QuickRetries quick;
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  CAPTURE(to_string(access));
  Refusing on(access, true);
  on.medium->set_capacity(std::uint64_t{1} << 30);  // So that it is known that nothing has changed.
  on.open();
  CHECK(becomes([&] { return on.index.statistics().space.reserve_size > 0; }));
  on.refuse(directory::Operation::Create, "delta-");
  on.refuse(directory::Operation::Create, "main-");
  const auto put_all = [&] {
    for (int i = 0; i < 20'000; ++i) on.put(i % 1'200);
  };
  CHECK(error_of(put_all) == ErrorCode::NoSpace);
  CHECK(on.given_up_count() == 0);
  const auto erase_all = [&] {
    for (int i = 0; i < 100'000; ++i) on.erase_next();
  };
  CHECK(error_of(erase_all) == ErrorCode::NoSpace);
  CHECK(on.given_up_count() == 1);

  on.medium->clear_faults();
  on.index.flush();
  CHECK(difference(scan_all(on.index), on.model.scan()) == "");
}

}  // namespace varve::test
