// SPDX-License-Identifier: Apache-2.0
#include "lib/space.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/file_names.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/directory/child_process.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/model.hpp"
#include "tests/support/quick_retries.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using directory::SimulatedFileSystem;
using internal::SegmentIndexAccess;
using internal::Space;

constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;

Options small_options(Access access) {
  Options options;
  options.access = access;
  options.memory_budget = kMiB;
  options.tuning.segment_size = 64 * kKiB;
  options.tuning.block_size = 512;
  options.tuning.log_file_size = 64 * kKiB;
  options.tuning.maintenance_threads = 2;
  return options;
}

std::string key_of(int number) {
  const std::string digits = std::to_string(number % 100'000);
  return std::string(5 - digits.size(), '0') + digits;
}

// An index on a small medium, with what it should hold.
struct SmallDisk {
  explicit SmallDisk(const Options& chosen, std::uint64_t capacity = 8 * kMiB) : options(chosen) {
    disk->set_capacity(capacity);
    open();
  }
  void open() { index = SegmentIndexAccess::open(directory::make_posix_directory(disk), options); }
  void put(int number, const std::string& value) {
    index.put(key_of(number), value);
    model.put(key_of(number), value);
  }
  // Scattered keys, so that every segment grows.
  void fill() {
    const auto endless = [this] {
      for (;; ++next) put(next * 7919, std::string(400, static_cast<char>('a' + next % 26)));
    };
    REQUIRE(error_of(endless) == ErrorCode::NoSpace);
  }
  [[nodiscard]] std::string wrong() const { return difference(scan_all(index), model.scan()); }
  // Of what is there now, on a larger medium.
  [[nodiscard]] std::string wrong_after_kill() const {
    const auto left = disk->after_kill();
    left->set_capacity(0);
    const SegmentIndex other =
        SegmentIndexAccess::open(directory::make_posix_directory(left), options);
    return difference(scan_all(other), model.scan());
  }

  const std::shared_ptr<SimulatedFileSystem> disk = std::make_shared<SimulatedFileSystem>();
  Options options;
  SegmentIndex index;
  Model model;
  int next = 0;
};

// In a namespace of this process, which may be anybody's. False: the system does not allow it.
bool mount_tmpfs(const std::filesystem::path& path) {
  const ::uid_t uid = ::geteuid();
  const ::gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << uid << ' ' << uid << " 1";
  std::ofstream("/proc/self/gid_map") << gid << ' ' << gid << " 1";
  return ::mount("none", path.c_str(), "tmpfs", 0, "size=8m") == 0;
}

void erase_most(SmallDisk& on, bool by_range) {
  if (by_range) {
    on.index.erase_range("1", "9");
    on.model.erase_range("1", "9");
    return;
  }
  const Entries all = on.model.scan();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i % 5 == 0) continue;
    INFO("erase " << i);
    on.index.erase(all[i].first);
    on.model.erase(all[i].first);
    if (i % 1000 == 999) on.index.compact();  // Before what is kept back is used up.
  }
}

}  // namespace

TEST_CASE("scans do not have a medium filled for a merge", "[lib][space]") {
  Options options = small_options(Access::Synchronized);
  options.tuning.inline_maintenance = false;
  options.tuning.reserve_size = 0;
  SmallDisk on(options, 0);
  for (int i = 0; i < 400; ++i) on.put(i, std::string(400, 'v'));
  on.index.compact();
  for (int i = 0; i < 400; i += 40) on.put(i, "new");
  on.index.flush();
  REQUIRE(on.index.statistics().runs.delta_run_count >= 2);
  const std::uint64_t used = on.disk->used_size();
  on.disk->set_capacity(used + 64 * kKiB);  // A segment, once.
  std::size_t wrong_count = 0;
  for (int i = 0; i < 200'000; ++i) {
    auto cursor = on.index.scan({.from = key_of(i % 400)});
    wrong_count += cursor.next() && cursor.key() == key_of(i % 400) ? 0 : 1;
  }
  CHECK(wrong_count == 0);
  CHECK(on.index.statistics().compaction.due_segment_count == 0);
  CHECK_FALSE(on.index.maintain());
  on.disk->set_capacity(used + kMiB);
  CHECK(on.index.statistics().compaction.due_segment_count >= 2);
  while (on.index.maintain()) {
  }
  CHECK(on.index.statistics().runs.delta_run_count == 0);
  CHECK(on.wrong().empty());
}

