// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <sstream>
#include <string>

#include "bench/record_json.hpp"
#include "bench/table.hpp"
#include "bench/text_report.hpp"
#include "tests/bench/sample_record.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace varve::bench;
using varve::test::add_results;
using varve::test::sample_record;
using varve::test::sample_result;
using varve::test::TemporaryDirectory;

namespace {

std::string json_of(const Record& record) {
  std::ostringstream out;
  write_json(out, record);
  return out.str();
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

struct Files {
  TemporaryDirectory temporary;
  [[nodiscard]] std::filesystem::path write(const std::string& text) const {
    const auto path = temporary.path() / "record.json";
    std::ofstream(path) << text;
    return path;
  }
};

}  // namespace

TEST_CASE_METHOD(Files, "a record survives its file", "[bench][record]") {
  Record record = sample_record();
  record.results.push_back(
      sample_result(1, "varve", "scan", 3.25, 4, {"entries", 400'000'000'000}));
  record.failures.push_back({2, "slow", "a message with \xff and \"quotes\""});
  const std::string text = json_of(record);
  const Record again = read_json(write(text));
  CHECK(json_of(again) == text);
  const Measurement& m = again.results.back().measurement;
  CHECK(m.thread_count == 4);
  CHECK(again.results.back().point == ScalePoint{"entries", 400'000'000'000});
  CHECK(m.wall_seconds == record.results.back().measurement.wall_seconds);
  CHECK(m.latencies.at("get").quantiles_ns[8] == 27);
  CHECK(again.settings.entry_count == 1000);
  CHECK(again.machine.memory_size == std::uint64_t{24} << 30);
}

TEST_CASE_METHOD(Files, "what is no record of this schema is refused with its file's name",
                 "[bench][record]") {
  const std::string text = json_of(sample_record());
  const auto error_of = [&](const std::string& changed) -> std::string {
    try {
      static_cast<void>(read_json(write(changed)));
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "none";
  };
  CHECK(error_of(text) == "none");
  CHECK(error_of(replaced(text, "\"schema\": 1", "\"schema\": 2")).find("schema 2") !=
        std::string::npos);
  for (const std::string& changed :
       {std::string(), std::string("{}"), text.substr(0, text.size() / 2),
        replaced(text, "\"wall_seconds\"", "\"wall_minutes\""),
        replaced(text, "\"operation_count\": 1000", "\"operation_count\": \"many\"")}) {
    CHECK(error_of(changed).find("record.json is no record") != std::string::npos);
  }
  CHECK_THROWS_WITH(read_json(temporary.path() / "absent"), Catch::StartsWith("cannot read "));
}

TEST_CASE("a session's messages are read as they were meant", "[bench][record]") {
  const Result result = sample_result(0, "varve", "read_hit", 12);
  const std::string line = encode_measurement("read_hit", result.measurement);
  CHECK(line.find('\n') == line.size() - 1);
  const SessionMessage measured = decode_message(line);
  CHECK(measured.workload == "read_hit");
  CHECK(measured.measurement.user_size == 100'000);
  CHECK(decode_message(encode_failure("two\nlines")).failure == "two\nlines");
  CHECK(decode_message(encode_failure("two\nlines")).workload.empty());
  CHECK(decode_message("{\"half").failure == "{\"half");
  CHECK(encode_failure("two\nlines").find('\n') == encode_failure("two\nlines").size() - 1);
}

TEST_CASE("medians, ratios per repeat, the best peer and the harness's share", "[bench][table]") {
  CHECK(median({}) == 0);
  CHECK(median({3, 1, 2}) == 2);
  CHECK(median({4, 1, 2, 3}) == 2.5);
  Record record = sample_record();
  const Group group{"read_hit", 0, {}};
  CHECK(groups_of(record) == std::vector<Group>{group});
  CHECK(best_peer(record, group) == "fast");
  const Series own = series_of(record, group, "varve"), fast = series_of(record, group, "fast");
  CHECK(harness_share(record, group, own) == Approx(0.1));
  const auto each = [](const Measurement& m) { return ns_each(m.wall_seconds, m); };
  const Spread ratio = ratio_of(fast, own, each).value();
  CHECK(ratio.low == Approx(2));
  CHECK(ratio.high == Approx(2));
  const Spread net = net_ratio(record, group, fast, own).value();
  CHECK(net.low == Approx(190.0 / 90));
  CHECK(net.high == Approx(190.0 / 90));
  CHECK_FALSE(net_ratio(record, group, series_of(record, group, "null"), own).has_value());

  record.results.clear();
  add_results(record, "varve", "scan", {1, 2, 4});
  add_results(record, "fast", "scan", {3, 2, 2, 100});
  const Group scan{"scan", 0, {}};
  const Spread scans =
      ratio_of(series_of(record, scan, "fast"), series_of(record, scan, "varve"), each).value();
  CHECK(scans.median == Approx(1));
  CHECK(scans.low == Approx(0.5));
  CHECK(scans.high == Approx(3));
  CHECK_FALSE(harness_share(record, scan, series_of(record, scan, "varve")).has_value());
  CHECK(best_peer(record, group).empty());
}

TEST_CASE("groups stand workload by workload, with what varies in their names", "[bench][table]") {
  Record record;
  add_results(record, "varve", "b", {1}, 1);
  add_results(record, "varve", "a", {1}, 1, {"entries", 1000});
  add_results(record, "varve", "b", {1}, 2);
  add_results(record, "varve", "a", {1}, 1, {"entries", 2'000'000});
  std::string labels;
  for (const Group& group : groups_of(record)) labels += label(group) + ";";
  CHECK(labels == "b@1;b@2;a@1 entries=1K;a@1 entries=2M;");
}

TEST_CASE("the text report says what the record holds", "[bench][report]") {
  Record record = sample_record();
  record.failures.push_back({1, "slow", "it broke"});
  std::ostringstream out;
  print_text_report(out, record);
  const std::string text = out.str();
  CAPTURE(text);
  for (const char* part :
       {"commit 0123456789ab", "A processor, 2 cores, 24 GiB", "1000 entries, hash16 keys",
        "- slow: 7; options <a> & b; ASSERTIONS ARE COMPILED IN",
        "| read_hit | fast   |  200 |  180-220 |", "|  2.00 * |  2.11 |", "|  10.0 % |",
        "|   2.50 |    3 |  1.50 |", "FAILED: slow, repeat 2: it broke"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}
