// SPDX-License-Identifier: Apache-2.0
#include "bench/table.hpp"

namespace varve::bench {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::optional<Spread> spread(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return Spread{median(values), *low, *high};
}

std::string time_text(double ns) {
  return ns >= 1e6 ? format("%.0f us", ns / 1e3) : format(ns < 100 ? "%.1f" : "%.0f", ns);
}

std::string us_text(double ns) {
  return ns == 0 ? "" : format(ns < 1e4 ? "%.2f" : ns < 1e6 ? "%.1f" : "%.0f", ns / 1e3);
}

std::string count_text(std::uint64_t count) {
  if (count >= 1'000'000 && count % 1'000'000 == 0) return std::to_string(count / 1'000'000) + "M";
  if (count >= 1024 && count % (1 << 20) == 0) return std::to_string(count >> 20) + "Mi";
  if (count >= 1024 && count % 1024 == 0) return std::to_string(count >> 10) + "Ki";
  if (count >= 1000 && count % 1000 == 0) return std::to_string(count / 1000) + "K";
  return std::to_string(count);
}

double ns_each(double seconds, const Measurement& m) {
  return seconds * 1e9 / static_cast<double>(std::max<std::uint64_t>(m.operation_count, 1));
}

double rate(const Latencies& l) {
  return l.seconds > 0 ? static_cast<double>(l.count) / l.seconds : 0;
}

std::string label(const Group& group) {
  std::string text = group.workload;
  if (group.thread_count > 0) text += "@" + std::to_string(group.thread_count);
  if (!group.point.parameter.empty()) {
    text += " " + group.point.parameter + "=" + count_text(group.point.value);
  }
  return text;
}

std::vector<Group> groups_of(const Record& record) {
  std::vector<std::string> workloads;
  std::vector<Group> groups;
  for (const Result& result : record.results) {
    const Group group{result.workload, result.measurement.thread_count, result.point};
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
    if (std::find(workloads.begin(), workloads.end(), result.workload) == workloads.end()) {
      workloads.push_back(result.workload);
    }
  }
  const auto rank = [&](const Group& group) {
    return std::find(workloads.begin(), workloads.end(), group.workload) - workloads.begin();
  };
  std::stable_sort(groups.begin(), groups.end(),
                   [&](const Group& a, const Group& b) { return rank(a) < rank(b); });
  return groups;
}

bool is_own(std::string_view engine) {
  return engine.starts_with("varve");
}
bool is_peer(std::string_view engine) {
  return engine != kBaseEngine && !is_own(engine);
}

std::string own_engine(const Record& record) {
  for (const char* name : {"varve", "varve-concurrent", "varve-sync", "varve-bare"}) {
    for (const EngineNote& engine : record.engines) {
      if (engine.name == name) return name;
    }
  }
  return "none";
}

Series series_of(const Record& record, const Group& group, const std::string& engine) {
  Series series;
  for (const Result& result : record.results) {
    if (result.engine == engine && result.workload == group.workload &&
        result.point == group.point && result.measurement.thread_count == group.thread_count) {
      series[result.repeat] = result.measurement;
    }
  }
  return series;
}

std::vector<double> wall_times(const Series& series) {
  return figures(series, [](const Measurement& m) { return ns_each(m.wall_seconds, m); });
}

std::string best_peer(const Record& record, const Group& group) {
  std::string best;
  double best_time = 0;
  for (const EngineNote& engine : record.engines) {
    if (!is_peer(engine.name)) continue;
    const Series series = series_of(record, group, engine.name);
    if (series.empty()) continue;
    const double time = median(wall_times(series));
    if (best.empty() || time < best_time) {
      best = engine.name;
      best_time = time;
    }
  }
  return best;
}

std::string ratio_text(const std::optional<Spread>& ratio) {
  if (!ratio) return "";
  const std::string low = format("%.2f", ratio->low), high = format("%.2f", ratio->high);
  const std::string middle = format("%.2f", ratio->median);
  return low == high ? middle : middle + " (" + low + "-" + high + ")";
}

std::optional<Spread> net_ratio(const Record& record, const Group& group, const Series& above,
                                const Series& below) {
  const auto net_times = [&, base = series_of(record, group, kBaseEngine)](const Series& series) {
    std::map<std::uint32_t, double> times;
    for (const auto& [repeat, m] : series) {
      const auto found = base.find(repeat);
      if (found == base.end()) continue;
      const double net =
          ns_each(m.wall_seconds, m) - ns_each(found->second.wall_seconds, found->second);
      if (net > 0) times[repeat] = net;
    }
    return times;
  };
  const auto above_times = net_times(above);
  std::vector<double> ratios;
  for (const auto& [repeat, time] : net_times(below)) {
    const auto found = above_times.find(repeat);
    if (found != above_times.end()) ratios.push_back(found->second / time);
  }
  return spread(ratios);
}

std::optional<double> harness_share(const Record& record, const Group& group,
                                    const Series& series) {
  const Series base = series_of(record, group, kBaseEngine);
  const double time = median(wall_times(series));
  if (base.empty() || time <= 0) return std::nullopt;
  return median(wall_times(base)) / time;
}

}  // namespace varve::bench
