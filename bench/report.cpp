// SPDX-License-Identifier: Apache-2.0
#include "bench/report.hpp"

#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <thread>

#include "bench/table.hpp"
#include "varve/version.hpp"

namespace varve::bench {
namespace {

constexpr const char* kLegend = R"(
Medians over the repeats; times in ns an operation. wall: until background work has ended, min-max
behind it; calls: until the last call returned; cpu: all threads. varve x: how many times less wall
time Varve takes, the median of the ratios per repeat (min-max); cpu x: the same of processor time,
which a busy machine disturbs less. device: bytes written per byte of the user's. disk, private,
resident: MiB afterwards, of files, of memory that is no file's, of all memory. null is the harness
itself, contained in every other figure.

)";

double ns_each(double seconds, const Measurement& m) {
  return seconds * 1e9 / static_cast<double>(m.operation_count);
}

// How many times less of a time, wall or processor, we take than `peer`: the median over the
// repeats that both have.
std::string time_ratio(const Series& own, const Series& peer, double Measurement::*seconds) {
  return ratio_text(peer, own, [&](const auto& m) { return ns_each(m.*seconds, m); });
}

std::string range_text(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return time_text(*low) + "-" + time_text(*high);
}

std::vector<std::string> row_of(const std::string& workload, const std::string& engine,
                                bool is_peer, const Series& series, const Series& own) {
  const auto wall = figures(series, [](const auto& m) { return ns_each(m.wall_seconds, m); });
  const auto foreground =
      figures(series, [](const auto& m) { return ns_each(m.foreground_seconds, m); });
  const auto cpu = figures(series, [](const auto& m) { return ns_each(m.cpu_seconds, m); });
  const auto per_user = [](double size, const Measurement& m) {
    return m.user_size == 0 ? 0.0 : size / static_cast<double>(m.user_size);
  };
  const bool writes = series.begin()->second.user_size > 0, is_base = engine == kBaseEngine;
  const auto mebibytes = [&](auto member) {
    return format("%.0f", median(figures(series, [&](const auto& m) {
                    return static_cast<double>(m.*member) / (1 << 20);
                  })));
  };
  return {workload,
          engine,
          time_text(median(wall)),
          range_text(wall),
          writes && !is_base ? time_text(median(foreground)) : "",
          time_text(median(cpu)),
          is_peer ? time_ratio(own, series, &Measurement::wall_seconds) : "",
          is_peer ? time_ratio(own, series, &Measurement::cpu_seconds) : "",
          writes && !is_base
              ? format("%.2f", median(figures(series,
                                              [&](const auto& m) {
                                                return per_user(static_cast<double>(m.written_size),
                                                                m);
                                              })))
              : "",
          is_base ? "" : mebibytes(&Measurement::disk_size),
          is_base ? "" : mebibytes(&Measurement::anonymous_size),
          is_base ? "" : mebibytes(&Measurement::resident_size)};
}

std::vector<std::vector<std::string>> cost_rows(const Run& run,
                                                const std::vector<EngineKind>& engines) {
  std::vector<std::vector<std::string>> rows = {{"workload", "engine", "wall", "min-max", "calls",
                                                 "cpu", "varve x", "cpu x", "device", "disk",
                                                 "private", "resident"}};
  const std::string own_name = own_engine(engines);
  for (const Group& group : groups_of(run)) {
    const Series own = series_of(run, group, own_name);
    for (const EngineKind& kind : engines) {
      const Series series = series_of(run, group, kind.name);
      if (series.empty()) continue;
      const bool is_peer = kind.name != kBaseEngine && kind.name != own_name;
      rows.push_back(
          row_of(label(group.workload, group.thread_count), kind.name, is_peer, series, own));
    }
  }
  return rows;
}

const char* shape_name(KeyShape shape) {
  switch (shape) {
    case KeyShape::Hash16:
      return "hash16";
    case KeyShape::Dec16:
      return "dec16";
    case KeyShape::Url31:
      return "url31";
  }
  return "";
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result.append({'\\', c});
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += format("\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      result += c;
    }
  }
  return result + '"';
}

void print_json_latencies(std::ostream& out, const char* name, const Latencies& l) {
  if (l.count == 0) return;
  out << ", \"" << name << "\": {\"count\": " << l.count << ", \"seconds\": " << l.seconds
      << ", \"p50_ns\": " << l.p50_ns << ", \"p99_ns\": " << l.p99_ns
      << ", \"p999_ns\": " << l.p999_ns << ", \"p9999_ns\": " << l.p9999_ns
      << ", \"longest_ns\": " << l.longest_ns << '}';
}

