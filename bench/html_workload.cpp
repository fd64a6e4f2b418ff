// SPDX-License-Identifier: Apache-2.0
#include "bench/html_workload.hpp"

#include <cmath>
#include <set>

#include "bench/html.hpp"
#include "bench/svg_plot.hpp"

namespace varve::bench {
namespace {

std::size_t color_of(const Record& record, const std::string& engine) {
  std::size_t color = 0;
  while (color < record.engines.size() && record.engines[color].name != engine) ++color;
  return color;
}

std::string spread_text(const Spread& s) {
  return time_text(s.median) + " (" + time_text(s.low) + "-" + time_text(s.high) + ")";
}

// A figure's median, or nothing where it says nothing.
Cell median_cell(const char* pattern, const Series& series, bool shown, auto figure) {
  return {shown ? format(pattern, median(figures(series, figure))) : ""};
}

double mebibytes(std::uint64_t size) {
  return static_cast<double>(size) / (1 << 20);
}
double quotient(std::uint64_t above, std::uint64_t below) {
  return below == 0 ? 0 : static_cast<double>(above) / static_cast<double>(below);
}

std::vector<Cell> cost_row(const Record& record, const Group& group, const std::string& engine,
                           const Series& series, const Series& own, bool is_best) {
  const Spread wall = spread(wall_times(series)).value();
  const bool writes = series.begin()->second.user_size > 0, stores = engine != kBaseEngine;
  const auto share = harness_share(record, group, series);
  std::string ratio, net, css;
  if (stores && engine != own_engine(record)) {
    const auto each = [](const Measurement& m) { return ns_each(m.wall_seconds, m); };
    if (const auto value = ratio_of(series, own, each)) {
      ratio = ratio_text(value);
      css = standing_class(*value);
      net = ratio_text(net_ratio(record, group, series, own));
    }
  }
  const auto size = [&](std::uint64_t Measurement::*member) {
    return median_cell("%.0f", series, stores,
                       [&](const Measurement& m) { return mebibytes(m.*member); });
  };
  return {
      {engine, is_best ? "best" : ""},
      {format("%.0f", 1e9 / wall.median)},
      {spread_text(wall)},
      {writes && stores
           ? time_text(median(figures(
                 series, [](const Measurement& m) { return ns_each(m.foreground_seconds, m); })))
           : ""},
      {time_text(
          median(figures(series, [](const Measurement& m) { return ns_each(m.cpu_seconds, m); })))},
      {share && stores ? format("%.1f %%", *share * 100) : ""},
      {ratio, css},
      {net},
      median_cell("%.2f", series, writes && stores,
                  [](const Measurement& m) { return quotient(m.written_size, m.user_size); }),
      size(&Measurement::disk_size),
      median_cell("%.2f", series, stores,
                  [](const Measurement& m) { return quotient(m.disk_size, m.raw_size); }),
      size(&Measurement::anonymous_size),
      size(&Measurement::mapped_size),
      median_cell("%.0f", series, series.begin()->second.segment_count > 0,
                  [](const Measurement& m) { return static_cast<double>(m.segment_count); })};
}

std::string cost_table(const Record& record, const Group& group) {
  std::vector<std::vector<Cell>> rows = {{{"engine"},
                                          {"per s"},
                                          {"wall ns (min-max)"},
                                          {"calls ns"},
                                          {"cpu ns"},
                                          {"harness"},
                                          {"varve x"},
                                          {"net x"},
                                          {"device x"},
                                          {"disk MiB"},
                                          {"raw x"},
                                          {"private MiB"},
                                          {"mapped MiB"},
                                          {"segments"}}};
  const Series own = series_of(record, group, own_engine(record));
  const std::string best = best_peer(record, group);
  for (const EngineNote& engine : record.engines) {
    const Series series = series_of(record, group, engine.name);
    if (series.empty()) continue;
    rows.push_back(cost_row(record, group, engine.name, series, own, engine.name == best));
  }
  return html_table(rows, 1);
}

std::string bars(const Record& record, const Group& group) {
  std::vector<Bar> result;
  const double harness = median(wall_times(series_of(record, group, kBaseEngine)));
  for (const EngineNote& engine : record.engines) {
    if (const auto wall = spread(wall_times(series_of(record, group, engine.name)))) {
      result.push_back({engine.name, color_of(record, engine.name), *wall,
                        engine.name == kBaseEngine ? 0 : harness});
    }
  }
  return bar_plot(label(group) + ": time of an operation", result);
}

// The figures of one kind of operation, which not every measurement has.
std::vector<double> latency_figures(const Series& series, const std::string& kind, auto figure) {
  std::vector<double> values;
  for (const auto& [repeat, m] : series) {
    const auto found = m.latencies.find(kind);
    if (found != m.latencies.end()) values.push_back(static_cast<double>(figure(found->second)));
  }
  return values;
}

std::string quantile_text(double quantile) {
  return format("p%g", quantile * 100);
}

std::string latency_table(const Record& record, const Group& group, const std::string& kind) {
  std::vector<std::vector<Cell>> rows = {{{"engine"}, {kind + " per s"}}};
  for (const double quantile : kQuantiles) rows[0].push_back({quantile_text(quantile) + " us"});
  rows[0].push_back({"longest us"});
  for (const EngineNote& engine : record.engines) {
    const Series series = series_of(record, group, engine.name);
    const auto rates = latency_figures(series, kind, [](const Latencies& l) { return rate(l); });
    if (rates.empty()) continue;
    std::vector<Cell> row = {{engine.name}, {format("%.0f", median(rates))}};
    for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
      row.push_back({us_text(median(
          latency_figures(series, kind, [i](const Latencies& l) { return l.quantiles_ns[i]; })))});
    }
    const auto longest =
        latency_figures(series, kind, [](const Latencies& l) { return l.longest_ns; });
    row.push_back({us_text(spread(longest).value().high)});
    rows.push_back(std::move(row));
  }
  return html_table(rows, 1);
}

// The x axis gives each further nine as much room.
std::string latency_curves(const Record& record, const Group& group, const std::string& kind) {
  std::vector<Tick> ticks;
  for (const double quantile : {0.5, 0.9, 0.99, 0.999, 0.9999}) {
    ticks.push_back({-std::log10(1 - quantile), quantile_text(quantile)});
  }
  std::vector<Line> lines;
  for (const EngineNote& engine : record.engines) {
    const Series series = series_of(record, group, engine.name);
    Line line{engine.name, color_of(record, engine.name), {}};
    for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
      const auto values =
          latency_figures(series, kind, [i](const Latencies& l) { return l.quantiles_ns[i]; });
      if (const auto y = spread(values))
        line.points.push_back({-std::log10(1 - kQuantiles[i]), *y});
    }
    if (!line.points.empty()) lines.push_back(std::move(line));
  }
  return line_plot(label(group) + ": latency of a " + kind, ticks, lines);
}

