// SPDX-License-Identifier: Apache-2.0
#include "bench/latency.hpp"

#include <vector>

#include "bench/measurement.hpp"
#include "tests/support/catch.hpp"

using varve::bench::kQuantiles;
using varve::bench::Latencies;
using varve::bench::LatencyHistogram;
using varve::bench::summary;

TEST_CASE("every time lies in a bucket that is at most a sixty-fourth wider than the time",
          "[bench][latency]") {
  std::vector<std::uint64_t> times = {0, 1, 63, 64, 127, 128, 129, LatencyHistogram::kTimeMax};
  for (unsigned bit = 8; bit < 42; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    times.insert(times.end(), {power - 1, power, power + 1, power + power / 3});
  }
  for (const std::uint64_t ns : times) {
    CAPTURE(ns);
    const std::size_t bucket = LatencyHistogram::bucket_of(ns);
    CHECK(LatencyHistogram::end_of(bucket) >= ns);
    CHECK(LatencyHistogram::end_of(bucket) <= ns + ns / 64);
    if (bucket > 0) CHECK(LatencyHistogram::end_of(bucket - 1) < ns);
  }
}

TEST_CASE("a quantile is the time that so many did not exceed", "[bench][latency]") {
  LatencyHistogram low, high;
  for (std::uint64_t ns = 1; ns <= 100; ++ns) low.add(ns);
  CHECK(low.quantile(0.5) == 50);
  CHECK(low.quantile(0.99) == 99);
  CHECK(low.quantile(1) == 100);
  for (int i = 0; i < 100; ++i) high.add(1'000'000);
  low.add(high);
  CHECK(low.count() == 200);
  CHECK(low.quantile(0.5) == 100);
  CHECK(low.quantile(0.51) == 1'000'000);  // Not beyond the longest, though its bucket ends there.
  CHECK(low.longest() == 1'000'000);
}

TEST_CASE("a summary has the time of each quantile and the longest", "[bench][latency]") {
  LatencyHistogram times;
  for (std::uint64_t ns = 1; ns <= 100'000; ++ns) times.add(ns);
  const Latencies latencies = summary(times, 2);
  CHECK(latencies.count == 100'000);
  CHECK(latencies.seconds == 2);
  CHECK(latencies.longest_ns == 100'000);
  for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
    CAPTURE(kQuantiles[i]);
    const double exact = kQuantiles[i] * 100'000;
    CHECK(static_cast<double>(latencies.quantiles_ns[i]) >= exact);
    CHECK(static_cast<double>(latencies.quantiles_ns[i]) <= exact * (1 + 1.0 / 64));
  }
}

TEST_CASE("without times all figures are zero, and too long a time is cut", "[bench][latency]") {
  LatencyHistogram times;
  CHECK(times.quantile(0.99) == 0);
  CHECK(times.longest() == 0);
  times.add(~std::uint64_t{0});
  CHECK(times.longest() == LatencyHistogram::kTimeMax);
}