void print_json_measurement(std::ostream& out, const Result& result) {
  const Measurement& m = result.measurement;
  out << "    {\"repeat\": " << result.repeat << ", \"engine\": " << quoted(result.engine)
      << ", \"workload\": " << quoted(result.workload)
      << ", \"operation_count\": " << m.operation_count << ", \"wall_seconds\": " << m.wall_seconds
      << ", \"foreground_seconds\": " << m.foreground_seconds
      << ", \"cpu_seconds\": " << m.cpu_seconds << ", \"user_size\": " << m.user_size
      << ", \"written_size\": " << m.written_size << ", \"disk_size\": " << m.disk_size
      << ", \"anonymous_size\": " << m.anonymous_size << ", \"resident_size\": " << m.resident_size
      << ", \"thread_count\": " << m.thread_count;
  print_json_latencies(out, "reads", m.reads);
  print_json_latencies(out, "writes", m.writes);
  out << '}';
}

std::string line_after(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name, 0) != 0) continue;
    const std::size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "unknown";
}

}  // namespace

std::string describe_machine(const std::filesystem::path& scratch) {
  utsname system{};
  ::uname(&system);
  struct statfs files {};
  const bool known = ::statfs(scratch.c_str(), &files) == 0;
  const double memory = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                        static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 30);
  return line_after("/proc/cpuinfo", "model name") +
         format(", %u cores, %.0f GiB, %s %s, %s, file system type %lx, %s build",
                std::thread::hardware_concurrency(), memory, system.sysname, system.release,
                system.machine, known ? static_cast<unsigned long>(files.f_type) : 0UL,
#ifdef NDEBUG
                "release"
#else
                "CHECKED (not a release)"
#endif
         );
}

std::string describe_load() {
  double loads[3] = {};
  if (::getloadavg(loads, 3) != 3) return "unknown";
  return format("%.2f %.2f %.2f", loads[0], loads[1], loads[2]);
}

void print_table(std::ostream& out, const Run& run, const std::vector<EngineKind>& engines,
                 const Settings& settings, const Environment& environment) {
  out << "Command: `" << environment.command << "`\n"
      << "Machine: " << environment.machine << "\n"
      << "Load: " << environment.load << "\n"
      << "Varve " << VARVE_VERSION_STRING << "; " << settings.entry_count << " entries, "
      << shape_name(settings.key_shape) << " keys, values of " << settings.value_size << " bytes, "
      << settings.read_count << " reads, " << to_string(settings.access)
      << " access, the engine of the ratios: " << own_engine(engines) << "\n";
  for (const EngineKind& kind : engines)
    out << "- " << kind.name << ": " << kind.configuration << "\n";
  out << kLegend;
  print_rows(out, cost_rows(run, engines));
  print_latencies(out, run, engines);
  for (const Failure& failure : run.failures) {
    out << "\nFAILED: " << failure.engine << ", repeat " << failure.repeat + 1 << ": "
        << failure.message << "\n";
  }
}

void print_json(std::ostream& out, const Run& run, const std::vector<EngineKind>& engines,
                const Settings& settings, const Environment& environment) {
  out.precision(9);
  out << "{\n  \"varve\": " << quoted(VARVE_VERSION_STRING)
      << ",\n  \"command\": " << quoted(environment.command)
      << ",\n  \"machine\": " << quoted(environment.machine)
      << ",\n  \"load\": " << quoted(environment.load)
      << ",\n  \"settings\": {\"entry_count\": " << settings.entry_count
      << ", \"read_count\": " << settings.read_count
      << ", \"synced_count\": " << settings.synced_count
      << ", \"value_size\": " << settings.value_size
      << ", \"key_shape\": " << quoted(shape_name(settings.key_shape))
      << ", \"access\": " << quoted(std::string(to_string(settings.access)))
      << ", \"seed\": " << settings.seed << "},\n  \"engines\": {";
  const char* separator = "";
  for (const EngineKind& kind : engines) {
    out << separator << "\n    " << quoted(kind.name) << ": " << quoted(kind.configuration);
    separator = ",";
  }
  out << "\n  },\n  \"results\": [";
  separator = "\n";
  for (const Result& result : run.results) {
    out << separator;
    print_json_measurement(out, result);
    separator = ",\n";
  }
  out << "\n  ],\n  \"failures\": [";
  separator = "\n";
  for (const Failure& failure : run.failures) {
    out << separator << "    {\"repeat\": " << failure.repeat
        << ", \"engine\": " << quoted(failure.engine)
        << ", \"message\": " << quoted(failure.message) << '}';
    separator = ",\n";
  }
  out << "\n  ]\n}\n";
}

}  // namespace varve::bench