TEST_CASE("a full disk leaves reads and erases, and goes on once these have made room",
          "[lib][space]") {
  const QuickRetries quick;
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  const bool by_range = GENERATE(true, false);
  CAPTURE(to_string(access), by_range);
  SmallDisk on(small_options(access));
  on.fill();
  const Statistics full = on.index.statistics();
  CHECK(full.space.shortage_count > 0);
  CHECK(on.wrong() == "");
  CHECK(on.wrong_after_kill() == "");
  erase_most(on, by_range);
  CHECK(on.wrong() == "");
  CHECK(on.wrong_after_kill() == "");
  on.index.compact();
  CHECK(on.wrong() == "");
  for (int i = 0; i < 2000; ++i) on.put(i, "new");
  CHECK(becomes([&] { return on.index.health(); }));
  const Statistics after = on.index.statistics();
  CHECK_FALSE(after.space.is_short);
  CHECK(after.space.shortage.empty());
  CHECK(after.space.reserve_size > 0);
  CHECK(on.wrong_after_kill() == "");
  on.index.close();
  on.open();
  CHECK(on.wrong() == "");
  CHECK(on.index.statistics().space.reserve_size == after.space.reserve_size);
}

TEST_CASE("writes go on by themselves when others free space", "[lib][space]") {
  const QuickRetries quick;
  const auto access = GENERATE(Access::Bare, Access::Synchronized, Access::Concurrent);
  CAPTURE(to_string(access));
  SmallDisk on(small_options(access), 3 * kMiB);
  on.fill();
  CHECK(on.index.statistics().space.shortage_count > 0);
  if (access != Access::Concurrent) {  // There a job that makes room may have succeeded since.
    CHECK_FALSE(on.index.health());
    CHECK(on.index.statistics().space.is_short);
    CHECK(on.index.lifecycle() == Lifecycle::Ready);
  }
  on.disk->set_capacity(20 * kMiB);
  // With threads of its own the index finds out without a call.
  if (access == Access::Concurrent) CHECK(becomes([&] { return on.index.health(); }));
  // A job that found no room before there was some may tell of it late, and a write may meet that.
  const auto put = [&] {
    return !error_of([&] { on.put(on.next * 7919, std::string(200, 'z')); }).has_value();
  };
  for (int i = 0; i < 3000; ++i, ++on.next) {
    REQUIRE((put() || (access == Access::Concurrent && becomes(put))));
  }
  CHECK(becomes([&] { return on.index.health(); }));
  CHECK_FALSE(on.index.statistics().space.is_short);
  CHECK(on.wrong() == "");
  on.index.close();
  on.open();
  CHECK(on.wrong() == "");
}

