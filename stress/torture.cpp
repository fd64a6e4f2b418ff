// SPDX-License-Identifier: Apache-2.0
#include "stress/torture.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "stress/child.hpp"
#include "stress/failure.hpp"
#include "stress/random.hpp"
#include "stress/verification.hpp"

namespace varve::stress {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kVerifyTimeMax = 600s;
constexpr auto kFirstStepTimeMax = 60s;
constexpr std::string_view kAck = "ack ";

// The standard output of a program, by lines. A line that the kill cut off counts for nothing.
class OutputLines {
 public:
  // Takes what has come, and goes through its whole lines.
  void take(int fd, const auto& visit) {
    std::array<char, 4096> buffer;
    while (true) {
      const ssize_t got = ::read(fd, buffer.data(), buffer.size());
      if (got <= 0) break;
      rest_.append(buffer.data(), static_cast<std::size_t>(got));
    }
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = rest_.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      visit(std::string_view(rest_).substr(begin, end - begin));
    }
    rest_.erase(0, begin);
  }

 private:
  std::string rest_;
};

class TortureRun {
 public:
  explicit TortureRun(const TortureOptions& options)
      : options_(options),
        directory_(options.directory),
        work_(directory_.path() / "work"),
        copy_(directory_.path() / "copy") {
    figures_.mode = "torture";
    figures_.seed = options.seed;
    if (std::filesystem::exists(work_)) {
      throw Obstacle(work_.string() + ": is there already; give an empty directory");
    }
    std::filesystem::create_directories(work_);
  }

  Figures run() {
    const Schedule schedule(options_);
    try {
      while (schedule.goes_on(figures_.cycles)) {
        one_cycle(Random(mixed(options_.seed, figures_.cycles)));
        ++figures_.cycles;
      }
    } catch (const Mismatch& mismatch) {
      directory_.keep();
      figures_.problem = fmt::format("cycle {}: {}", figures_.cycles, mismatch.what());
      fmt::print(stderr, "MISMATCH in {}\n  seed {}, step {} was acknowledged; kept: {}\n",
                 figures_.problem, options_.seed, acknowledged_, work_.string());
    }
    figures_.seconds = schedule.seconds();
    figures_.operations = acknowledged_;
    return figures_;
  }

 private:
  [[nodiscard]] ChildOptions command(const std::filesystem::path& directory, const char* phase,
                                     bool read_output) const {
    ChildOptions child;
    child.arguments = options_.command;
    child.environment = {
        {"VARVE_TORTURE_DIR", directory.string()},
        {"VARVE_TORTURE_PHASE", phase},
        {"VARVE_TORTURE_ACKNOWLEDGED", std::to_string(acknowledged_)},
        {"VARVE_TORTURE_SEED", std::to_string(mixed(options_.seed, figures_.cycles))}};
    child.read_output = read_output;
    return child;
  }

  void one_cycle(Random random) {
    // Half of the kills wait for a first step, so that not all of them meet the start.
    const bool after_first_step = random.one_in(2);
    const auto delay = std::chrono::microseconds(
        random.of_any_magnitude(500, std::uint64_t{500} * options_.run_ms_max));
    const bool stops = random.one_in(4);
    if (options_.verbose) {
      fmt::print(stderr, "cycle {}: killed {} us after {}{}, {} acknowledged before\n",
                 figures_.cycles, delay.count(), after_first_step ? "its first step" : "its start",
                 stops ? ", stopped first" : "", acknowledged_);
    }
    Child program(command(work_, "run", true));
    OutputLines lines;
    if (after_first_step) wait_for_step(program, lines);
    const Clock::time_point end = Clock::now() + delay;
    while (Clock::now() < end && !program.poll()) {
      take(program, lines);
      pause_for(std::min<std::chrono::microseconds>(delay, 1ms));
    }
    if (stops && program.stop()) {
      take(program, lines);
      copy_store(work_, copy_);
      verify(copy_);
      remove_store(copy_);
      ++figures_.copies;
    }
    const bool by_itself = program.poll().has_value();
    program.kill();
    ++(by_itself ? figures_.closes : figures_.kills);
    take(program, lines);
    require_good_end(*program.poll());
    verify(work_);
  }

  void wait_for_step(Child& program, OutputLines& lines) {
    const std::uint64_t before = step_count_;
    const Clock::time_point end = Clock::now() + kFirstStepTimeMax;
    while (step_count_ == before && !program.poll()) {
      take(program, lines);
      if (Clock::now() >= end) {
        throw Mismatch(
            "the program acknowledges no step (a line \"ack N\" on its standard "
            "output, flushed)");
      }
      pause_for(1ms);
    }
  }

  void take(Child& program, OutputLines& lines) {
    lines.take(program.output_fd(), [&](std::string_view line) { take_line(line); });
  }

  void take_line(std::string_view line) {
    std::uint64_t step = 0;
    if (line.starts_with(kAck)) {
      const std::string_view digits = line.substr(kAck.size());
      const char* const end_of_line = digits.data() + digits.size();
      const auto [end, error] = std::from_chars(digits.data(), end_of_line, step);
      if (error == std::errc() && end == end_of_line) {
        ++step_count_;
        acknowledged_ = std::max(acknowledged_, step);
        return;
      }
      throw Mismatch(fmt::format("the program wrote \"{}\": \"ack N\" expected", line));
    }
    if (options_.verbose) fmt::print(stderr, "  {}\n", line);
  }

  // Exit 0 is a program that had nothing more to do.
  static void require_good_end(int status) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    throw Mismatch("the program ended by itself in phase run: " + status_text(status));
  }

  void verify(const std::filesystem::path& directory) {
    check_stores(directory);
    Child program(command(directory, "verify", false));
    const std::optional<int> status = program.wait(kVerifyTimeMax);
    if (!status) throw Mismatch("phase verify did not end");
    if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0) {
      throw Mismatch(fmt::format("phase verify, told that step {} was acknowledged: {}",
                                 acknowledged_, status_text(*status)));
    }
    check_stores(directory);
  }

  void check_stores(const std::filesystem::path& directory) {
    for (const std::filesystem::path& store : stores_below(directory)) {
      // One whose creation was interrupted is none yet.
      static_cast<void>(check_store(store, figures_));
    }
  }

  const TortureOptions options_;
  RunDirectory directory_;
  const std::filesystem::path work_, copy_;
  std::uint64_t acknowledged_ = 0;  // The highest step.
  std::uint64_t step_count_ = 0;
  Figures figures_;
};

}  // namespace

Figures run_torture(const TortureOptions& options) {
  return TortureRun(options).run();
}

}  // namespace varve::stress
