// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/record.hpp"

namespace varve::bench {

template <typename... Arguments>
std::string format(const char* pattern, Arguments... arguments) {
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, pattern, arguments...);
  return buffer;
}

[[nodiscard]] double median(std::vector<double> values);  // 0 of none.
[[nodiscard]] std::string time_text(double ns);
[[nodiscard]] std::string us_text(double ns);               // In us, without the unit; "" for 0.
[[nodiscard]] std::string count_text(std::uint64_t count);  // 10M, 64K, 1234.
[[nodiscard]] double ns_each(double seconds, const Measurement& m);
[[nodiscard]] double rate(const Latencies& l);  // Operations a second.

// A median with its range.
struct Spread {
  double median = 0, low = 0, high = 0;
};
[[nodiscard]] std::optional<Spread> spread(const std::vector<double>& values);  // None of none.

// The rows that are compared with each other.
struct Group {
  std::string workload;
  std::uint32_t thread_count = 0;
  ScalePoint point;
  friend bool operator==(const Group&, const Group&) = default;
};
// A workload's name, its number of threads, if it knows threads, and what a scaling run varied.
[[nodiscard]] std::string label(const Group& group);
// Workload by workload, in the order in which they ran.
[[nodiscard]] std::vector<Group> groups_of(const Record& record);

[[nodiscard]] bool is_own(std::string_view engine);  // Varve, in whichever access mode.
[[nodiscard]] bool is_peer(std::string_view engine);
// The engine with which the others are compared: `varve`, else the freest access mode of a run.
[[nodiscard]] std::string own_engine(const Record& record);

// The measurements of one group with one engine, by repeat.
using Series = std::map<std::uint32_t, Measurement>;
[[nodiscard]] Series series_of(const Record& record, const Group& group, const std::string& engine);

template <typename Figure>
std::vector<double> figures(const Series& series, Figure figure) {
  std::vector<double> values;
  for (const auto& [repeat, m] : series) values.push_back(figure(m));
  return values;
}
[[nodiscard]] std::vector<double> wall_times(const Series& series);  // ns an operation.

// The peer whose median is the lowest of those that have this group; empty: there is none.
[[nodiscard]] std::string best_peer(const Record& record, const Group& group);

// How often the figure of `below` goes into that of `above`: the median, and the smallest and
// largest, of the ratios of the repeats that both have.
template <typename Figure>
std::optional<Spread> ratio_of(const Series& above, const Series& below, Figure figure) {
  std::vector<double> ratios;
  for (const auto& [repeat, m] : below) {
    const auto found = above.find(repeat);
    if (found != above.end()) ratios.push_back(figure(found->second) / figure(m));
  }
  return spread(ratios);
}
[[nodiscard]] std::string ratio_text(const std::optional<Spread>& ratio);
template <typename Figure>
std::string ratio_text(const Series& above, const Series& below, Figure figure) {
  return ratio_text(ratio_of(above, below, figure));
}

// ratio_of() the wall times, `above` and `below`, with the harness's own taken off both; without
// the repeats in which nothing would be left. None without the engine null.
[[nodiscard]] std::optional<Spread> net_ratio(const Record& record, const Group& group,
                                              const Series& above, const Series& below);

// How much of a time is the harness's own, which the engine null shows; none without it.
[[nodiscard]] std::optional<double> harness_share(const Record& record, const Group& group,
                                                  const Series& series);

}  // namespace varve::bench