TEST_CASE("erases use what is kept back, and nothing else does", "[lib][space]") {
  const QuickRetries quick;
  const auto access = GENERATE(Access::Bare, Access::Concurrent);
  const bool with_reserve = GENERATE(true, false);
  CAPTURE(to_string(access), with_reserve);
  Options options = small_options(access);
  if (!with_reserve) options.tuning.reserve_size = 0;
  SmallDisk on(options, 5 * kMiB);
  on.fill();
  // Somebody else takes all that is left, now and whenever a job of ours makes more.
  const auto take_the_rest = [&] { on.disk->set_capacity(on.disk->used_size()); };
  take_the_rest();
  const std::uint64_t reserve_size = on.index.statistics().space.reserve_size;
  CHECK((reserve_size != 0) == with_reserve);
  if (!with_reserve) {
    const auto erase_all = [&] {
      for (const auto& [key, value] : on.model.scan()) {
        take_the_rest();
        on.index.erase(key);
        on.model.erase(key);
      }
    };
    CHECK(error_of(erase_all) == ErrorCode::NoSpace);
    CHECK(on.wrong() == "");
    CHECK(on.wrong_after_kill() == "");
    return;
  }
  // As many as there is room for in memory and log by themselves, and more.
  const Entries all = on.model.scan();
  std::size_t at = 0;
  const auto erase_next = [&] {
    REQUIRE(at < all.size());
    const std::string& key = all[at++ * 7919 % all.size()].first;
    on.index.erase(key);
    on.model.erase(key);
  };
  while (on.index.statistics().space.reserve_size == reserve_size) {
    take_the_rest();
    erase_next();
  }
  // What a job of the background uses at once need not be free any more.
  if (access == Access::Bare) CHECK(*on.disk->free_size() > 0);
  // After a second the index may have got back what it kept back: only then is there room.
  const auto check_refused = [&](const std::string& key, const std::function<void()>& write) {
    const auto error = error_of(write);
    if (!error) on.model.put(key, "value");
    CHECK((error == ErrorCode::NoSpace ||
           (!error && on.index.statistics().space.reserve_size == reserve_size)));
  };
  check_refused("one more", [&] { on.index.put("one more", "value"); });
  WriteBatch mixed;
  mixed.erase("x");
  mixed.put("x", "value");
  check_refused("x", [&] { on.index.write(mixed); });
  WriteBatch erases;
  erases.erase(all[0].first);
  on.index.write(erases);
  on.model.erase(all[0].first);
  erase_next();
  CHECK(on.wrong() == "");
  CHECK(on.wrong_after_kill() == "");
  erase_most(on, true);
  on.index.compact();
  on.put(1, "one more");
  CHECK(on.index.statistics().space.reserve_size != 0);
  CHECK(on.wrong() == "");
}

TEST_CASE("an index on a full medium is opened by what it kept back", "[lib][space]") {
  const QuickRetries quick;
  const auto access = GENERATE(Access::Bare, Access::Concurrent);
  CAPTURE(to_string(access));
  SmallDisk on(small_options(access), 5 * kMiB);
  on.fill();
  const auto left = on.disk->after_kill();
  // What a job of the background was at: an open removes it first, and may then need no more room.
  for (const auto& file : left->list()) {
    if (file.name.ends_with(".tmp")) directory::make_posix_directory(left)->remove(file.name);
  }
  left->set_capacity(left->used_size());
  REQUIRE(left->peek(internal::kReserveName).has_value());
  SegmentIndex index = SegmentIndexAccess::open(directory::make_posix_directory(left), on.options);
  const std::vector<std::string> steps = left->steps();
  CHECK(std::count(steps.begin(), steps.end(), "remove reserve.varve") > 0);
  CHECK(difference(scan_all(index), on.model.scan()) == "");
  index.erase_range("5", "");
  on.model.erase_range("5", "");
  INFO("compacting; free: " << *left->free_size());
  index.compact();
  INFO("writing");
  // What a job of the background still has open may take the room that the log wants.
  const auto put = [&] { return !error_of([&] { index.put("1", "one more"); }).has_value(); };
  CHECK((put() || (access == Access::Concurrent && becomes(put))));
  on.model.put("1", "one more");
  CHECK(difference(scan_all(index), on.model.scan()) == "");
  CHECK(left->peek(internal::kReserveName).has_value());
}

TEST_CASE("files that no view needs any more make room for the next merge", "[lib][space]") {
  Options options = small_options(Access::Concurrent);
  options.tuning.inline_maintenance = false;  // Nobody but the test frees views.
  options.tuning.reserve_size = 0;
  options.tuning.segment_size = 256 * kKiB;
  SmallDisk on(options, 16 * kMiB);
  const auto write = [&](int end) {
    for (int i = 0; i < end; ++i) {
      on.put(i, std::string(400, 'v'));
      if (i % 1000 == 999) on.index.flush();
    }
  };
  write(3000);
  on.index.compact();
  REQUIRE(on.index.statistics().segments.size() >= 4);
  write(1500);
  on.index.erase_range("015", "");
  on.model.erase_range("015", "");
  on.disk->set_capacity(on.disk->used_size() + 16 * kKiB);
  on.index.compact();  // What is left needs more than that for each of its merges.
  CHECK(on.index.statistics().space.shortage_count > 0);
  CHECK(on.wrong() == "");
}

