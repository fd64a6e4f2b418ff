// SPDX-License-Identifier: Apache-2.0
#include "bench/table.hpp"

namespace varve::bench {
namespace {

constexpr const char* kLegend = R"(
Rates and latencies, for the workloads that measure them. per s: operations a second of all threads,
background work included, except in read_while_writing and synced_put_threads, where the clock stops
at the last answer; varve x: how many times more Varve does, the median of the ratios per repeat
(min-max). p50 to p99.99: medians over the repeats, in us; longest: of all repeats. A latency is the
time from the end of the operation before to the end of this one, so it contains what null shows.
The longest of overwrite is the longest 16 puts in a row: an upper bound of the longest put.

)";

using Kind = Latencies Measurement::*;

double rate(const Latencies& l) {
  return l.seconds > 0 ? static_cast<double>(l.count) / l.seconds : 0;
}

std::string us_text(double ns) {
  return ns == 0 ? "" : format(ns < 1e4 ? "%.2f" : ns < 1e6 ? "%.1f" : "%.0f", ns / 1e3);
}

std::vector<std::string> row_of(const Group& group, const std::string& engine, Kind kind,
                                const Series& series, const std::string& ratio) {
  const auto quantile = [&](std::uint64_t Latencies::*member) {
    return us_text(median(
        figures(series, [&](const auto& m) { return static_cast<double>((m.*kind).*member); })));
  };
  const auto longest =
      figures(series, [&](const auto& m) { return static_cast<double>((m.*kind).longest_ns); });
  const auto rates = figures(series, [&](const auto& m) { return rate(m.*kind); });
  return {label(group.workload, group.thread_count),
          engine,
          kind == &Measurement::reads ? "gets" : "puts",
          format("%.0f", median(rates)),
          ratio,
          quantile(&Latencies::p50_ns),
          quantile(&Latencies::p99_ns),
          quantile(&Latencies::p999_ns),
          quantile(&Latencies::p9999_ns),
          us_text(*std::max_element(longest.begin(), longest.end()))};
}

}  // namespace

void print_latencies(std::ostream& out, const Run& run, const std::vector<EngineKind>& engines) {
  std::vector<std::vector<std::string>> rows = {{"workload", "engine", "what", "per s", "varve x",
                                                 "p50", "p99", "p99.9", "p99.99", "longest"}};
  const std::string own_name = own_engine(engines);
  for (const Group& group : groups_of(run)) {
    const Series own = series_of(run, group, own_name);
    for (const Kind kind : {&Measurement::reads, &Measurement::writes}) {
      for (const EngineKind& engine : engines) {
        const Series series = series_of(run, group, engine.name);
        if (series.empty() || (series.begin()->second.*kind).count == 0) continue;
        const bool is_peer = engine.name != kBaseEngine && engine.name != own_name;
        const auto rate_of = [&](const Measurement& m) { return rate(m.*kind); };
        rows.push_back(row_of(group, engine.name, kind, series,
                              is_peer ? ratio_text(own, series, rate_of) : ""));
      }
    }
  }
  if (rows.size() == 1) return;
  out << kLegend;
  print_rows(out, rows, 3);
}

}  // namespace varve::bench
