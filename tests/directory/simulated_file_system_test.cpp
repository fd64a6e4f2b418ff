// SPDX-License-Identifier: Apache-2.0
#include "directory/simulated_file_system.hpp"

#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include "directory/directory.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

using test::error_of;

using Data = RebootPolicy::Data;
using Names = RebootPolicy::Names;
using Fill = RebootPolicy::Fill;

constexpr RebootPolicy kWorst = {.data = Data::Lost, .names = Names::Lost};
constexpr RebootPolicy kBest = {.data = Data::Kept, .names = Names::Kept};

std::string contents(const SimulatedFileSystem& disk, std::string_view name) {
  return disk.peek(name).value_or("(absent)");
}

TEST_CASE("what was not synced is lost or kept, as the policy says", "[directory][simulated]") {
  SimulatedFileSystem disk;
  disk.plant("old", "durable");
  disk.open("old", true)->write(0, "DUR");
  static_cast<void>(disk.create("new")->write(0, "bytes"));

  const auto worst = disk.after_reboot(kWorst);
  CHECK(contents(*worst, "old") == "durable");
  CHECK(contents(*worst, "new") == "(absent)");
  const auto best = disk.after_reboot(kBest);
  CHECK(contents(*best, "old") == "DURable");
  CHECK(contents(*best, "new") == "bytes");
  const auto name_only = disk.after_reboot({.data = Data::Lost, .names = Names::Kept});
  CHECK(contents(*name_only, "new").empty());
  const auto size_only = disk.after_reboot({.data = Data::SizeOnly, .names = Names::Kept});
  CHECK(contents(*size_only, "new") == std::string(5, '\0'));
  CHECK(contents(*size_only, "old") == "durable");
}

TEST_CASE("a file's sync keeps its bytes but not its name; the directory's sync the reverse",
          "[directory][simulated]") {
  SimulatedFileSystem disk;
  const auto file = disk.create("a");
  file->write(0, "one");
  file->sync();
  CHECK(contents(*disk.after_reboot(kWorst), "a") == "(absent)");
  disk.sync();
  file->write(0, "two");
  CHECK(contents(*disk.after_reboot(kWorst), "a") == "one");
  file->sync();
  CHECK(contents(*disk.after_reboot(kWorst), "a") == "two");
}

TEST_CASE("a renamed or removed file may be found as it was before", "[directory][simulated]") {
  SimulatedFileSystem disk;
  disk.plant("a", "1");
  disk.plant("b", "2");
  disk.rename("a", "b");
  CHECK(contents(disk, "b") == "1");
  const auto lost = disk.after_reboot(kWorst);
  CHECK(contents(*lost, "a") == "1");
  CHECK(contents(*lost, "b") == "2");
  const auto kept = disk.after_reboot(kBest);
  CHECK(contents(*kept, "a") == "(absent)");
  CHECK(contents(*kept, "b") == "1");
  disk.sync();
  disk.remove("b");
  CHECK(contents(*disk.after_reboot(kWorst), "b") == "1");
  CHECK(contents(*disk.after_reboot(kBest), "b") == "(absent)");
}

TEST_CASE("mixed outcomes reach every legal combination of names and no other",
          "[directory][simulated]") {
  SimulatedFileSystem disk;
  disk.plant("a", "1");
  static_cast<void>(disk.create("t"));  // Alone, or
  disk.rename("t", "u");                // only after the creation;
  disk.remove("a");                     // independent of both.
  std::set<std::string> found;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::string names;
    const RebootPolicy policy = {.names = Names::Mixed, .seed = seed};
    for (const FileInfo& entry : disk.after_reboot(policy)->list()) names += entry.name;
    found.insert(names);
  }
  CHECK(found == std::set<std::string>{"a", "", "at", "t", "au", "u"});
}

TEST_CASE("a file renamed twice is found under one of its names, never under two",
          "[directory][simulated]") {
  SimulatedFileSystem disk;
  disk.plant("a", "1");
  disk.rename("a", "b");
  disk.rename("b", "c");
  std::set<std::string> found;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::string names;
    const RebootPolicy policy = {.names = Names::Mixed, .seed = seed};
    for (const FileInfo& entry : disk.after_reboot(policy)->list()) names += entry.name;
    found.insert(names);
  }
  CHECK(found == std::set<std::string>{"a", "b", "c"});
}

