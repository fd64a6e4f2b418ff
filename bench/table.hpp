// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "bench/runner.hpp"

namespace varve::bench {

inline constexpr const char* kBaseEngine = "null";

template <typename... Arguments>
std::string format(const char* pattern, Arguments... arguments) {
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, pattern, arguments...);
  return buffer;
}

[[nodiscard]] double median(std::vector<double> values);
[[nodiscard]] std::string time_text(double ns);

// The rows that are compared with each other.
struct Group {
  std::string workload;
  std::uint32_t thread_count = 0;
};
[[nodiscard]] std::vector<Group> groups_of(const Run& run);  // In the order of workload_list().

// The engine with which the others are compared: `varve`, else the freest access mode of a run.
[[nodiscard]] std::string own_engine(const std::vector<EngineKind>& engines);

// The measurements of one group with one engine, by repeat.
using Series = std::map<std::uint32_t, Measurement>;
[[nodiscard]] Series series_of(const Run& run, const Group& group, const std::string& engine);

template <typename Figure>
std::vector<double> figures(const Series& series, Figure figure) {
  std::vector<double> values;
  for (const auto& [repeat, m] : series) values.push_back(figure(m));
  return values;
}

// How often the figure of `below` goes into that of `above`: the median, and the smallest and
// largest, of the ratios of the repeats that both have.
template <typename Figure>
std::string ratio_text(const Series& above, const Series& below, Figure figure) {
  std::vector<double> ratios;
  for (const auto& [repeat, m] : below) {
    const auto found = above.find(repeat);
    if (found != above.end()) ratios.push_back(figure(found->second) / figure(m));
  }
  if (ratios.empty()) return "";
  const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
  if (ratios.size() == 1) return format("%.2f", ratios[0]);
  return format("%.2f (%.2f-%.2f)", median(ratios), *low, *high);
}

// A Markdown table whose first row is its head and whose first `text_count` columns are text.
void print_rows(std::ostream& out, const std::vector<std::vector<std::string>>& rows,
                std::size_t text_count = 2);

// Rates and latencies of the measurements that have any; nothing when none has.
void print_latencies(std::ostream& out, const Run& run, const std::vector<EngineKind>& engines);

}  // namespace varve::bench
