// SPDX-License-Identifier: Apache-2.0
#include "tests/stress/stress_command.hpp"

using varve::test::StressCommand;

namespace {

const std::string kWorkload = " -- '" VARVE_TORTURE_WORKLOAD "'";

}  // namespace

TEST_CASE_METHOD(StressCommand, "a sound program survives torture", "[stress][torture]") {
  const int status = run("torture --cycles 12 --run-ms 200 --seed 1 --json json" + kWorkload);
  CAPTURE(read("out"), read("err"));
  REQUIRE(status == 0);
  CHECK(figure("kills") == 12);
  CHECK(figure("operations") > 0);
  CHECK(figure("copies") > 0);
  CHECK(figure("checks") >= 2 * 11);  // The first kill may come before there is an index.
  CHECK(kept_count() == 0);
}

TEST_CASE_METHOD(StressCommand, "a program that acknowledges too early is found out",
                 "[stress][torture]") {
  CHECK(run("torture --cycles 12 --run-ms 200 --seed 1" + kWorkload + " --careless") == 1);
  CAPTURE(read("out"), read("err"));
  CHECK(said("was acknowledged, 0 steps are there"));
  CHECK(said("MISMATCH in cycle "));
  CHECK(kept_count() == 1);
}

TEST_CASE_METHOD(StressCommand, "a program whose writes belong together but are two is found out",
                 "[stress][torture]") {
  // How soon a kill meets the moment between two writes is a matter of luck.
  CHECK(run("torture --seconds 120 --run-ms 20 --seed 1" + kWorkload + " --torn") == 1);
  CAPTURE(read("out"), read("err"));
  CHECK((said("the money of all accounts is") || said("the balances are not those")));
}
