// SPDX-License-Identifier: Apache-2.0
#include "varve/concurrent/operation_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "tests/support/catch.hpp"

namespace varve::concurrent {
namespace {

using std::chrono::nanoseconds;

double error_of(nanoseconds found, std::uint64_t expected) {
  const auto value = static_cast<double>(expected);
  return std::abs(static_cast<double>(found.count()) - value) / value;
}

}  // namespace

TEST_CASE("nothing recorded is all zeros", "[concurrent][statistics]") {
  const OperationStatistics statistics;
  const OperationSnapshot snapshot = statistics.snapshot();
  CHECK(snapshot.count() == 0);
  CHECK(snapshot.latency_count == 0);
  CHECK(snapshot.p50.count() == 0);
  CHECK(snapshot.p99_99.count() == 0);
  CHECK(snapshot.max.count() == 0);
  CHECK(snapshot.mean.count() == 0);
}

TEST_CASE("successes and failures are counted apart", "[concurrent][statistics]") {
  OperationStatistics statistics;
  for (int i = 0; i < 10; ++i) statistics.record_success();
  statistics.record_failure();
  statistics.record_success(32);
  statistics.record_failure(2);
  const OperationSnapshot snapshot = statistics.snapshot();
  CHECK(snapshot.success_count == 42);
  CHECK(snapshot.failure_count == 3);
  CHECK(snapshot.count() == 45);
  CHECK(snapshot.latency_count == 0);
}

TEST_CASE("a bucket stands for its values to within 3 %", "[concurrent][statistics]") {
  std::size_t index_before = 0;
  const auto check = [&](std::uint64_t value) {
    const std::size_t index = LatencyBuckets::index_of(value);
    CAPTURE(value, index);
    REQUIRE(index < LatencyBuckets::kCount);
    REQUIRE(index >= index_before);
    index_before = index;
    const std::uint64_t found = LatencyBuckets::value_of(index);
    const std::uint64_t error = found > value ? found - value : value - found;
    REQUIRE(static_cast<double>(error) <= 0.03 * static_cast<double>(value));
    REQUIRE(LatencyBuckets::index_of(found) == index);
  };
  for (std::uint64_t value = 0; value < 10'000; ++value) check(value);
  for (std::uint64_t value = 10'000; value < LatencyBuckets::kValueMax; value += value / 1000) {
    check(value);
  }
  check(LatencyBuckets::kValueMax);
  CHECK(index_before == LatencyBuckets::kCount - 1);
  CHECK(LatencyBuckets::index_of(~std::uint64_t{0}) == LatencyBuckets::kCount - 1);
}

TEST_CASE("one latency is every percentile", "[concurrent][statistics]") {
  const std::int64_t value = GENERATE(1, 63, 64, 1000, 123'456'789);
  OperationStatistics statistics;
  statistics.record_latency(nanoseconds(value));
  const OperationSnapshot snapshot = statistics.snapshot();
  CHECK(snapshot.latency_count == 1);
  CHECK(snapshot.max.count() == value);
  CHECK(snapshot.mean.count() == value);
  for (const nanoseconds found : {snapshot.p50, snapshot.p90, snapshot.p99, snapshot.p99_99}) {
    CHECK(error_of(found, static_cast<std::uint64_t>(value)) <= 0.03);
    CHECK(found <= snapshot.max);
  }
}

TEST_CASE("a percentile is the smallest value that so many do not exceed",
          "[concurrent][statistics]") {
  OperationStatistics statistics;
  // 1 to 10, exact buckets: half are at most 5.
  for (int value = 1; value <= 10; ++value) statistics.record_latency(nanoseconds(value));
  const OperationSnapshot snapshot = statistics.snapshot();
  CHECK(snapshot.p50.count() == 5);
  CHECK(snapshot.p90.count() == 9);
  CHECK(snapshot.p99.count() == 10);
  CHECK(snapshot.mean.count() == 5);
}

TEST_CASE("percentiles of a wide distribution are right to within 3 %",
          "[concurrent][statistics]") {
  OperationStatistics statistics;
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> distribution(9.0, 2.0);
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(static_cast<std::uint64_t>(distribution(random)) + 1);
    statistics.record_latency(nanoseconds(values.back()));
  }
  std::sort(values.begin(), values.end());
  const OperationSnapshot snapshot = statistics.snapshot();
  CHECK(snapshot.latency_count == values.size());
  CHECK(error_of(snapshot.p50, values[50'000 - 1]) <= 0.03);
  CHECK(error_of(snapshot.p90, values[90'000 - 1]) <= 0.03);
  CHECK(error_of(snapshot.p99, values[99'000 - 1]) <= 0.03);
  CHECK(error_of(snapshot.p99_9, values[99'900 - 1]) <= 0.03);
  CHECK(error_of(snapshot.p99_99, values[99'990 - 1]) <= 0.03);
  CHECK(static_cast<std::uint64_t>(snapshot.max.count()) == values.back());
}

TEST_CASE("latencies are counted below each power of two", "[concurrent][statistics]") {
  LatencyHistogram histogram;
  for (const std::int64_t value : {0, 255, 256, 511, 512, 1 << 30}) {
    histogram.record(nanoseconds(value));
  }
  histogram.record(std::chrono::hours(2));
  OperationSnapshot found;
  histogram.describe(found);
  CHECK(found.latencies_below[0] == 2);  // 256 ns
  CHECK(found.latencies_below[1] == 4);
  CHECK(found.latencies_below[2] == 5);
  CHECK(found.latencies_below[30 - 8] == 5);
  CHECK(found.latencies_below[31 - 8] == 6);
  CHECK(found.latencies_below.back() == 6);
  CHECK(found.latency_count == 7);
}

TEST_CASE("latencies out of range are kept in it", "[concurrent][statistics]") {
  OperationStatistics statistics;
  statistics.record_latency(nanoseconds(-5));
  CHECK(statistics.snapshot().max.count() == 0);
  CHECK(statistics.snapshot().p50.count() == 0);
  statistics.record_latency(std::chrono::hours(10));
  const OperationSnapshot snapshot = statistics.snapshot();
  CHECK(snapshot.max == std::chrono::hours(10));
  CHECK(snapshot.p99.count() > std::int64_t{1} << 41);
}

TEST_CASE("one call in 64 is sampled, whatever alternates", "[concurrent][statistics]") {
  constexpr int kCount = 640'000;
  int sampled[2] = {0, 0};
  for (int i = 0; i < kCount; ++i) {
    if (OperationStatistics::should_sample()) ++sampled[i % 2];
  }
  for (const int count : sampled) {
    CHECK(count > kCount / 128 * 9 / 10);
    CHECK(count < kCount / 128 * 11 / 10);
  }
}

}  // namespace varve::concurrent
