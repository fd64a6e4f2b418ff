// SPDX-License-Identifier: Apache-2.0
#include "directory/file_replacer.hpp"

#include <string>
#include <string_view>

#include "directory/simulated_file_system.hpp"
#include "tests/support/catch.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

const std::string kOld(700, 'o');
const std::string kNew(1300, 'n');

void replace_catalog(SimulatedFileSystem& disk) {
  FileReplacer replacer(disk, "catalog");
  replacer.append(std::string_view(kNew).substr(0, 600));
  replacer.append(std::string_view(kNew).substr(600));
  replacer.commit();
}

// Method: count the steps of one replacement, then run it once per step with the power cut there,
// and look at what the disk holds after a reboot, in each way that bytes and names may be lost.
TEST_CASE("a replacement cut off at any step leaves the old file or the new",
          "[directory][crash]") {
  SimulatedFileSystem uncut;
  uncut.plant("catalog", kOld);
  replace_catalog(uncut);
  const std::uint64_t step_count = uncut.step_count();
  REQUIRE(step_count == 6);
  bool saw_old = false;
  bool saw_new = false;
  for (std::uint64_t step = 0; step < step_count; ++step) {
    SimulatedFileSystem disk;
    disk.plant("catalog", kOld);
    disk.cut_power_at(step);
    CHECK_THROWS_AS(replace_catalog(disk), PowerCut);
    for (const RebootPolicy& policy : reboot_policies(64)) {
      CAPTURE(step, policy.data, policy.names, policy.seed);
      const auto found = disk.after_reboot(policy)->peek("catalog");
      CHECK((found == kOld || found == kNew));
      saw_old |= found == kOld;
      saw_new |= found == kNew;
    }
  }
  CHECK(saw_old);
  CHECK(saw_new);  // A rename that reached the medium before the directory's sync.
}

TEST_CASE("a committed replacement survives every power loss", "[directory][crash]") {
  SimulatedFileSystem disk;
  disk.plant("catalog", kOld);
  replace_catalog(disk);
  for (const RebootPolicy& policy : reboot_policies(64)) {
    CAPTURE(policy.data, policy.names, policy.seed);
    const auto rebooted = disk.after_reboot(policy);
    CHECK(rebooted->peek("catalog") == kNew);
    CHECK(rebooted->list().size() == 1);
  }
}

TEST_CASE("a replacement interrupted by a crash can be made again", "[directory][crash]") {
  for (std::uint64_t step = 0; step < 6; ++step) {
    SimulatedFileSystem disk;
    disk.plant("catalog", kOld);
    disk.cut_power_at(step);
    CHECK_THROWS_AS(replace_catalog(disk), PowerCut);
    for (const RebootPolicy& policy : reboot_policies(16)) {
      CAPTURE(step, policy.data, policy.names, policy.seed);
      const auto rebooted = disk.after_reboot(policy);
      replace_catalog(*rebooted);
      CHECK(rebooted->peek("catalog") == kNew);
      CHECK(rebooted->list().size() == 1);
    }
  }
}

TEST_CASE("a killed process leaves the old file or the new", "[directory][crash]") {
  for (std::uint64_t step = 0; step < 6; ++step) {
    SimulatedFileSystem disk;
    disk.plant("catalog", kOld);
    disk.cut_power_at(step);
    CHECK_THROWS_AS(replace_catalog(disk), PowerCut);
    const auto found = disk.after_kill()->peek("catalog");
    CHECK((found == kOld || found == kNew));
    CHECK((found == kNew) == (step == 5));
  }
}

TEST_CASE("a step that is refused is reported, and leaves no tmp file behind",
          "[directory][fault]") {
  const auto operation = GENERATE(Operation::Create, Operation::Write, Operation::Sync,
                                  Operation::Rename, Operation::SyncDirectory);
  CAPTURE(to_string(operation));
  SimulatedFileSystem disk;
  disk.plant("catalog", kOld);
  const std::size_t fault = disk.add_fault({.operation = operation});
  try {
    replace_catalog(disk);
    FAIL("the fault was swallowed");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::Io);
    CHECK_FALSE(error.path().empty());
  }
  CHECK(disk.fired(fault) == 1);
  CHECK(disk.call_count(Operation::Sync) <= 1);  // Never tried again.
  CHECK_FALSE(disk.peek("catalog.tmp").has_value());
  const auto found = disk.peek("catalog");
  CHECK(found == (operation == Operation::SyncDirectory ? kNew : kOld));
}

TEST_CASE("a replacer that is not committed changes nothing", "[directory]") {
  SimulatedFileSystem disk;
  disk.plant("catalog", kOld);
  {
    FileReplacer replacer(disk, "catalog");
    replacer.append(kNew);
  }
  CHECK(disk.peek("catalog") == kOld);
  CHECK(disk.list().size() == 1);
}

TEST_CASE("a tmp file left by a crash is not appended to", "[directory]") {
  SimulatedFileSystem disk;
  disk.plant("catalog.tmp", std::string(5000, 's'));
  replace_catalog(disk);
  CHECK(disk.peek("catalog") == kNew);
}

}  // namespace
}  // namespace varve::directory
