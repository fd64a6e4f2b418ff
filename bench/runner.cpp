// SPDX-License-Identifier: Apache-2.0
#include "bench/runner.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <sstream>
#include <system_error>

#include "bench/lap_timer.hpp"

namespace varve::bench {
namespace {

void write(std::ostream& line, const Latencies& l) {
  line << ' ' << l.count << ' ' << l.seconds << ' ' << l.p50_ns << ' ' << l.p99_ns << ' '
       << l.p999_ns << ' ' << l.p9999_ns << ' ' << l.longest_ns;
}
void read(std::istream& line, Latencies& l) {
  line >> l.count >> l.seconds >> l.p50_ns >> l.p99_ns >> l.p999_ns >> l.p9999_ns >> l.longest_ns;
}

// One line per message: "result WORKLOAD NUMBERS..." or "failure TEXT".
std::string encode(const std::string& workload, const Measurement& m) {
  std::ostringstream line;
  line.precision(17);
  line << "result " << workload << ' ' << m.operation_count << ' ' << m.wall_seconds << ' '
       << m.foreground_seconds << ' ' << m.cpu_seconds << ' ' << m.user_size << ' '
       << m.written_size << ' ' << m.disk_size << ' ' << m.anonymous_size << ' ' << m.resident_size
       << ' ' << m.thread_count;
  write(line, m.reads);
  write(line, m.writes);
  line << '\n';
  return line.str();
}
bool decode(std::istringstream& line, std::string& workload, Measurement& m) {
  line >> workload >> m.operation_count >> m.wall_seconds >> m.foreground_seconds >>
      m.cpu_seconds >> m.user_size >> m.written_size >> m.disk_size >> m.anonymous_size >>
      m.resident_size >> m.thread_count;
  read(line, m.reads);
  read(line, m.writes);
  return static_cast<bool>(line);
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

[[noreturn]] void run_child(int to_parent, const EngineKind& kind, const Settings& settings,
                            const Plan& plan, const std::filesystem::path& directory) {
  const File out(::fdopen(to_parent, "w"));
  const auto send = [&](const std::string& line) {
    std::fputs(line.c_str(), out.get());
    std::fflush(out.get());
  };
  int status = 0;
  try {
    Session session(kind, settings, plan, directory);
    session.run([&](const std::string& workload, const Measurement& measurement) {
      send(encode(workload, measurement));
    });
  } catch (const std::exception& error) {
    send(std::string("failure ") + error.what() + "\n");
    status = 1;
  }
  // Not exit(): the parent's buffered output is not ours to write.
  std::fflush(out.get());
  ::_exit(status);
}

void receive(int from_child, const std::string& engine, std::uint32_t repeat, Run& run) {
  const File in(::fdopen(from_child, "r"));
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, in.get()) != nullptr) {
    std::istringstream line{std::string(buffer)};
    std::string kind;
    line >> kind;
    Result result{.repeat = repeat, .engine = engine, .workload = {}, .measurement = {}};
    if (kind == "result" && decode(line, result.workload, result.measurement)) {
      const Measurement& m = result.measurement;
      std::fprintf(stderr, "[%u] %-16s %-22s %10.1f ns\n", repeat + 1, engine.c_str(),
                   label(result.workload, m.thread_count).c_str(),
                   m.wall_seconds * 1e9 / static_cast<double>(m.operation_count));
      run.results.push_back(std::move(result));
    } else {
      std::string message;
      std::getline(line, message);
      run.failures.push_back({repeat, engine, message});
    }
  }
}

void run_session(const EngineKind& kind, const Settings& settings, const Plan& plan,
                 std::uint32_t repeat, const std::filesystem::path& directory, Run& run) {
  ::sync();  // The pages that the session before left dirty would be written during this one.
  int ends[2];
  if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    ::close(ends[0]);
    run_child(ends[1], kind, settings, plan, directory);
  }
  ::close(ends[1]);
  const std::size_t failure_count = run.failures.size();
  receive(ends[0], kind.name, repeat, run);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    run.failures.push_back(
        {repeat, kind.name, "ended by signal " + std::to_string(WTERMSIG(status))});
  } else if (status != 0 && run.failures.size() == failure_count) {
    run.failures.push_back({repeat, kind.name, "ended with status " + std::to_string(status)});
  }
  std::error_code ignored;  // What a crashed session left.
  std::filesystem::remove_all(directory, ignored);
}

}  // namespace

std::string label(const std::string& workload, std::uint32_t thread_count) {
  return thread_count == 0 ? workload : workload + "@" + std::to_string(thread_count);
}

Run run_all(const std::vector<EngineKind>& engines, const Settings& settings,
            std::uint32_t repeat_count, const std::filesystem::path& scratch) {
  Run run;
  static_cast<void>(tick_source());  // Compares the clocks now, not within a session.
  const std::vector<Plan> plans = make_plans(settings);
  for (std::uint32_t repeat = 0; repeat < repeat_count; ++repeat) {
    for (const Plan& plan : plans) {
      for (std::size_t i = 0; i < engines.size(); ++i) {
        const EngineKind& kind = engines[(i + repeat) % engines.size()];
        run_session(kind, settings, plan, repeat,
                    scratch / ("varve-bench-" + std::to_string(::getpid()) + "-" + kind.name), run);
      }
    }
  }
  return run;
}

}  // namespace varve::bench