TEST_CASE("without a reserve, an index on a full medium is not opened and nothing is lost",
          "[lib][space]") {
  Options options = small_options(Access::Bare);
  options.tuning.reserve_size = 0;
  SmallDisk on(options, 5 * kMiB);
  on.fill();
  CHECK_FALSE(on.disk->peek(internal::kReserveName).has_value());
  const auto left = on.disk->after_kill();
  left->set_capacity(left->used_size());
  const auto open = [&] {
    return SegmentIndexAccess::open(directory::make_posix_directory(left), options);
  };
  CHECK(error_of([&] { static_cast<void>(open()); }) == ErrorCode::NoSpace);
  left->set_capacity(10 * kMiB);
  CHECK(difference(scan_all(open()), on.model.scan()) == "");
}

TEST_CASE("jobs leave the last part of what is kept back to the log", "[lib][space]") {
  using Use = internal::Space::Use;
  const auto disk = std::make_shared<SimulatedFileSystem>();
  const auto directory = directory::make_posix_directory(disk);
  internal::Space space(*directory, kMiB);
  const auto size = [&] { return disk->peek(internal::kReserveName).value_or("").size(); };
  space.take(16 * kMiB);
  REQUIRE(size() == kMiB);
  CHECK(space.give_up(Use::Job));
  CHECK(size() == kMiB / 4);
  CHECK(space.lacks(Use::Reserve));
  CHECK_FALSE(space.give_up(Use::Job));
  CHECK(size() == kMiB / 4);
  CHECK(space.give_up(Use::Log));
  CHECK_FALSE(disk->peek(internal::kReserveName).has_value());
  CHECK_FALSE(space.give_up(Use::Log));
}

TEST_CASE("the reserve grows with the runs, and one of no use is removed", "[lib][space]") {
  CHECK(Space::reserve_size_for(511 * kKiB, kMiB) == 0);
  CHECK(Space::reserve_size_for(512 * kKiB, kMiB) == 64 * kKiB);
  CHECK(Space::reserve_size_for(5 * kMiB, kMiB) == 512 * kKiB);
  CHECK(Space::reserve_size_for(500 * kMiB, kMiB) == kMiB);
  CHECK(Space::reserve_size_for(500 * kMiB, 0) == 0);
  SmallDisk on(small_options(Access::Bare), 100 * kMiB);
  const auto reserve_size = [&] {
    const auto bytes = on.disk->peek(internal::kReserveName);
    return bytes ? bytes->size() : 0;
  };
  const auto grow = [&](int count) {
    for (int i = 0; i < count; ++i) on.put(on.next++ * 7919, std::string(4000, 'v'));
    on.index.flush();
  };
  grow(100);
  CHECK(reserve_size() == 0);
  std::uint64_t before = 0;
  for (int i = 0; i < 3; ++i) {
    grow(300 << i);
    const Statistics figures = on.index.statistics();
    CHECK(figures.space.reserve_size == reserve_size());
    CHECK(reserve_size() ==
          Space::reserve_size_for(figures.runs.main_runs_size + figures.runs.delta_runs_size,
                                  16 * kGiB));
    CHECK(reserve_size() > before);
    before = reserve_size();
  }
  on.index.close();
  on.options.tuning.reserve_size = 128 * kKiB;
  on.open();
  CHECK(reserve_size() == 0);  // Until the next job.
  on.index.compact();
  CHECK(reserve_size() == 128 * kKiB);
  on.index.close();
  on.options.tuning.reserve_size = 0;
  on.open();
  on.index.compact();
  CHECK(reserve_size() == 0);
  CHECK(on.wrong() == "");
}