std::set<std::string> kinds_of(const Record& record, const Group& group) {
  std::set<std::string> kinds;
  for (const EngineNote& engine : record.engines) {
    for (const auto& [repeat, m] : series_of(record, group, engine.name)) {
      for (const auto& [kind, latencies] : m.latencies) kinds.insert(kind);
    }
  }
  return kinds;
}

// What varies between the groups of a workload; empty: nothing.
std::string varied_name(const Group& group) {
  if (!group.point.parameter.empty()) return group.point.parameter;
  return group.thread_count > 0 ? "threads" : "";
}
double varied_value(const Group& group) {
  return static_cast<double>(group.point.parameter.empty() ? group.thread_count
                                                           : group.point.value);
}

std::string scale_curves(const Record& record, const std::string& workload,
                         const std::string& parameter, std::vector<Group> groups) {
  std::erase_if(groups, [&](const Group& group) { return varied_name(group) != parameter; });
  std::sort(groups.begin(), groups.end(),
            [](const Group& a, const Group& b) { return varied_value(a) < varied_value(b); });
  std::vector<Tick> ticks;
  for (const Group& group : groups) {
    const double value = varied_value(group);
    if (!ticks.empty() && ticks.back().at == std::log2(value)) return "";  // Two things vary.
    ticks.push_back({std::log2(value), count_text(static_cast<std::uint64_t>(value))});
  }
  if (ticks.size() < 2) return "";
  std::vector<Line> lines;
  for (const EngineNote& engine : record.engines) {
    Line line{engine.name, color_of(record, engine.name), {}};
    for (const Group& group : groups) {
      const auto wall = spread(wall_times(series_of(record, group, engine.name)));
      if (wall) line.points.push_back({std::log2(varied_value(group)), *wall});
    }
    if (!line.points.empty()) lines.push_back(std::move(line));
  }
  return line_plot(workload + ": time of an operation by " + parameter, ticks, lines);
}

}  // namespace

std::optional<Spread> standing(const Record& record, const Group& group) {
  const Series own = series_of(record, group, own_engine(record));
  const Series peer = series_of(record, group, best_peer(record, group));
  return ratio_of(peer, own, [](const Measurement& m) { return ns_each(m.wall_seconds, m); });
}

const char* standing_class(const Spread& ratio) noexcept {
  return ratio.low > 1 ? "ahead" : ratio.high < 1 ? "behind" : "even";
}

std::string workload_section(const Record& record, const std::string& workload,
                             const std::vector<Group>& groups) {
  std::string content = "<h2 id=\"" + escaped(workload) + "\">" + escaped(workload) + "</h2>\n";
  std::set<std::string> parameters;
  for (const Group& group : groups) parameters.insert(varied_name(group));
  for (const std::string& parameter : parameters) {
    content += scale_curves(record, workload, parameter, groups);
  }
  for (const Group& group : groups) {
    if (label(group) != workload) content += element("h3", escaped(label(group))) + "\n";
    content += bars(record, group) + cost_table(record, group);
    for (const std::string& kind : kinds_of(record, group)) {
      content += "<details><summary>latencies: " + escaped(kind) + "</summary>\n" +
                 latency_curves(record, group, kind) + latency_table(record, group, kind) +
                 "</details>\n";
    }
  }
  return element("section", content) + "\n";
}

}  // namespace varve::bench