TEST_CASE("mixed outcomes tear sectors and leave the rest alone", "[directory][simulated]") {
  SimulatedFileSystem disk;
  const std::string before(4 * SimulatedFileSystem::kSectorSize, 'o');
  disk.plant("a", before);
  disk.open("a", true)->write(0, std::string(2 * SimulatedFileSystem::kSectorSize, 'n'));
  int kept = 0, lost = 0, torn = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::string after =
        contents(*disk.after_reboot({.data = Data::Mixed, .seed = seed}), "a");
    REQUIRE(after.size() == before.size());
    CHECK(after.substr(2 * SimulatedFileSystem::kSectorSize) ==
          std::string(2 * SimulatedFileSystem::kSectorSize, 'o'));
    const std::string sector = after.substr(0, SimulatedFileSystem::kSectorSize);
    const std::size_t old_from = sector.find('o');
    if (old_from == 0) {
      ++lost;
    } else if (old_from == std::string::npos) {
      ++kept;
    } else {
      ++torn;
      CHECK(sector.find('n', old_from) == std::string::npos);
    }
  }
  CHECK(kept > 20);
  CHECK(lost > 20);
  CHECK(torn > 5);
}

TEST_CASE("what a file gained in size only may be zeros or garbage", "[directory][simulated]") {
  SimulatedFileSystem disk;
  disk.plant("a", "");
  disk.open("a", true)->allocate(64);
  std::set<std::string> found;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    found.insert(contents(
        *disk.after_reboot({.data = Data::SizeOnly, .fill = Fill::Garbage, .seed = seed}), "a"));
  }
  CHECK(found.size() > 2);
  CHECK(found.begin()->size() == 64);
}