TEST_CASE("what failed for want of space is tried again when there is more", "[lib][space]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  disk->set_capacity(kMiB);
  const auto directory = directory::make_posix_directory(disk);
  Space space(*directory, kMiB);
  CHECK_FALSE(space.is_short());
  const Error reason(ErrorCode::NoSpace, "the reason", "file");
  auto filler = disk->create("filler");
  filler->allocate(kMiB);
  space.ran_out(Space::Use::Job, reason);
  CHECK(space.is_short());
  CHECK(space.lacks(Space::Use::Job));
  CHECK_FALSE(space.lacks(Space::Use::Log));
  CHECK_FALSE(space.worth_trying(Space::Use::Job));
  const Error refusal = thrown_by([&] { space.refuse(); });
  CHECK(refusal.code() == ErrorCode::NoSpace);
  CHECK(std::string(refusal.what()).find("the reason") != std::string::npos);
  CHECK(refusal.path() == "file");
  filler->truncate(kMiB / 2);
  CHECK(space.worth_trying(Space::Use::Job));
  CHECK_FALSE(space.worth_trying(Space::Use::Job));  // The first one does it.
  space.sufficed(Space::Use::Log);
  CHECK(space.is_short());
  space.sufficed(Space::Use::Job);
  CHECK_FALSE(space.is_short());
  SpaceStatistics figures;
  space.describe(figures);
  CHECK_FALSE(figures.is_short);
  CHECK(figures.shortage_count == 1);
  space.take(4 * kMiB);
  SpaceStatistics now;
  const auto reserve_size = [&] {
    space.describe(now);
    return now.reserve_size;
  };
  CHECK(reserve_size() == 512 * kKiB);
  CHECK(space.reserves_for(Space::Use::Job));
  CHECK(space.give_up(Space::Use::Job));
  CHECK_FALSE(space.give_up(Space::Use::Job));
  CHECK_FALSE(space.reserves_for(Space::Use::Job));
  CHECK(reserve_size() == 128 * kKiB);
  CHECK(disk->used_size() == (512 + 128) * kKiB);
  CHECK(space.lacks(Space::Use::Reserve));
  CHECK(space.reserves_for(Space::Use::Log));
  CHECK(space.give_up(Space::Use::Log));
  CHECK_FALSE(space.give_up(Space::Use::Log));
  CHECK(disk->used_size() == 512 * kKiB);
  CHECK(space.lacks(Space::Use::Reserve));
  filler->allocate(kMiB);
  space.take(4 * kMiB);
  CHECK(space.lacks(Space::Use::Reserve));
  disk->remove("filler");
  filler.reset();
  CHECK(space.worth_trying(Space::Use::Reserve));
  space.take(4 * kMiB);
  CHECK_FALSE(space.is_short());
}

// On a file system of the kernel, where this process may mount one.
TEST_CASE("a full tmpfs leaves reads and erases, and goes on once these have made room",
          "[lib][space]") {
  const TemporaryDirectory temporary;
  const auto access = GENERATE(Access::Bare, Access::Concurrent);
  CAPTURE(to_string(access));
  constexpr int kNoMeans = 77;
  const int status = in_child([&] {
    if (!mount_tmpfs(temporary.path())) return kNoMeans;
    Options options = small_options(access);
    Model model;
    SegmentIndex index = SegmentIndex::open(temporary.path() / "index", options);
    const auto put = [&](int i, const std::string& value) {
      index.put(key_of(i), value);
      model.put(key_of(i), value);
    };
    const auto right = [&] { return difference(scan_all(index), model.scan()).empty(); };
    int next = 0;
    const auto endless = [&] {
      for (;; ++next) put(next * 7919, std::string(200, 'v'));
    };
    if (error_of(endless) != ErrorCode::NoSpace || !right()) return 1;
    // In the background a job that makes room may have succeeded since.
    if (index.statistics().space.shortage_count == 0) return 2;
    if (access == Access::Bare && index.health()) return 3;
    index.erase_range("1", "9");
    model.erase_range("1", "9");
    index.compact();
    if (!right()) return 4;
    for (int i = 0; i < 1000; ++i) put(i, "new");
    index.close();
    index = SegmentIndex::open(temporary.path() / "index", options);
    return right() && index.health() ? 0 : 5;
  });
  if (status == kNoMeans) WARN("not tried: this process may not mount a tmpfs");
  CAPTURE(status);
  CHECK((status == 0 || status == kNoMeans));
}

}  // namespace varve::test
