// SPDX-License-Identifier: Apache-2.0
// varve-bench as a process: every workload with every engine that this build has, at a size that
// says nothing about speed. Its own checks of every answer are what is relied on.
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using varve::test::TemporaryDirectory;

namespace {

struct Bench {
  TemporaryDirectory temporary;

  // Output goes to the file `out` and messages to `err`, below the temporary directory.
  [[nodiscard]] int run(const std::string& arguments) const {
    const std::string directory = "'" + temporary.path().string() + "'";
    const std::string command = "cd " + directory + " && '" VARVE_BENCH "' --dir " + directory +
                                " " + arguments + " >out 2>err";
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(temporary.path() / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // The names below `heading` in what --list says.
  [[nodiscard]] std::vector<std::string> listed(const std::string& heading) const {
    REQUIRE(run("--list") == 0);
    std::ifstream file(temporary.path() / "out");
    std::vector<std::string> names;
    bool below = false;
    for (std::string line; std::getline(file, line);) {
      if (line[0] != ' ' && line[0] != '*') {
        below = line.rfind(heading, 0) == 0;
      } else if (below) {
        names.push_back(line.substr(2, line.find(':') - 2));
      }
    }
    return names;
  }
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

}  // namespace

TEST_CASE_METHOD(Bench, "every engine answers every workload rightly", "[bench][process]") {
  const std::vector<std::string> engines = listed("Engines"), workloads = listed("Workloads");
  REQUIRE(engines.size() >= 5);
  REQUIRE(workloads.size() >= 19);
  for (const std::string& engine : engines) {
    CAPTURE(engine);
    const int status =
        run("--n 2000 --reads 2000 --synced 5 --repeats 1 --threads 1,3 "
            "--synced-threads 2 --json json --engines " +
            engine + " --workloads " + joined(workloads));
    const std::string json = read("json");
    CAPTURE(read("err"), json.substr(json.find("\"failures\"")));
    // An access mode that this version does not have yet.
    if (json.find("is not available in this version") != std::string::npos) continue;
    REQUIRE(status == 0);
    for (const std::string& workload : workloads) {
      if (workload == "threads") continue;  // A group.
      const bool several = workload == "read_while_writing" || workload == "synced_put_threads";
      if (engine == "varve-bare" && several) continue;
      CAPTURE(workload);
      CHECK(json.find("\"engine\": \"" + engine + "\", \"workload\": \"" + workload + "\"") !=
            std::string::npos);
    }
  }
}

TEST_CASE_METHOD(Bench, "the threads' rates and latencies are reported beside the costs",
                 "[bench][process]") {
  REQUIRE(run("--n 2000 --reads 2000 --repeats 2 --threads 2 --engines varve-bare,varve-sync "
              "--workloads concurrent_mixed,overwrite --json json") == 0);
  const std::string out = read("out");
  CAPTURE(out);
  CHECK(out.find("| concurrent_mixed@2 | varve-sync | gets |") != std::string::npos);
  CHECK(out.find("| concurrent_mixed@2 | varve-sync | puts |") != std::string::npos);
  CHECK(out.find("| overwrite          | varve-bare | puts |") != std::string::npos);
  CHECK(out.find("| concurrent_mixed@2 | varve-bare") == std::string::npos);
  CHECK(read("err").find("varve-bare: one thread only") != std::string::npos);
  const std::string json = read("json");
  CAPTURE(json);
  CHECK(json.find("\"thread_count\": 2, \"reads\": {\"count\": 1400,") != std::string::npos);
  CHECK(json.find("\"writes\": {\"count\": 600,") != std::string::npos);
}

TEST_CASE_METHOD(Bench, "what the command line does not offer is refused", "[bench][process]") {
  CHECK(run("--threads 0") != 0);
  CHECK(run("--access shared") != 0);
  CHECK(run("--engines nothing") != 0);
}
