// SPDX-License-Identifier: Apache-2.0
#include "bench/compare.hpp"

#include <sstream>

#include "tests/bench/sample_record.hpp"
#include "tests/support/catch.hpp"

using namespace varve::bench;
using varve::test::add_results;
using varve::test::sample_record;

namespace {

Record record_of(std::vector<double> varve_scan) {
  Record record = sample_record();
  record.results.clear();
  add_results(record, "varve", "scan", std::move(varve_scan));
  return record;
}

Verdict verdict(std::vector<double> before, std::vector<double> after, double threshold = 0.05) {
  const auto changes =
      compare(record_of(std::move(before)), record_of(std::move(after)), threshold);
  REQUIRE(changes.size() == 1);
  return changes[0].verdict;
}

}  // namespace

TEST_CASE("only what is outside both the ranges and the threshold is a change",
          "[bench][compare]") {
  CHECK(verdict({100, 101, 102}, {100, 101, 102}) == Verdict::Noise);
  CHECK(verdict({100, 101, 102}, {80, 81, 82}) == Verdict::Faster);
  CHECK(verdict({100, 101, 102}, {120, 121, 122}) == Verdict::Slower);
  CHECK(verdict({100, 101, 130}, {120, 121, 122}) == Verdict::Noise);  // The ranges overlap.
  CHECK(verdict({100, 101, 102}, {90, 121, 122}) == Verdict::Noise);
  CHECK(verdict({100, 101, 102}, {103, 104, 105}) == Verdict::Noise);  // 3 %.
  CHECK(verdict({100, 101, 102}, {103, 104, 105}, 0.01) == Verdict::Slower);
  CHECK(verdict({103, 104, 105}, {100, 101, 102}, 0.01) == Verdict::Faster);
  CHECK(verdict({100}, {130}) == Verdict::Slower);
}

TEST_CASE("what one record lacks is missing, and groups are told apart", "[bench][compare]") {
  Record before = sample_record(), after = sample_record();
  add_results(before, "varve", "scan", {10}, 0, {"entries", 1000});
  add_results(after, "varve", "scan", {10}, 0, {"entries", 2000});
  add_results(after, "varve", "scan", {10}, 4);
  after.engines.push_back({"new", "1", "", ""});
  add_results(after, "new", "read_hit", {10});
  std::string text;
  for (const Change& change : compare(before, after, 0.05)) {
    text += change.workload + " " + change.engine + " " + to_string(change.verdict) + "\n";
  }
  CHECK(text ==
        "read_hit null within noise\nread_hit varve within noise\nread_hit slow within noise\n"
        "read_hit fast within noise\nread_hit new missing\nscan entries=1K varve missing\n"
        "scan entries=2K varve missing\nscan@4 varve missing\n");
}

TEST_CASE("what makes records hard to compare is said", "[bench][compare]") {
  const Record before = sample_record();
  CHECK(differences(before, before).empty());
  Record after = before;
  after.machine.core_count = 8;
  after.settings.entry_count = 5;
  after.engines[2].version = "9";
  after.failures.push_back({0, "fast", "broke"});
  const auto lines = differences(before, after);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].find("8 cores") != std::string::npos);
  CHECK(lines[1].find("5 entries") != std::string::npos);
  CHECK(lines[2].find("slow: 7;") == 0);
  CHECK(lines[3] == "second record: FAILED: fast: broke");
  std::ostringstream out;
  print_comparison(out, before, after, compare(before, after, 0.05));
  CHECK(out.str().find("DIFFERS: slow: 7;") != std::string::npos);
  CHECK(out.str().find("| read_hit | varve  | within noise |  100 (90.0-110) |  100 (90.0-110) | "
                       "+0.0 % |") != std::string::npos);
}
