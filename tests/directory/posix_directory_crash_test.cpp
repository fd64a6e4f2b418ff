// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "tests/support/catch.hpp"
#include "varve/error.hpp"

// Every protocol of PosixDirectory, cut at every step, in every kind of outcome.
namespace varve::directory {
namespace {

using Disk = SimulatedFileSystem;

constexpr std::uint64_t kSeedCount = 48;

// Runs `act` on a fresh `prepare`d disk once per step, with the power cut there, and once uncut;
// `check(disk, done)` sees every state that may be found afterwards.
void sweep(const std::function<void(Disk&)>& prepare, const std::function<void(Directory&)>& act,
           const std::function<void(const Disk&, bool done)>& check) {
  bool done = false;
  for (std::uint64_t step = 0; !done; ++step) {
    const auto disk = std::make_shared<Disk>();
    prepare(*disk);
    disk->cut_power_at(step);
    const auto directory = make_posix_directory(disk);
    try {
      act(*directory);
      done = true;
    } catch (const PowerCut&) {
      // The rest of the protocol never happened.
    }
    for (const RebootPolicy& policy : reboot_policies(kSeedCount)) {
      CAPTURE(step, done, policy.data, policy.names, policy.seed);
      check(*disk->after_reboot(policy), done);
    }
  }
}

TEST_CASE("after a power loss an immutable file is whole or absent, and whole once it was put",
          "[directory][crash]") {
  const std::string bytes(5000, 'b');
  sweep([](Disk&) {},
        [&](Directory& directory) {
          directory.put_immutable("main-1-1.varve", [&](Sink& sink) {
            sink.append(std::string_view(bytes).substr(0, 1000));
            sink.append(std::string_view(bytes).substr(1000));
          });
        },
        [&](const Disk& disk, bool done) {
          const auto found = disk.peek("main-1-1.varve");
          CHECK((found == bytes || (!found.has_value() && !done)));
        });
}

TEST_CASE("a created log has its name and its whole size after a power loss",
          "[directory][crash][log]") {
  sweep([](Disk&) {},
        [](Directory& directory) { static_cast<void>(directory.create_log("log-1", 4096)); },
        [](const Disk& disk, bool done) {
          if (!done) return;  // Whatever there is, no manifest names it.
          CHECK(disk.peek("log-1").value_or("").size() == 4096);
        });
}

TEST_CASE("a recycled log has one of its two names, and the new one in the end",
          "[directory][crash][log]") {
  const std::string old_bytes(4096, 'o');
  sweep([&](Disk& disk) { disk.plant("log-1", old_bytes); },
        [](Directory& directory) {
          static_cast<void>(directory.recycle_log("log-1", "log-2", 8192));
        },
        [&](const Disk& disk, bool done) {
          const auto before = disk.peek("log-1");
          const auto after = disk.peek("log-2");
          CHECK(before.has_value() != after.has_value());
          CHECK((before.has_value() ? before : after)->substr(0, 4096) == old_bytes);
          if (after.has_value()) CHECK(after->size() == 8192);
          if (done) CHECK(after.has_value());
        });
}

TEST_CASE("what a log synced survives power loss, what it published survives the process",
          "[directory][crash][log]") {
  const bool mappable = GENERATE(true, false);
  const auto disk = std::make_shared<Disk>();
  disk->set_mappable(mappable);
  const auto directory = make_posix_directory(disk);
  const auto log = directory->create_log("log-1", 4096);
  std::memcpy(log->data(), "one", 3);
  log->publish(0, 3);
  log->sync();
  std::memcpy(log->data() + 3, "two", 3);
  log->publish(3, 6);
  CHECK(disk->after_kill()->peek("log-1").value_or("").substr(0, 6) == "onetwo");
  bool lost = false;
  for (const RebootPolicy& policy : reboot_policies(kSeedCount)) {
    const std::string found = disk->after_reboot(policy)->peek("log-1").value_or("");
    REQUIRE(found.size() == 4096);
    CHECK(found.substr(0, 3) == "one");
    lost |= found.substr(3, 3) != "two";
  }
  CHECK(lost);
}

// The kernel calls what a failed sync could not write clean, and the next sync of whoever comes
// then does nothing.
TEST_CASE("the first sync of a log that is gone on with writes what the last process could not",
          "[directory][crash][log]") {
  const bool mappable = GENERATE(true, false);
  const std::size_t size = GENERATE(std::size_t{600}, std::size_t{2'500'000});
  CAPTURE(mappable, size);
  const auto disk = std::make_shared<Disk>();
  disk->set_mappable(mappable);
  const std::string bytes(size, 'r');
  {
    const auto directory = make_posix_directory(disk);
    const auto log = directory->create_log("log-1", size + 4096);
    log->write(0, bytes.substr(0, 100));
    log->sync();
    log->write(100, bytes.substr(100));
    disk->add_fault({.operation = Operation::Sync, .drop_unsynced = true});
    CHECK_THROWS_AS(log->sync(), Error);
  }
  const auto left = disk->after_kill();
  const auto directory = make_posix_directory(left);
  const auto log = directory->resume_log("log-1", 100, size);
  log->write(size, "new");
  log->sync();
  for (const RebootPolicy& policy : reboot_policies(kSeedCount)) {
    const std::string found = left->after_reboot(policy)->peek("log-1").value_or("");
    CHECK((found.substr(0, size + 3) == bytes + "new"));
  }
}

TEST_CASE("a refused step leaves no file under its name, and the directory usable",
          "[directory][fault]") {
  const auto operation = GENERATE(Operation::Create, Operation::Write, Operation::Allocate,
                                  Operation::Sync, Operation::Rename, Operation::SyncDirectory);
  const int error_number = GENERATE(5 /*EIO*/, 28 /*ENOSPC*/, 30 /*EROFS*/);
  CAPTURE(to_string(operation), error_number);
  const auto attempt = [&](const std::function<void(Directory&)>& act) {
    const auto disk = std::make_shared<Disk>();
    const auto directory = make_posix_directory(disk);
    const std::size_t fault =
        disk->add_fault({.operation = operation, .error_number = error_number});
    std::optional<Error> refused;
    try {
      act(*directory);
    } catch (const Error& error) {
      refused = error;
    }
    CHECK((disk->fired(fault) == 1) == refused.has_value());
    if (!refused.has_value()) return;
    CHECK(refused->system().value() == error_number);
    CHECK(disk->list().empty());
    act(*directory);
    CHECK(disk->list().size() == 1);
  };
  attempt([](Directory& directory) {
    directory.put_immutable("a", [](Sink& sink) { sink.append("bytes"); });
  });
  attempt([](Directory& directory) { static_cast<void>(directory.create_log("a", 4096)); });
}

}  // namespace
}  // namespace varve::directory
