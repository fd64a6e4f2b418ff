// SPDX-License-Identifier: Apache-2.0
#include "varve/prometheus.hpp"

#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

// The samples of a text, by name with labels. Checks the format by rules of its own: each family
// has its HELP and TYPE once and before its samples, and its samples together; no sample twice.
std::map<std::string, double> parse(const std::string& text) {
  static const std::regex kSample(
      R"re(([a-z_]+)(\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="([^"\\]|\\.)*")*\})? ([-+0-9.e]+))re");
  std::map<std::string, double> samples;
  std::set<std::string> families;
  std::string family, type;
  REQUIRE(text.ends_with('\n'));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    std::istringstream words(line);
    std::string hash, what, name;
    words >> hash >> what >> name;
    if (hash == "#" && what == "HELP") {
      CHECK(families.insert(name).second);
      family = name;
      type.clear();
      CHECK(name.starts_with("varve_"));
    } else if (hash == "#" && what == "TYPE") {
      CHECK(name == family);
      words >> type;
      CHECK((type == "counter" || type == "gauge" || type == "histogram"));
      CHECK((type == "counter") == name.ends_with("_total"));
    } else {
      std::smatch match;
      REQUIRE(std::regex_match(line, match, kSample));
      const std::string sample = match[1].str();
      CHECK_FALSE(type.empty());
      if (type == "histogram") {
        CHECK((sample == family + "_bucket" || sample == family + "_sum" ||
               sample == family + "_count"));
      } else {
        CHECK(sample == family);
      }
      const double value = std::strtod(match[6].str().c_str(), nullptr);
      CHECK(samples.emplace(sample + match[2].str(), value).second);
    }
  }
  return samples;
}

}  // namespace

