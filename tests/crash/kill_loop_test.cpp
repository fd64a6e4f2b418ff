// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/kill_loop.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

TEST_CASE("no acknowledged write is lost by SIGKILL, in 200 cycles on one index", "[crash][kill]") {
  const varve::test::TemporaryDirectory directory;
  const varve::test::KillLoopReport report =
      varve::test::run_kill_loop({.directory = directory.path(), .seed = 20261121});
  CAPTURE(report.cycles, report.operations, report.replayed);
  CHECK(report.problem == "");
  CHECK(report.kills == 200);
  CHECK(report.replayed > 0);  // Else the log was never what saved the writes.
}
