// SPDX-License-Identifier: Apache-2.0
#include "bench/table.hpp"

#include <set>

namespace varve::bench {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string time_text(double ns) {
  return ns >= 1e6 ? format("%.0f us", ns / 1e3) : format(ns < 100 ? "%.1f" : "%.0f", ns);
}

std::vector<Group> groups_of(const Run& run) {
  std::vector<Group> groups;
  for (const Workload& workload : workload_list()) {
    std::set<std::uint32_t> thread_counts;
    for (const Result& result : run.results) {
      if (result.workload == workload.name) thread_counts.insert(result.measurement.thread_count);
    }
    for (const std::uint32_t count : thread_counts) groups.push_back({workload.name, count});
  }
  return groups;
}

std::string own_engine(const std::vector<EngineKind>& engines) {
  for (const char* name : {"varve", "varve-concurrent", "varve-sync", "varve-bare"}) {
    for (const EngineKind& kind : engines) {
      if (kind.name == name) return name;
    }
  }
  return "none";
}

Series series_of(const Run& run, const Group& group, const std::string& engine) {
  Series series;
  for (const Result& result : run.results) {
    if (result.workload == group.workload && result.engine == engine &&
        result.measurement.thread_count == group.thread_count) {
      series[result.repeat] = result.measurement;
    }
  }
  return series;
}

void print_rows(std::ostream& out, const std::vector<std::vector<std::string>>& rows,
                std::size_t text_count) {
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const auto print = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      out << "| " << (i < text_count ? row[i] + padding : padding + row[i]) << ' ';
    }
    out << "|\n";
  };
  print(rows[0]);
  for (std::size_t i = 0; i < widths.size(); ++i) {
    out << '|' << std::string(widths[i] + 1, '-') << (i < text_count ? "-" : ":");
  }
  out << "|\n";
  for (std::size_t i = 1; i < rows.size(); ++i) print(rows[i]);
}

}  // namespace varve::bench
