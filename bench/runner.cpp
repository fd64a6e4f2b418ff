// SPDX-License-Identifier: Apache-2.0
#include "bench/runner.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include "bench/lap_timer.hpp"
#include "bench/memory_limit.hpp"
#include "bench/record_json.hpp"
#include "bench/session.hpp"
#include "bench/table.hpp"
#include "bench/warm_memory.hpp"

namespace varve::bench {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// One session, with what identifies it.
struct Task {
  const EngineKind& kind;
  const RunPoint& point;
  const Plan& plan;
  std::uint32_t repeat;
};

[[noreturn]] void run_child(int to_parent, const Task& task, const std::filesystem::path& directory,
                            const std::optional<MemoryCgroup>& cgroup) {
  const File out(::fdopen(to_parent, "w"));
  const auto send = [&](const std::string& line) {
    std::fputs(line.c_str(), out.get());
    std::fflush(out.get());
  };
  int status = EXIT_SUCCESS;
  try {
    if (cgroup) cgroup->enter();
    Session session(task.kind, task.point.settings, task.plan, directory);
    session.run([&](const std::string& workload, const Measurement& measurement) {
      send(encode_measurement(workload, measurement));
    });
  } catch (const std::exception& error) {
    send(encode_failure(error.what()));
    status = EXIT_FAILURE;
  }
  // Not exit(): the parent's buffered output is not ours to write.
  std::fflush(out.get());
  ::_exit(status);
}

void take_line(const std::string& line, const Task& task, RunOutcome& outcome) {
  SessionMessage message = decode_message(line);
  if (message.workload.empty()) {
    outcome.failures.push_back({task.repeat, task.kind.name, message.failure});
    return;
  }
  const Measurement& m = message.measurement;
  const Group group{message.workload, m.thread_count, task.point.point};
  std::fprintf(stderr, "[%u] %-16s %-22s %10.1f ns\n", task.repeat + 1, task.kind.name.c_str(),
               label(group).c_str(), ns_each(m.wall_seconds, m));
  outcome.results.push_back({task.repeat, task.kind.name, message.workload, task.point.point, m});
}

void receive(int from_child, const Task& task, RunOutcome& outcome) {
  const File in(::fdopen(from_child, "r"));
  std::string line;
  for (int c = 0; (c = std::getc(in.get())) != EOF;) {
    if (c != '\n') {
      line += static_cast<char>(c);
    } else {
      take_line(line, task, outcome);
      line.clear();
    }
  }
  if (!line.empty()) take_line(line, task, outcome);  // Of a session that died while it wrote.
}

void run_session(const Task& task, const std::filesystem::path& directory, RunOutcome& outcome) {
  ::sync();  // The pages that the session before left dirty would be written during this one.
  const Settings& settings = task.point.settings;
  std::optional<MemoryCgroup> cgroup;
  if (!settings.cgroup.empty()) {
    cgroup.emplace(settings.cgroup, directory.filename().string(), settings.memory_limit);
  }
  int ends[2];
  if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    ::close(ends[0]);
    run_child(ends[1], task, directory, cgroup);
  }
  ::close(ends[1]);
  const std::size_t failure_count = outcome.failures.size();
  receive(ends[0], task, outcome);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    const bool out_of_memory = cgroup && cgroup->killed_count() > 0;
    outcome.failures.push_back(
        {task.repeat, task.kind.name,
         "ended by signal " + std::to_string(WTERMSIG(status)) +
             (out_of_memory ? ": it needed more than the --memory-limit of its cgroup" : "")});
  } else if (status != 0 && outcome.failures.size() == failure_count) {
    outcome.failures.push_back(
        {task.repeat, task.kind.name, "ended with status " + std::to_string(status)});
  }
  std::error_code ignored;  // What a crashed session left.
  std::filesystem::remove_all(directory, ignored);
}

bool takes_part(const EngineKind& kind, const RunPoint& point) {
  return !point.own_engines_only || kind.name == kBaseEngine || is_own(kind.name);
}

}  // namespace

RunOutcome run_all(const std::vector<EngineKind>& engines, const std::vector<RunPoint>& points,
                   std::uint32_t repeat_count, const Pause& pause,
                   const std::filesystem::path& scratch) {
  RunOutcome outcome;
  static_cast<void>(tick_source());  // Compares the clocks now, not within a session.
  for (std::uint32_t repeat = 0; repeat < repeat_count; ++repeat) {
    for (const RunPoint& point : points) {
      for (const Plan& plan : make_plans(point.settings)) {
        for (std::size_t i = 0; i < engines.size(); ++i) {
          const EngineKind& kind = engines[(i + repeat) % engines.size()];
          if (!takes_part(kind, point)) continue;
          std::this_thread::sleep_for(pause.settle);
          warm_memory(pause.warm_memory_size);
          run_session({kind, point, plan, repeat},
                      scratch / ("varve-bench-" + std::to_string(::getpid()) + "-" + kind.name),
                      outcome);
        }
      }
    }
  }
  return outcome;
}

}  // namespace varve::bench
