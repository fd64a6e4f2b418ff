// SPDX-License-Identifier: Apache-2.0
// The command as a process: what a script sees of it.
#include <string>

#include "tests/support/catch.hpp"
#include "tests/tools/shell.hpp"

using varve::test::Shell;

TEST_CASE_METHOD(Shell, "data goes to the standard output and messages do not",
                 "[tools][process]") {
  CHECK(run("printf 'a\\t1\\n' | $V load $D >out 2>err") == 0);
  CHECK(read("out") == "acknowledged 1\n");
  CHECK(run("$V dump $D >out 2>err") == 0);
  CHECK(read("out") == "a\t1\n");
  CHECK(read("err").empty());
  CHECK(run("$V get $D b >out 2>err") == 1);
  CHECK(read("out").empty());
  CHECK_FALSE(read("err").empty());
}

TEST_CASE_METHOD(Shell, "a reader that goes away ends a scan quietly", "[tools][process]") {
  REQUIRE(run("for i in {1..20000}; do printf 'key%d\\tvalue of some length\\n' $i; done"
              " | $V load $D >out 2>&1") == 0);
  CHECK(run("set -o pipefail; $V scan $D 2>err | head -n 1 >out") == 0);
  CHECK_FALSE(read("out").empty());
  CHECK(read("err").empty());
}

TEST_CASE_METHOD(Shell, "output that does not arrive is a failure", "[tools][process]") {
  REQUIRE(run("$V put $D a 1 2>err") == 0);
  for (const std::string command : {"get $D a", "scan $D", "dump $D", "stat $D", "check $D",
                                    "version", "--help", "lock status $D"}) {
    CAPTURE(command);
    CHECK(run("$V " + command + " >/dev/full 2>err") == 74);
    CHECK(read("err").find("cannot write the output") != std::string::npos);
    CHECK(run("$V " + command + " >&- 2>err") == 74);
  }
}

TEST_CASE_METHOD(Shell, "an index of another process is status 4, and --wait waits for it",
                 "[tools][process]") {
  REQUIRE(run("$V put $D a 1 2>err") == 0);
  // A loader whose input stays open holds the index; its first report says that it does.
  CHECK(run("mkfifo in report; $V load $D --report-every 1 <in >report 2>/dev/null & "
            "exec 3>in 4<report; printf 'b\\t2\\n' >&3; read -r line <&4; "
            "$V get $D a --wait 0 2>err; first=$?; "
            "$V lock status $D >out; second=$?; "
            "$V get $D b --wait 60s >waited 3>&- & waiter=$!; exec 3>&-; wait $waiter; third=$?; "
            "[[ $first-$second-$third == 4-4-0 ]]") == 0);
  CHECK(read("out").starts_with("held  pid "));
  CHECK(read("err").find("pid") != std::string::npos);
  CHECK(read("waited") == "2\n");
}

TEST_CASE_METHOD(Shell, "what a killed loader has acknowledged is there", "[tools][process]") {
  CHECK(run("for i in {1..5000}; do printf 'key%d\\tvalue %d\\n' $i $i; done >entries.tsv; "
            "mkfifo in report; exec 4<>report; "
            "$V load $D --report-every 100 <in >report 2>/dev/null & loader=$!; "
            // Held open, so that the loader never comes to the end and is there to be killed.
            "exec 3>in; cat entries.tsv >&3 & "
            "while read -t 60 -r word count <&4; do if ((count >= 3000)); then kill -KILL $loader; "
            "break; fi; done; wait $loader; [[ $? == 137 ]] || exit 9; "
            "$V lock status $D >status; "
            "head -n $count entries.tsv >acknowledged; "
            "cut -f 1 acknowledged | $V get $D --keys - >found 2>err && cmp found acknowledged") ==
        0);
  CHECK(read("status").find("did not close") != std::string::npos);
  CHECK(run("$V load $D entries.tsv >out 2>&1 && $V check $D --deep >out && "
            "LC_ALL=C sort entries.tsv >sorted && $V dump $D | LC_ALL=C sort | cmp - sorted") == 0);
}
