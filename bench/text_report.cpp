// SPDX-License-Identifier: Apache-2.0
#include "bench/text_report.hpp"

#include "bench/table.hpp"

namespace varve::bench {
namespace {

constexpr const char* kLegend = R"(
Medians over the repeats; times in ns an operation. wall: until background work has ended, min-max
behind it; calls: until the last call returned; cpu: all threads. harness: the share of the wall
time that null takes, the cost of making keys, checking answers and timing each operation. varve x:
how many times less wall time Varve takes, the median of the ratios per repeat (min-max), * at the
best peer; net x: the same without the harness; cpu x: of processor time, which a busy machine
disturbs less. device: bytes written per byte of the user's. disk, private, mapped: MiB afterwards,
of files, of memory that is no file's, of mapped files in memory; raw x: files over keys and values.

)";

// How many times less of a time, wall or processor, we take than `peer`.
std::string time_ratio(const Series& own, const Series& peer, double Measurement::*seconds) {
  return ratio_text(peer, own, [&](const Measurement& m) { return ns_each(m.*seconds, m); });
}

std::string range_text(const std::vector<double>& values) {
  const Spread range = spread(values).value();
  return time_text(range.low) + "-" + time_text(range.high);
}

std::string median_text(const char* pattern, const Series& series, auto figure) {
  return format(pattern, median(figures(series, figure)));
}

// What only makes sense of an engine that stores.
void add_store_columns(std::vector<std::string>& row, const Series& series, bool writes) {
  const auto mebibytes = [&](std::uint64_t Measurement::*size) {
    return median_text("%.0f", series, [size](const Measurement& m) {
      return static_cast<double>(m.*size) / (1 << 20);
    });
  };
  const auto quotient = [](std::uint64_t above, std::uint64_t below) {
    return below == 0 ? 0.0 : static_cast<double>(above) / static_cast<double>(below);
  };
  row.push_back(writes ? median_text("%.2f", series,
                                     [&](const Measurement& m) {
                                       return quotient(m.written_size, m.user_size);
                                     })
                       : "");
  row.push_back(mebibytes(&Measurement::disk_size));
  row.push_back(median_text(
      "%.2f", series, [&](const Measurement& m) { return quotient(m.disk_size, m.raw_size); }));
  row.push_back(mebibytes(&Measurement::anonymous_size));
  row.push_back(mebibytes(&Measurement::mapped_size));
}

std::vector<std::string> row_of(const Record& record, const Group& group, const std::string& engine,
                                const Series& series, const Series& own, bool is_best) {
  const auto each = [](double Measurement::*seconds) {
    return [seconds](const Measurement& m) { return ns_each(m.*seconds, m); };
  };
  const auto wall = wall_times(series);
  const bool writes = series.begin()->second.user_size > 0, is_base = engine == kBaseEngine;
  const bool is_compared = !is_base && engine != own_engine(record);
  const auto share = harness_share(record, group, series);
  std::vector<std::string> row = {
      label(group),
      engine,
      time_text(median(wall)),
      range_text(wall),
      writes && !is_base
          ? time_text(median(figures(series, each(&Measurement::foreground_seconds))))
          : "",
      time_text(median(figures(series, each(&Measurement::cpu_seconds)))),
      share && !is_base ? format("%.1f %%", *share * 100) : "",
      is_compared ? time_ratio(own, series, &Measurement::wall_seconds) + (is_best ? " *" : "")
                  : "",
      is_compared ? ratio_text(net_ratio(record, group, series, own)) : "",
      is_compared ? time_ratio(own, series, &Measurement::cpu_seconds) : ""};
  if (is_base) {
    row.resize(row.size() + 5);
  } else {
    add_store_columns(row, series, writes);
  }
  return row;
}

std::vector<std::vector<std::string>> cost_rows(const Record& record) {
  std::vector<std::vector<std::string>> rows = {{"workload", "engine", "wall", "min-max", "calls",
                                                 "cpu", "harness", "varve x", "net x", "cpu x",
                                                 "device", "disk", "raw x", "private", "mapped"}};
  const std::string own_name = own_engine(record);
  for (const Group& group : groups_of(record)) {
    const Series own = series_of(record, group, own_name);
    const std::string best = best_peer(record, group);
    for (const EngineNote& engine : record.engines) {
      const Series series = series_of(record, group, engine.name);
      if (series.empty()) continue;
      rows.push_back(row_of(record, group, engine.name, series, own, engine.name == best));
    }
  }
  return rows;
}

}  // namespace

std::string machine_text(const Record& record) {
  const Machine& machine = record.machine;
  std::string text =
      machine.processor + format(", %u cores, %.0f GiB, ", machine.core_count,
                                 static_cast<double>(machine.memory_size) / (1 << 30));
  if (!machine.memory_limit.empty()) text += "limited to " + machine.memory_limit + ", ";
  return text + machine.kernel + ", " + machine.file_system + ", " + record.compiler + ", " +
         record.build + " build";
}

std::string settings_text(const RecordedSettings& settings) {
  std::string text = std::to_string(settings.entry_count) + " entries, " + settings.key_shape +
                     " keys, values of " + std::to_string(settings.value_size) + " bytes, " +
                     std::to_string(settings.read_count) + " reads, " +
                     std::to_string(settings.synced_count) + " synced puts a thread, seed " +
                     std::to_string(settings.seed) + ", " + std::to_string(settings.repeat_count) +
                     " repeats, " + settings.access + " access, " + settings.reads + " reads";
  if (settings.segment_size > 0) {
    text += ", segments of " + count_text(settings.segment_size) + "B";
  }
  if (settings.memory_limit > 0) {
    text += ", memory limit of " + count_text(settings.memory_limit) + "B " +
            (settings.cgroup.empty()
                 ? "for caches and buffers; the operating system's page cache is NOT limited"
                 : "held by a cgroup");
  }
  return text;
}

void print_text_report(std::ostream& out, const Record& record) {
  out << "Command: `" << record.command << "`\n"
      << "Started: " << record.started << "\n"
      << "Machine: " << machine_text(record) << "\n"
      << "Load: " << record.load << "\n"
      << "Varve " << record.varve_version
      << (record.commit.empty() ? "" : ", commit " + record.commit) << "; "
      << settings_text(record.settings) << ", the engine of the ratios: " << own_engine(record)
      << "\n";
  for (const EngineNote& engine : record.engines) {
    out << "- " << engine.name << ": " << engine.version << (engine.version.empty() ? "" : "; ")
        << engine.configuration << (engine.caution.empty() ? "" : "; ") << engine.caution << "\n";
  }
  out << kLegend;
  print_rows(out, cost_rows(record));
  print_latencies(out, record);
  for (const Failure& failure : record.failures) {
    out << "\nFAILED: " << failure.engine << ", repeat " << failure.repeat + 1 << ": "
        << failure.message << "\n";
  }
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
