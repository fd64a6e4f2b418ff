// SPDX-License-Identifier: Apache-2.0
// varve-bench as a process: every workload with every engine that this build has, at a size that
// says nothing about speed. Its own checks of every answer are what is relied on.
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "bench/record_json.hpp"
#include "tests/bench/markup_check.hpp"
#include "tests/bench/sample_record.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using varve::bench::read_json;
using varve::bench::Record;
using varve::bench::Result;
using varve::test::add_results;
using varve::test::check_markup;
using varve::test::sample_record;
using varve::test::TemporaryDirectory;

namespace {

struct Bench {
  TemporaryDirectory temporary;

  // Output goes to the file `out` and messages to `err`, below the temporary directory.
  [[nodiscard]] int run(const std::string& arguments) const {
    const std::string directory = "'" + temporary.path().string() + "'";
    const std::string command =
        "cd " + directory + " && '" VARVE_BENCH "' " + arguments + " >out 2>err";
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  // As run(), with scratch directories below it.
  [[nodiscard]] int measure(const std::string& arguments) const {
    return run("--dir . " + arguments);
  }
  [[nodiscard]] Record record(const std::string& name) const {
    return read_json(temporary.path() / name);
  }
  void write(const std::string& name, const Record& record) const {
    std::ofstream file(temporary.path() / name);
    write_json(file, record);
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

}  // namespace

TEST_CASE_METHOD(Bench, "every engine answers every workload rightly", "[bench][process]") {
  const std::vector<std::string> engines = listed("Engines"), workloads = listed("Workloads");
  REQUIRE(engines.size() >= 5);
  REQUIRE(workloads.size() >= 30);
  for (const std::string& engine : engines) {
    CAPTURE(engine);
    const int status = measure(
        "--n 2000 --reads 2000 --synced 5 --repeats 1 --threads 1,3 "
        "--synced-threads 2 --workloads all --json json --report html --engines " +
        engine);
    CAPTURE(read("err"));
    REQUIRE(status == 0);
    const Record record = this->record("json");
    const std::string html = read("html");
    CHECK(check_markup(html).error.empty());
    for (const std::string& workload : workloads) {
      const bool several = workload == "read_while_writing" || workload == "synced_put_threads";
      if (engine == "varve-bare" && several) continue;
      if (engine == "lmdb" && workload == "compact") continue;  // It has no such call.
      CAPTURE(workload);
      CHECK(std::any_of(record.results.begin(), record.results.end(), [&](const Result& result) {
        return result.engine == engine && result.workload == workload;
      }));
      CHECK(html.find("<h2 id=\"" + workload + "\">") != std::string::npos);
    }
  }
}

TEST_CASE_METHOD(Bench, "rates and latencies are reported beside the costs", "[bench][process]") {
  REQUIRE(measure("--n 2000 --reads 2000 --repeats 2 --threads 2 --engines varve-bare,varve-sync "
                  "--workloads concurrent_mixed,overwrite --json json") == 0);
  const std::string out = read("out");
  CAPTURE(out);
  CHECK(out.find("| concurrent_mixed@2 | varve-sync | get  |") != std::string::npos);
  CHECK(out.find("| concurrent_mixed@2 | varve-sync | put  |") != std::string::npos);
  CHECK(out.find("| overwrite          | varve-bare | put  |") != std::string::npos);
  CHECK(out.find("| concurrent_mixed@2 | varve-bare") == std::string::npos);
  CHECK(read("err").find("varve-bare: one thread only") != std::string::npos);
  const Record record = this->record("json");
  std::uint64_t mixed_count = 0;
  std::set<std::uint32_t> repeats;
  for (const Result& result : record.results) {
    if (result.workload != "concurrent_mixed" || result.engine != "varve-sync") continue;
    CHECK(result.measurement.thread_count == 2);
    CHECK(result.measurement.latencies.at("get").count == 1400);
    CHECK(result.measurement.latencies.at("put").count == 600);
    repeats.insert(result.repeat);
    ++mixed_count;
  }
  CHECK(mixed_count == 2);
  CHECK(repeats == std::set<std::uint32_t>{0, 1});
}

TEST_CASE_METHOD(Bench, "repeats are interleaved, in an order that moves on", "[bench][process]") {
  REQUIRE(measure("--n 1000 --reads 100 --repeats 3 --engines varve-bare,varve-sync "
                  "--workloads fillrandom --json json") == 0);
  std::string order;
  for (const Result& result : record("json").results) {
    order += std::to_string(result.repeat) + ":" + result.engine + " ";
  }
  CHECK(order ==
        "0:null 0:varve-bare 0:varve-sync 1:varve-bare 1:varve-sync 1:null "
        "2:varve-sync 2:null 2:varve-bare ");
}

TEST_CASE_METHOD(Bench, "a scaling run gives a series for each engine that takes part",
                 "[bench][process]") {
  REQUIRE(measure("--n 2000 --reads 500 --repeats 1 --engines varve-sync --workloads read_hit "
                  "--scale entries=1K..4K --scale segment_size=64K --json json --report html") ==
          0);
  std::string points;
  for (const Result& result : record("json").results) {
    if (result.engine != "varve-sync") continue;
    points += result.point.parameter + "=" + std::to_string(result.point.value) + ":" +
              std::to_string(result.measurement.raw_size / 116) + " ";
    CHECK(result.measurement.segment_count > 0);
  }
  CHECK(points == "entries=1000:1000 entries=2000:2000 entries=4000:4000 segment_size=65536:2000 ");
  CHECK(read("html").find("read_hit: time of an operation by entries") != std::string::npos);
}

TEST_CASE_METHOD(Bench, "a memory limit is for everybody, and a cgroup must be one",
                 "[bench][process]") {
  REQUIRE(measure("--n 20000 --reads 500 --repeats 1 --memory-limit 4M --varve-reads buffered "
                  "--workloads load_random,read_hit --json json") == 0);
  CHECK(record("json").settings.memory_limit == 4 << 20);
  CHECK(read("out").find("page cache is NOT limited") != std::string::npos);
  CHECK(measure("--n 1000 --cgroup .") == 2);
  CHECK(measure("--n 1000 --memory-limit 4M --cgroup . --workloads load_seq") == 2);
  CHECK(read("err").find("is not a cgroup") != std::string::npos);
}

TEST_CASE_METHOD(Bench, "records are compared, and something slower can fail", "[bench][process]") {
  Record before = sample_record(), after = sample_record();
  add_results(before, "varve", "scan", {100, 101, 102});
  add_results(after, "varve", "scan", {120, 121, 122});
  write("before", before);
  write("after", after);
  CHECK(run("compare before after") == 0);
  CHECK(read("out").find("| scan     | varve  | SLOWER       |") != std::string::npos);
  CHECK(read("out").find("| +19.8 % |") != std::string::npos);
  CHECK(run("compare before after --fail") == 1);
  CHECK(run("compare before after --fail --threshold 25%") == 0);
  CHECK(run("compare before after --fail --threshold 0.1") == 1);
  CHECK(run("compare after before --fail") == 0);
  CHECK(read("out").find("faster") != std::string::npos);
  CHECK(run("compare before after --threshold much") == 2);
  CHECK(run("compare before out") == 2);
  CHECK(run("compare before absent") != 0);
}

TEST_CASE_METHOD(Bench, "a report is made of a file as of the run itself", "[bench][process]") {
  REQUIRE(measure("--n 1000 --reads 100 --repeats 1 --engines varve --workloads readmissing "
                  "--json json --report html --warm-memory 16M") == 0);
  REQUIRE(run("report json --out again") == 0);
  CHECK(read("again") == read("html"));
  CHECK(run("report html --out again") == 2);
}

TEST_CASE_METHOD(Bench, "what the command line does not offer is refused", "[bench][process]") {
  CHECK(measure("--threads 0") != 0);
  CHECK(measure("--access shared") != 0);
  CHECK(measure("--engines nothing") != 0);
  CHECK(measure("--warm-memory much") == 2);
  CHECK(measure("--workloads nothing") == 2);
  CHECK(measure("--json absent/json --n 1000") == 2);
}