TEST_CASE("the same seed gives the same outcome", "[directory][simulated]") {
  SimulatedFileSystem disk;
  static_cast<void>(disk.create("a")->write(0, std::string(10'000, 'x')));
  for (const RebootPolicy& policy : reboot_policies(20)) {
    CHECK(disk.after_reboot(policy)->peek("a") == disk.after_reboot(policy)->peek("a"));
  }
}

TEST_CASE("when power is cut, that step has no effect and every later call fails",
          "[directory][simulated]") {
  SimulatedFileSystem disk;
  const auto file = disk.create("a");  // Step 0.
  disk.cut_power_at(2);
  file->write(0, "one");                    // Step 1.
  CHECK_THROWS_AS(file->sync(), PowerCut);  // Step 2.
  CHECK_THROWS_AS(file->write(0, "two"), PowerCut);
  CHECK_THROWS_AS(file->size(), PowerCut);
  CHECK_THROWS_AS(disk.list(), PowerCut);
  CHECK_THROWS_AS(disk.open("a", false), PowerCut);
  CHECK_THROWS_AS(disk.sync(), PowerCut);
  CHECK(disk.power_is_cut());
  CHECK(disk.step_count() == 2);
  CHECK(contents(*disk.after_reboot(kBest), "a") == "one");
  CHECK(contents(*disk.after_reboot({.data = Data::Lost, .names = Names::Kept}), "a").empty());
}

TEST_CASE("stores through a mapping are unsynced writes, until the power is cut",
          "[directory][simulated]") {
  SimulatedFileSystem disk;
  disk.plant("log", "......");
  const auto file = disk.open("log", true);
  const auto mapping = file->map_writable();
  REQUIRE(mapping->size() == 6);
  mapping->data()[0] = 'a';
  file->sync();
  mapping->data()[1] = 'b';
  CHECK(contents(*disk.after_reboot(kWorst), "log") == "a.....");
  CHECK(contents(*disk.after_reboot(kBest), "log") == "ab....");
  disk.cut_power();
  mapping->data()[2] = 'c';
  CHECK(contents(*disk.after_reboot(kBest), "log") == "ab....");
  CHECK(contents(*disk.after_kill(), "log") == "ab....");
}

TEST_CASE("a killed process loses nothing it has stored, and syncs nothing by dying",
          "[directory][simulated]") {
  SimulatedFileSystem disk;
  const auto file = disk.create("a");
  file->write(0, "one");
  const auto survivor = disk.after_kill();
  file->write(0, "two");
  CHECK(contents(*survivor, "a") == "one");
  CHECK(contents(*survivor->after_reboot(kWorst), "a") == "(absent)");
  survivor->open("a", true)->sync();
  survivor->sync();
  CHECK(contents(*survivor->after_reboot(kWorst), "a") == "one");
}

TEST_CASE("a planned fault hits the nth matching call, once or from then on",
          "[directory][simulated]") {
  SimulatedFileSystem disk;
  const auto file = disk.create("log-1");
  const auto other = disk.create("other");
  const bool sticky = GENERATE(false, true);
  const std::size_t fault = disk.add_fault({.operation = Operation::Write,
                                            .name_part = "log",
                                            .nth = 1,
                                            .sticky = sticky,
                                            .error_number = ENOSPC,
                                            .partial_size = 2});
  other->write(0, "x");
  file->write(0, "aaaa");
  CHECK(disk.fired(fault) == 0);
  CHECK(error_of([&] { file->write(0, "bbbb"); }) == ErrorCode::NoSpace);
  CHECK(contents(disk, "log-1") == "bbaa");
  CHECK(disk.fired(fault) == 1);
  other->write(0, "y");
  if (sticky) {
    CHECK(error_of([&] { file->write(0, "cccc"); }) == ErrorCode::NoSpace);
    CHECK(disk.fired(fault) == 2);
  } else {
    file->write(0, "cccc");
  }
  disk.clear_faults();
  file->write(0, "dddd");
  CHECK(contents(disk, "log-1") == "dddd");
  CHECK(disk.call_count(Operation::Write) == 6);
}

TEST_CASE("any operation can be made to fail, with any errno", "[directory][simulated]") {
  SimulatedFileSystem disk;
  disk.plant("a", "1");
  const auto file = disk.open("a", true);
  const auto fail_next = [&](Operation operation, int error) {
    disk.add_fault({.operation = operation, .error_number = error});
  };
  fail_next(Operation::Sync, EIO);
  CHECK(error_of([&] { file->sync(); }) == ErrorCode::Io);
  fail_next(Operation::SyncDirectory, EDQUOT);
  CHECK(error_of([&] { disk.sync(); }) == ErrorCode::NoSpace);
  fail_next(Operation::Rename, EROFS);
  CHECK(error_of([&] { disk.rename("a", "b"); }) == ErrorCode::ReadOnly);
  fail_next(Operation::Open, EMFILE);
  CHECK(error_of([&] { static_cast<void>(disk.open("a", false)); }) == ErrorCode::Io);
  fail_next(Operation::List, EIO);
  CHECK(error_of([&] { static_cast<void>(disk.list()); }) == ErrorCode::Io);
  fail_next(Operation::MapWritable, 0);
  CHECK(file->map_writable() == nullptr);
  CHECK(file->map_writable() != nullptr);
  disk.add_fault({.operation = Operation::Read, .error_number = 0, .partial_size = 0});
  char byte = 0;
  CHECK(file->read(0, {&byte, 1}) == 0);
  CHECK(file->read(0, {&byte, 1}) == 1);
}

TEST_CASE("bytes that a failed sync dropped are never written by a later one",
          "[directory][simulated]") {
  SimulatedFileSystem disk;
  disk.plant("a", "old");
  disk.add_fault({.operation = Operation::Sync, .drop_unsynced = true});
  const auto file = disk.open("a", true);
  file->write(0, "new");
  CHECK_THROWS_AS(file->sync(), Error);
  file->sync();
  CHECK(contents(disk, "a") == "new");  // The page cache goes on showing them.
  CHECK(contents(*disk.after_reboot(kWorst), "a") == "old");
  CHECK(contents(*disk.after_reboot(kBest), "a") == "old");
  file->write(0, "NEW");  // A fresh store makes them dirty again.
  file->sync();
  CHECK(contents(*disk.after_reboot(kWorst), "a") == "NEW");
}

TEST_CASE("steps read as the protocol they are", "[directory][simulated]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  const auto directory = make_posix_directory(disk);
  directory->put_immutable("main-1-1.varve", [](Sink& sink) { sink.append("bytes"); });
  CHECK(disk->steps() ==
        std::vector<std::string>{"create main-1-1.varve.tmp", "write main-1-1.varve.tmp",
                                 "sync main-1-1.varve.tmp",
                                 "rename main-1-1.varve.tmp main-1-1.varve", "sync the directory"});
}

TEST_CASE("the watcher of steps sees the medium before each of them", "[directory][simulated]") {
  SimulatedFileSystem disk;
  std::vector<std::string> seen;
  disk.watch_steps([&](std::uint64_t step) {
    CHECK(step == disk.step_count());
    seen.push_back(contents(*disk.after_kill(), "a"));
  });
  const auto file = disk.create("a");
  file->write(0, "1");
  file->write(0, "2");
  CHECK(seen == std::vector<std::string>{"(absent)", "", "1"});
  disk.watch_steps({});
  file->write(0, "3");
  CHECK(seen.size() == 3);
}

TEST_CASE("what gets a log's new name while that is made ready stays, and the log its old one",
          "[directory][simulated]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  const auto directory = make_posix_directory(disk);
  static_cast<void>(directory->create_log("log-1.varve", 4096));
  disk->watch_steps([&](std::uint64_t) { disk->plant("log-2.varve", "of another"); });
  const auto recycle = [&] {
    static_cast<void>(directory->recycle_log("log-1.varve", "log-2.varve", 8192));
  };
  CHECK(test::error_of(recycle) == ErrorCode::AlreadyExists);
  disk->watch_steps({});
  CHECK(contents(*disk, "log-2.varve") == "of another");
  CHECK(contents(*disk, "log-1.varve").size() == 8192);
}

TEST_CASE("media of the same names and bytes have the same fingerprint, and no others",
          "[directory][simulated]") {
  SimulatedFileSystem disk, other;
  disk.plant("a", "12345678x");
  other.plant("a", "12345678x");
  CHECK(disk.fingerprint() == other.fingerprint());
  std::set<SimulatedFileSystem::Fingerprint> all = {disk.fingerprint()};
  const auto differs = [&](std::string_view name, std::string_view bytes) {
    SimulatedFileSystem next;
    next.plant(name, bytes);
    return all.insert(next.fingerprint()).second;
  };
  CHECK(differs("b", "12345678x"));
  CHECK(differs("a", "12345678y"));
  CHECK(differs("a", "12345679x"));
  CHECK(differs("a", "12345678"));
  CHECK(differs("a", std::string_view("12345678x\0", 10)));
  CHECK(differs("a1", "2345678x"));
  CHECK(differs("a", ""));
}

TEST_CASE("every refused call is on record", "[directory][simulated][faults]") {
  SimulatedFileSystem disk;
  const std::size_t third = disk.add_fault({.nth = 2});
  const auto file = disk.create("a");
  file->write(0, "1");
  CHECK_THROWS_AS(file->sync(), Error);
  file->sync();
  CHECK(disk.call_count() == 4);
  const std::vector<FaultedCall> calls = disk.faulted_calls();
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].fault_id == third);
  CHECK(calls[0].operation == Operation::Sync);
  CHECK(calls[0].name == "a");
  CHECK(calls[0].step_before == "write a");
}

TEST_CASE("with larger sectors more is old or new at once", "[directory][simulated]") {
  SimulatedFileSystem disk;
  disk.plant("a", std::string(8192, 'o'));
  disk.open("a", true)->write(0, std::string(8192, 'n'));
  std::set<std::size_t> changes;  // Places at which old follows new or the other way round.
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto after = disk.after_reboot({.data = Data::Mixed, .seed = seed, .sector_size = 4096});
    const std::string bytes = contents(*after, "a");
    for (std::size_t i = 1; i < bytes.size(); ++i) {
      if (bytes[i] != bytes[i - 1]) changes.insert(i);
    }
  }
  CHECK(changes.contains(4096));
  CHECK_FALSE(changes.contains(512));  // But for a tear just there.
  CHECK(changes.size() > 20);          // Tears.
}

