// SPDX-License-Identifier: Apache-2.0
// stat --files and stat --watch: what is seen of an index that another process has.
#include <sstream>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/tools/shell.hpp"

using varve::test::kHeldIndex;
using varve::test::Shell;

TEST_CASE_METHOD(Shell, "a held index shows what its files tell", "[tools][process][metrics]") {
  REQUIRE(run("$V put $D a 1 2>err") == 0);
  CHECK(run(kHeldIndex + "$V stat $D --wait 0 2>hint; first=$?; "
                         "$V stat $D --files >text; second=$?; "
                         "$V stat $D --watch 1ms --count 3 --json >lines; third=$?; "
                         "exec 3>&-; wait $loader; [[ $first-$second-$third == 4-0-0 ]]") == 0);
  CHECK(read("hint").find("--files") != std::string::npos);
  CHECK(read("text").find("held  pid ") != std::string::npos);
  std::istringstream lines(read("lines"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    CHECK(line.starts_with("{\"schema\":1,\"time\":\""));
    CHECK(line.find("\"state\":\"LockedByOther\"") != std::string::npos);
  }
  CHECK(count == 3);
}

TEST_CASE_METHOD(Shell, "a watch shows a line at once, and ends in order when it is stopped",
                 "[tools][process][metrics]") {
  REQUIRE(run("$V put $D a 1 2>err") == 0);
  CHECK(run("mkfifo said; $V stat $D --watch 1h >said 2>err & watch=$!; "
            "{ read -r header; read -r line; } <said; echo \"$header\" >out; echo \"$line\" >>out; "
            "kill -TERM $watch; wait $watch") == 0);
  CHECK(read("out").starts_with("time "));
  CHECK(read("out").find(" KiB") != std::string::npos);
  CHECK(read("err").empty());
  // A watch is in nobody's way.
  CHECK(run("mkfifo again; $V stat $D --watch 1h >again 2>err & watch=$!; exec 6<again; "
            "read -r header <&6; $V put $D b 2 --wait 0 2>err; put=$?; kill $watch; wait $watch; "
            "exit $put") == 0);
}

TEST_CASE_METHOD(Shell, "stat refuses what does not go together", "[tools][process][metrics]") {
  CHECK(run("$V stat $D --files 2>err") == 74);
  CHECK(run("$V stat $D --watch 2>err") == 74);
  REQUIRE(run("$V put $D a 1 2>err") == 0);
  CHECK(run("$V stat $D --watch soon 2>err") == 64);
  CHECK(run("$V stat $D --watch 0 2>err") == 64);
  CHECK(run("$V stat $D --count 3 2>err") == 64);
  CHECK(run("$V stat $D --files --segments 2>err") == 64);
}
