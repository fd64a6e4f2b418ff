// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "bench/table.hpp"
#include "bench/text_report.hpp"

namespace varve::bench {
namespace {

constexpr const char* kLegend = R"(
Rates and latencies. per s: operations a second of all threads, background work included, except in
read_while_writing and synced_put_threads, where the clock stops at the last answer; of a kind that
is mixed with others: of that kind. varve x: how many times more Varve does, the median of the
ratios per repeat (min-max). p50 to p99.99: medians over the repeats, in us; longest: of all of
them. A latency is the time from the end of the operation before to the end of this one, so it
contains what null shows. A batch is 1000 puts, a multi_get 32 keys.

)";

// The quantiles that have a column, as indices of kQuantiles.
constexpr std::size_t kShown[] = {0, 2, 4, 6, 8};
static_assert(kQuantiles[kShown[1]] == 0.9 && kQuantiles[kShown[4]] == 0.9999);

std::vector<std::string> row_of(const Group& group, const std::string& engine,
                                const std::string& kind, const Series& series,
                                const std::string& ratio) {
  const auto of_kind = [&](auto figure) {
    return figures(series, [&](const Measurement& m) {
      return static_cast<double>(figure(m.latencies.at(kind)));
    });
  };
  std::vector<std::string> row = {
      label(group), engine, kind,
      format("%.0f", median(of_kind([](const Latencies& l) { return rate(l); }))), ratio};
  for (const std::size_t i : kShown) {
    row.push_back(us_text(median(of_kind([i](const Latencies& l) { return l.quantiles_ns[i]; }))));
  }
  row.push_back(
      us_text(spread(of_kind([](const Latencies& l) { return l.longest_ns; })).value().high));
  return row;
}

bool all_have(const Series& series, const std::string& kind) {
  return std::all_of(series.begin(), series.end(),
                     [&](const auto& entry) { return entry.second.latencies.contains(kind); });
}

}  // namespace

void print_latencies(std::ostream& out, const Record& record) {
  std::vector<std::vector<std::string>> rows = {{"workload", "engine", "what", "per s", "varve x",
                                                 "p50", "p90", "p99", "p99.9", "p99.99",
                                                 "longest"}};
  const std::string own_name = own_engine(record);
  for (const Group& group : groups_of(record)) {
    std::set<std::string> kinds;
    for (const EngineNote& engine : record.engines) {
      for (const auto& [repeat, m] : series_of(record, group, engine.name)) {
        for (const auto& [kind, latencies] : m.latencies) kinds.insert(kind);
      }
    }
    const Series own = series_of(record, group, own_name);
    for (const std::string& kind : kinds) {
      for (const EngineNote& engine : record.engines) {
        const Series series = series_of(record, group, engine.name);
        if (series.empty() || !all_have(series, kind)) continue;
        const bool is_compared = engine.name != kBaseEngine && engine.name != own_name;
        const auto rate_of = [&](const Measurement& m) { return rate(m.latencies.at(kind)); };
        const bool has_ratio = is_compared && !own.empty() && all_have(own, kind);
        rows.push_back(row_of(group, engine.name, kind, series,
                              has_ratio ? ratio_text(own, series, rate_of) : ""));
      }
    }
  }
  if (rows.size() == 1) return;
  out << kLegend;
  print_rows(out, rows, 3);
}

}  // namespace varve::bench