TEST_CASE("a medium with a capacity takes whole pages of named and of open files",
          "[directory][simulated][space]") {
  SimulatedFileSystem disk;
  CHECK_FALSE(disk.free_size().has_value());
  disk.set_capacity(4 * 4096);
  auto file = disk.create("a");
  file->write(0, "x");
  CHECK(disk.free_size() == 3 * 4096);
  // What fits is written, as a system call would.
  CHECK(error_of([&] { file->write(0, std::string(5 * 4096, 'y')); }) == ErrorCode::NoSpace);
  CHECK(file->size() == 4 * 4096);
  CHECK(disk.free_size() == 0);
  CHECK(error_of([&] { file->write(4 * 4096, "z"); }) == ErrorCode::NoSpace);
  file->write(0, "in place");
  auto empty = disk.create("b");
  CHECK(error_of([&] { empty->allocate(1); }) == ErrorCode::NoSpace);
  CHECK(empty->size() == 0);
  file->punch(100, 2 * 4096);  // One whole page.
  CHECK(disk.free_size() == 4096);
  CHECK(disk.list().at(0).allocated_size == 3 * 4096);
  empty->allocate(4096);
  CHECK(error_of([&] { file->write(4096, "back"); }) == ErrorCode::NoSpace);
  disk.remove("b");
  CHECK(disk.free_size() == 0);  // It is still open.
  empty.reset();
  CHECK(disk.free_size() == 4096);
  file->truncate(1);
  CHECK(disk.free_size() == 3 * 4096);
  CHECK(disk.after_kill()->free_size() == 3 * 4096);
  auto next = disk.create("a.tmp");
  next->write(0, "new");
  disk.rename("a.tmp", "a");
  const auto mapping = file->map_readable();
  file.reset();
  CHECK(disk.used_size() == 2 * 4096);
}