TEST_CASE("figures become samples in seconds and bytes", "[lib][prometheus]") {
  Statistics figures;
  figures.uuid = "u-1";
  figures.operations.get.success_count = 7;
  figures.operations.get.failure_count = 2;
  figures.operations.put.latency_count = 3;
  figures.operations.put.p99 = std::chrono::microseconds(1'500);
  figures.operations.put.sum = std::chrono::milliseconds(2);
  figures.operations.put.latencies_below[3] = 1;
  figures.operations.put.latencies_below[4] = 3;
  figures.paced_microseconds = 2'500'000;
  figures.disk_size = (std::uint64_t{1} << 60) + 1;
  figures.runs.segment_count = 2;
  figures.runs.run_count = 5;
  figures.last_job_failure = "no space";
  figures.space = {.is_short = true,
                   .short_microseconds = 1'500'000,
                   .shortage = "log-7.varve",
                   .shortage_count = 3,
                   .reserve_size = 4096};
  const std::string text = to_prometheus(figures);
  auto samples = parse(text);
  CHECK(samples.at("varve_index_info{uuid=\"u-1\"}") == 1);
  CHECK(samples.at("varve_operations_total{operation=\"get\",result=\"ok\"}") == 7);
  CHECK(samples.at("varve_operations_total{operation=\"get\",result=\"failed\"}") == 2);
  CHECK(samples.at("varve_operations_total{operation=\"compact\",result=\"ok\"}") == 0);
  const std::string latency = "varve_operation_latency_seconds";
  CHECK(samples.at(latency + "_count{operation=\"put\"}") == 3);
  CHECK(samples.at(latency + "_sum{operation=\"put\"}") == 0.002);
  CHECK(samples.at(latency + "_bucket{operation=\"put\",le=\"2.048e-06\"}") == 1);
  CHECK(samples.at(latency + "_bucket{operation=\"put\",le=\"4.096e-06\"}") == 3);
  CHECK(samples.at(latency + "_bucket{operation=\"put\",le=\"+Inf\"}") == 3);
  CHECK(
      samples.at("varve_operation_latency_quantile_seconds{operation=\"put\",quantile=\"0.99\"}") ==
      0.0015);
  CHECK(samples.at("varve_paced_seconds_total") == 2.5);
  CHECK(samples.at("varve_read_amplification") == 2.5);
  CHECK(samples.at("varve_job_failing") == 1);
  CHECK(samples.at("varve_short_of_space") == 1);
  CHECK(samples.at("varve_short_of_space_seconds") == 1.5);
  CHECK(samples.at("varve_space_shortages_total") == 3);
  CHECK(samples.at("varve_reserve_bytes") == 4096);
  // Counts are not rounded.
  CHECK(text.find("\nvarve_disk_bytes 1152921504606846977\n") != std::string::npos);
}

TEST_CASE("several indexes are told apart by their names, and families stay together",
          "[lib][prometheus]") {
  Statistics one, two;
  one.put_count = 1;
  two.put_count = 2;
  const std::vector<NamedStatistics> both = {{"orders", &one}, {"a \"b\"\\c\nd", &two}};
  auto samples = parse(to_prometheus(both));
  CHECK(samples.at("varve_keys_put_total{index=\"orders\"}") == 1);
  CHECK(samples.at("varve_keys_put_total{index=\"a \\\"b\\\"\\\\c\\nd\"}") == 2);
  CHECK(samples.contains("varve_log_flush_latency_seconds_sum{index=\"orders\"}"));
  CHECK(to_prometheus(std::span<const NamedStatistics>(both).first(1)) ==
        to_prometheus(one, "orders"));
}

TEST_CASE("locks are told of where they are watched", "[lib][prometheus]") {
  Options options = tiny_options();
  options.access = Access::Concurrent;
  CHECK(SegmentIndex::open_in_memory(options).statistics().locks.classes.empty());
  CHECK(to_prometheus(Statistics()).find("varve_lock_") == std::string::npos);
  options.lock_health.enabled = true;
  SegmentIndex index = SegmentIndex::open_in_memory(options);
  for (int i = 0; i < 10'000; ++i) index.put("key" + std::to_string(i), "value");
  Statistics watched = index.statistics();
  REQUIRE_FALSE(watched.locks.classes.empty());
  watched.locks.classes[0].name = "first";
  watched.locks.classes[0].wait.max = std::chrono::seconds(3);
  Statistics unwatched;
  const NamedStatistics both[] = {{"a", &unwatched}, {"b", &watched}};
  auto samples = parse(to_prometheus(both));
  CHECK(samples.at("varve_lock_acquisitions_total{index=\"b\",lock=\"segment\"}") > 5'000);
  CHECK(samples.at("varve_lock_timeouts_total{index=\"b\",lock=\"log\"}") == 0);
  CHECK(samples.at("varve_lock_wait_quantile_seconds{index=\"b\",lock=\"first\",quantile=\"1\"}") ==
        3);
  CHECK(samples.contains(
      "varve_lock_hold_quantile_seconds{index=\"b\",lock=\"log\",quantile=\"0.5\"}"));
}

TEST_CASE("a running index's histograms ascend, and its files tell their part",
          "[lib][prometheus]") {
  TemporaryDirectory temporary;
  const auto path = temporary.path() / "i";
  SegmentIndex index = SegmentIndex::open(path, tiny_options());
  for (int i = 1; i < 5'000; ++i) index.put("key" + std::to_string(i), "value");
  index.compact();
  index.put("key0", "value");  // In the log.
  const Statistics figures = index.statistics();
  auto samples = parse(to_prometheus(figures));
  CHECK(samples.at("varve_operations_total{operation=\"put\",result=\"ok\"}") == 5'000);
  const concurrent::OperationSnapshot& put = figures.operations.put;
  CHECK(put.latency_count > 0);
  for (std::size_t i = 1; i < put.latencies_below.size(); ++i) {
    CHECK(put.latencies_below[i] >= put.latencies_below[i - 1]);
  }

  const FileStatistics files = file_statistics(path);
  CHECK(files.lock.state == LockState::LockedByUs);
  CHECK(files.uuid == figures.uuid);
  CHECK(files.manifest_edit == figures.manifest_edit);
  CHECK(files.last_sequence + 1 == figures.last_sequence);  // The manifest does not know the put.
  CHECK(files.runs.segment_count == figures.runs.segment_count);
  CHECK(files.runs.run_count == figures.runs.run_count);
  CHECK(files.runs.run_count_max == figures.runs.run_count_max);
  CHECK(files.runs.delta_run_count == figures.runs.delta_run_count);
  CHECK(files.runs.main_runs_size == figures.runs.main_runs_size);
  CHECK(files.runs.delta_runs_size == figures.runs.delta_runs_size);
  CHECK(files.runs.run_entry_count == figures.runs.run_entry_count);
  CHECK(files.disk_size == figures.disk_size);
  CHECK(files.log_disk_size == figures.log_disk_size);
  CHECK(files.live_log_count > 0);
  CHECK_FALSE(files.closed_cleanly);
  samples = parse(to_prometheus(files, "i"));
  CHECK(samples.at("varve_held{index=\"i\"}") == 1);
  CHECK(samples.at("varve_run_entries{index=\"i\"}") == 4'999);
  index.close();
  CHECK(file_statistics(path).lock.state == LockState::Unlocked);
  CHECK(file_statistics(path).closed_cleanly);
  CHECK(file_statistics(path).live_log_count == 0);
}

TEST_CASE("a look at files finds no index, or a damaged one", "[lib][prometheus]") {
  TemporaryDirectory temporary;
  const auto path = temporary.path() / "i";
  CHECK(error_of([&] { static_cast<void>(file_statistics(path)); }) == ErrorCode::NotFound);
  std::filesystem::create_directory(path);
  CHECK(error_of([&] { static_cast<void>(file_statistics(path)); }) == ErrorCode::NotFound);
  SegmentIndex::open(path, tiny_options()).put("key", "value");
  std::filesystem::resize_file(path / "MANIFEST", 10);
  CHECK(error_of([&] { static_cast<void>(file_statistics(path)); }) == ErrorCode::Corruption);
  std::filesystem::remove(path / "MANIFEST");
  std::filesystem::rename(path / "LOCK", path / "log-9.varve");
  CHECK(error_of([&] { static_cast<void>(file_statistics(path)); }) == ErrorCode::Corruption);
}

}  // namespace varve::test
