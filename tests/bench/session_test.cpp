// SPDX-License-Identifier: Apache-2.0
// Every workload against a map in memory, which does everything right, and against the same map
// with one fault, which the workload must notice.
#include "bench/session.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/bench/faulty_engine.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace varve::bench;
using varve::test::Fault;
using varve::test::faulty_engine;
using varve::test::TemporaryDirectory;

namespace {

Settings tiny_settings() {
  Settings settings;
  settings.entry_count = 2000;
  settings.read_count = 2000;
  settings.synced_count = 100;
  settings.thread_counts = {2};
  settings.synced_thread_counts = {2};
  return settings;
}

// Runs the workloads, with what they need, in their sessions.
std::map<std::string, Measurement> run(Fault fault, const std::vector<std::string>& workloads) {
  const TemporaryDirectory temporary;
  Settings settings = tiny_settings();
  settings.workloads = resolve_workloads(workloads);
  std::map<std::string, Measurement> measurements;
  for (const Plan& plan : make_plans(settings)) {
    Session session(faulty_engine(fault), settings, plan, temporary.path() / "session");
    session.run([&](const std::string& workload, const Measurement& measurement) {
      measurements[workload] = measurement;
    });
  }
  return measurements;
}

// A killed process takes a map in memory with it, which open_killed rightly complains of.
std::vector<std::string> all_but_open_killed() {
  std::vector<std::string> names = resolve_workloads({"all"});
  std::erase(names, "open_killed");
  return names;
}

}  // namespace

TEST_CASE("every workload takes right answers for right", "[bench][session]") {
  const std::vector<std::string> workloads = all_but_open_killed();
  const auto measurements = run(Fault::None, workloads);
  for (const std::string& workload : workloads) {
    CAPTURE(workload);
    REQUIRE(measurements.contains(workload));
    const Measurement& m = measurements.at(workload);
    CHECK(m.operation_count > 0);
    CHECK(m.wall_seconds > 0);
    CHECK(m.raw_size > 0);
    const std::set<std::string> whole = {"scan", "scan_reverse", "compact", "scan_compacted"};
    CHECK(m.latencies.empty() == whole.contains(workload));
    std::uint64_t timed_count = 0;
    for (const auto& [kind, latencies] : m.latencies) {
      CAPTURE(kind);
      timed_count += latencies.count;
      CHECK(latencies.quantiles_ns.front() <= latencies.quantiles_ns.back());
      CHECK(latencies.quantiles_ns.back() <= latencies.longest_ns);
      CHECK(latencies.longest_ns > 0);
    }
    // Of batches and of calls with many keys there are fewer than of what they consist of.
    if (workload.find("batch") == std::string::npos && workload != "multi_get" &&
        !whole.contains(workload)) {
      CHECK(timed_count == m.operation_count);
    }
  }
}

TEST_CASE("a wrong engine is caught by every workload that its fault concerns",
          "[bench][session]") {
  struct Case {
    Fault fault;
    std::vector<std::string> workloads;
  };
  const std::vector<Case> cases = {
      {Fault::WrongValue,
       {"read_hit",
        "read_8020",
        "read_hot",
        "multi_get",
        "overwrite",
        "erase_random",
        "synced_put",
        "concurrent_read",
        "concurrent_mixed",
        "concurrent_write",
        "read_while_writing",
        "synced_put_threads",
        "hestia_write",
        "hestia_read",
        "ycsb_a",
        "ycsb_b",
        "ycsb_c",
        "ycsb_d",
        "ycsb_e",
        "ycsb_f"}},
      {Fault::LosesPuts, all_but_open_killed()},
      {Fault::FindsAbsentKeys, {"read_miss", "erase_random", "hestia_read"}},
      {Fault::IgnoresOverwrite,
       {"overwrite", "synced_put", "concurrent_mixed", "concurrent_write", "read_while_writing",
        "synced_put_threads", "ycsb_a", "ycsb_b", "ycsb_f"}},
      {Fault::IgnoresErase, {"erase_random"}},
      {Fault::LosesAtClose, {"open_clean"}},
      {Fault::ScanStartsLate, {"seek", "seek10", "ycsb_e"}},
      {Fault::ScanEndsEarly, all_but_open_killed()},
      {Fault::ReverseScanSkips, {"scan_reverse"}},
      {Fault::CompactLoses, {"compact", "scan_compacted"}},
      {Fault::None, {"open_killed"}},
  };
  std::set<std::string> caught;
  for (const Case& wrong : cases) {
    for (const std::string& workload : wrong.workloads) {
      CAPTURE(static_cast<int>(wrong.fault), workload);
      CHECK_THROWS_WITH(run(wrong.fault, {workload}), Catch::StartsWith("faulty: "));
      caught.insert(workload);
    }
  }
  for (const std::string& workload : resolve_workloads({"all"})) {
    CAPTURE(workload);
    CHECK(caught.contains(workload));
  }
}

TEST_CASE("names, aliases and groups stand for workloads", "[bench][workloads]") {
  using Names = std::vector<std::string>;
  CHECK(resolve_workloads({"fillseq", "readrandom"}) == Names{"load_seq", "read_hit"});
  CHECK(resolve_workloads({"hestia"}) == Names{"hestia_write", "hestia_read"});
  CHECK(resolve_workloads({"ycsb"}).size() == 6);
  CHECK(resolve_workloads({"scan", "readseq", "scan"}) == Names{"scan"});
  CHECK(resolve_workloads({}) == resolve_workloads({"default"}));
  CHECK(resolve_workloads({"all"}).size() == workload_list().size());
  CHECK_THROWS_WITH(resolve_workloads({"fillsomething"}), "no workload is called fillsomething");
  CHECK_THROWS(resolve_workloads({""}));
  for (const char* name :
       {"fillseq", "fillrandom", "fillbatch", "fillsync", "overwrite", "readrandom", "readmissing",
        "readhot", "readseq", "readreverse", "seekrandom", "readwhilewriting", "deleterandom"}) {
    CAPTURE(name);
    CHECK(resolve_workloads({name}).size() == 1);
  }
}