TEST_CASE("a reserve grows, stays as it was when it cannot, and is freed by its removal",
          "[directory][simulated][space]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  disk->set_capacity(16 * 4096);
  const auto directory = make_posix_directory(disk);
  CHECK(directory->free_size() == 16 * 4096);
  CHECK(error_of([&] { directory->reserve("reserve.varve", 17 * 4096); }) == ErrorCode::NoSpace);
  CHECK(disk->list().empty());
  CHECK(directory->reserve("reserve.varve", 8 * 4096));
  CHECK(directory->reserve("reserve.varve", 12 * 4096));
  CHECK(directory->free_size() == 4 * 4096);
  CHECK(error_of([&] { directory->reserve("reserve.varve", 17 * 4096); }) == ErrorCode::NoSpace);
  CHECK(directory->free_size() == 4 * 4096);
  directory->remove("reserve.varve");
  CHECK(directory->free_size() == 16 * 4096);
  CHECK_FALSE(make_memory_directory()->reserve("reserve.varve", 4096));
}

TEST_CASE("an owner cut off by a crash leaves the directory marked open",
          "[directory][simulated][ownership]") {
  const auto disk = std::make_shared<SimulatedFileSystem>();
  const auto directory = make_posix_directory(disk);
  CHECK(directory->lock_status().state == LockState::NotInitialized);
  auto owner = directory->acquire(LockMode::Exclusive, std::chrono::milliseconds(0), true);
  CHECK_FALSE(owner->recovered_stale());
  owner->set_phase(false, 7);
  CHECK_FALSE(directory->lock_status().healthy);
  const auto killed = make_posix_directory(disk->after_kill());
  disk->cut_power();
  owner->release();  // Without effect: the machine is off.
  const auto rebooted = make_posix_directory(disk->after_reboot(kWorst));
  for (const auto& next : {killed, rebooted}) {
    CHECK(next->lock_status().state == LockState::Unlocked);
    CHECK(next->lock_status().left_open);
    CHECK_FALSE(next->lock_status().healthy);
    auto recovering = next->acquire(LockMode::Exclusive, std::chrono::milliseconds(0), false);
    CHECK(recovering->recovered_stale());
    recovering->release();
    CHECK(next->lock_status().left_open);  // It only locked and unlocked: recovery is still due.
    recovering = next->acquire(LockMode::Exclusive, std::chrono::milliseconds(0), false);
    CHECK(recovering->recovered_stale());
    recovering->set_phase(true, 8);
    recovering->release();
    CHECK_FALSE(next->lock_status().left_open);
    CHECK(next->lock_status().healthy);
  }
}

}  // namespace
}  // namespace varve::directory
