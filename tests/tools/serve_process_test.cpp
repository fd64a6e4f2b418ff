// SPDX-License-Identifier: Apache-2.0
// serve-metrics as a process that goes on until it is stopped.
#include <string>

#include "tests/support/catch.hpp"
#include "tests/tools/shell.hpp"

using varve::test::kHeldIndex;
using varve::test::Shell;

namespace {

// Starts serve-metrics with `options`; sets $server and $port.
std::string serve(const std::string& options) {
  return "mkfifo said; $V serve-metrics $D --port 0 " + options +
         " >said 2>err & server=$!; exec 7<said; read -r word url <&7; "
         "port=${url##*:}; port=${port%/metrics}; ";
}

// Asks for a path; the answer goes to a file.
std::string ask(const std::string& path, const std::string& file) {
  return "exec 5<>/dev/tcp/127.0.0.1/$port; printf 'GET " + path +
         " HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&5; cat <&5 >" + file + "; exec 5>&-; ";
}

}  // namespace

TEST_CASE_METHOD(Shell, "an index's figures are served until the process is stopped",
                 "[tools][process][metrics]") {
  REQUIRE(run("$V put $D a 1 2>err") == 0);
  for (const std::string signal : {"TERM", "INT"}) {
    CAPTURE(signal);
    CHECK(run("rm -f said; " + serve("") + ask("/metrics", "out") + ask("/", "other") + "kill -" +
              signal + " $server; wait $server") == 0);
    CHECK(read("out").starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4;"));
    CHECK(read("out").find("\nvarve_run_entries{index=\"db\"} 1\n") != std::string::npos);
    CHECK(read("out").find("\nvarve_filters_bytes{index=\"db\"} ") != std::string::npos);
    CHECK(read("other").starts_with("HTTP/1.1 404 "));
    CHECK(read("err").empty());
    CHECK(run("$V lock status $D >out") == 1);  // Given back.
  }
}

TEST_CASE_METHOD(Shell, "a held index is served by its files alone", "[tools][process][metrics]") {
  REQUIRE(run("$V put $D a 1 2>err") == 0);
  CHECK(run(kHeldIndex + "$V serve-metrics $D --port 0 --wait 0 2>hint; first=$?; " +
            serve("--files 3>&-") + ask("/metrics", "out") +
            "kill $server; wait $server; second=$?; "
            "exec 3>&-; wait $loader; [[ $first-$second == 4-0 ]]") == 0);
  CHECK(read("hint").find("--files") != std::string::npos);
  CHECK(read("out").find("\nvarve_held{index=\"db\"} 1\n") != std::string::npos);
}

TEST_CASE_METHOD(Shell, "metrics are not served where they cannot be",
                 "[tools][process][metrics]") {
  CHECK(run("$V serve-metrics $D --port 0 2>err") == 74);
  CHECK(run("$V serve-metrics $D --port 0 --files 2>err") == 74);
  REQUIRE(run("$V put $D a 1 2>err") == 0);
  CHECK(run("$V serve-metrics $D --port 70000 2>err") == 64);
  CHECK(run("$V serve-metrics $D --port 0 --address example.org 2>err") == 74);
  CHECK(read("err").find("example.org") != std::string::npos);
}
