// SPDX-License-Identifier: Apache-2.0
#include "tests/stress/stress_command.hpp"

using varve::test::StressCommand;

TEST_CASE_METHOD(StressCommand, "bad usage is status 64 and does nothing", "[stress][process]") {
  for (const char* const arguments :
       {"--keys 3", "--keys many", "--threads 0", "--seconds 0", "--cycles 0", "--no-such-option",
        "word", "--cycle-seed 12z", "--plant nothing-known", "-- program", "torture",
        "torture --keys 100 -- program", "torture --run-ms 0 -- program", "worker"}) {
    CAPTURE(arguments);
    CHECK(run(arguments) == 64);
    CHECK(read("err").size() > 10);
  }
  CHECK(kept_count() == 0);
}

TEST_CASE_METHOD(StressCommand, "what the machine does not allow is status 74",
                 "[stress][process]") {
  CHECK(run("--cycles 1 --dir /proc/none") == 74);
  CHECK(run("torture --cycles 1 -- /no/such/program") == 74);
  CHECK(said("/no/such/program"));
  REQUIRE(run("--cycles 1 --seed 1 --dir used") == 0);
  CHECK(run("--cycles 1 --seed 1 --dir used") == 74);  // It is not overwritten.
  CHECK(said("used/store"));
}

TEST_CASE_METHOD(StressCommand, "a seed draws the same cycles again", "[stress][process]") {
  REQUIRE(run("--cycles 4 --seed 11 --verbose") == 0);
  CHECK(read("out").starts_with("seed 11\n"));
  const std::string first = read("err");
  REQUIRE(first.find("cycle 3, seed 0x") != std::string::npos);
  REQUIRE(run("--cycles 4 --seed 11 --verbose") == 0);
  CHECK(read("err") == first);
  // One cycle of them alone.
  const std::size_t at = first.find("cycle 3, seed ") + 14;
  const std::string cycle_seed = first.substr(at, first.find(':', at) - at);
  REQUIRE(run("--cycles 1 --verbose --cycle-seed " + cycle_seed) == 0);
  CHECK(read("err") == "cycle 0, seed " + first.substr(at));
}

TEST_CASE_METHOD(StressCommand, "a program that is done by itself, or never steps, is told so",
                 "[stress][process][torture]") {
  // None of this seed's cycles kills the program before it has stepped or is done.
  const std::string torture = "torture --seed 18 --cycles 3 --run-ms 5000 ";
  CHECK(run(torture + "--json json -- bash -c 'echo ack 1'") == 0);
  CHECK(figure("operations") == 1);
  CHECK(run(torture + "-- bash -c 'exit 3'") == 1);
  CHECK(said("ended by itself in phase run: exit status 3"));
  CHECK(run(torture + "-- bash -c 'echo ack soon'") == 1);
  CHECK(said("\"ack N\" expected"));
}

TEST_CASE_METHOD(StressCommand, "what a tortured program has started ends with it",
                 "[stress][process][torture]") {
  const std::string program =
      "torture --cycles 4 --run-ms 20 --seed 1 --json json -- bash -c '"
      "list=$VARVE_TORTURE_DIR/list; "
      "if [[ $VARVE_TORTURE_PHASE == run ]]; then sleep 1000 & echo $! >>\"$list\"; echo ack 1; "
      "wait; "
      "elif [[ -e $list ]]; then while read -r pid; do "
      "grep -q \"^State:.[ZX]\" /proc/$pid/status || [[ ! -e /proc/$pid ]] || exit 1; "
      "done <\"$list\"; fi'";
  CHECK(run(program) == 0);
  CAPTURE(read("out"), read("err"));
  CHECK(figure("operations") == 1);
  CHECK(figure("kills") == 4);
}
