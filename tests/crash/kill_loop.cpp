// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/kill_loop.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <random>
#include <stdexcept>

#include "tests/crash/history.hpp"
#include "varve/error.hpp"

namespace varve::test {
namespace {

// Shared with the child; survives its death.
struct Progress {
  std::atomic<std::uint64_t> issued = 0, acked = 0;
  std::atomic<std::uint64_t> durable = 0;  // Operations before the last flush() or sync().
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

class SharedProgress {
 public:
  SharedProgress() {
    void* const memory = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("mmap failed");
    progress_ = new (memory) Progress;
  }
  SharedProgress(const SharedProgress&) = delete;
  SharedProgress& operator=(const SharedProgress&) = delete;
  ~SharedProgress() { ::munmap(progress_, sizeof(Progress)); }
  Progress* operator->() const noexcept { return progress_; }

 private:
  Progress* progress_;
};

struct Cycle {
  Options options;
  WriteOptions write;
  std::uint64_t operations = 0;   // The child signals after so many...
  std::uint64_t flush_every = 0;  // ...and flushes after each so many; 0: never by itself.
  std::uint64_t compact_every = 0;
};

Cycle draw_cycle(std::mt19937_64& random, std::uint64_t operations_max) {
  Cycle cycle;
  cycle.options = tiny_options();
  cycle.options.access = static_cast<Access>(random() % 3);
  cycle.options.reads = random() % 3 == 0 ? Reads::Buffered : Reads::Mapped;
  cycle.options.tuning.block_size = std::size_t{512} << random() % 4;
  cycle.options.tuning.segment_size = std::size_t{64 << 10} << random() % 3;
  // The reopening here has the smallest budget: now and then it must flush while it replays.
  cycle.options.memory_budget = std::size_t{256 << 10} << random() % 3;
  cycle.options.tuning.filter_bits_per_key = random() % 5 == 0 ? 0 : 12;
  const std::uint64_t durability = random() % 20;
  cycle.write.durability = durability < 15   ? Durability::Process
                           : durability < 18 ? Durability::Buffered
                                             : Durability::Synced;
  cycle.operations = 1 + random() % operations_max;
  if (*cycle.write.durability == Durability::Synced) cycle.operations = 1 + cycle.operations / 20;
  cycle.flush_every = random() % 4 == 0 ? 1 + random() % operations_max : 0;
  cycle.compact_every = random() % 8 == 0 ? 1 + random() % operations_max : 0;
  return cycle;
}

// Writes on and on, until it is killed. Never returns.
[[noreturn]] void child_main(const std::filesystem::path& path, const History& history,
                             const Cycle& cycle, SharedProgress& progress, int signal_fd) {
  try {
    SegmentIndex index = SegmentIndex::open(path, cycle.options);
    const std::uint64_t first = progress->acked.load();
    for (std::uint64_t number = first;; ++number) {
      progress->issued.store(number + 1);
      history.apply(number, index, cycle.write);
      progress->acked.store(number + 1);
      const std::uint64_t done = number + 1 - first;
      if (cycle.flush_every != 0 && done % cycle.flush_every == 0) {
        index.flush();
        progress->durable.store(number + 1);
      }
      if (cycle.compact_every != 0 && done % cycle.compact_every == 0) index.compact();
      if (done == cycle.operations && ::write(signal_fd, "x", 1) != 1) ::_exit(3);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kill loop child: %s\n", error.what());
    ::_exit(4);
  }
}

class KillLoop {
 public:
  explicit KillLoop(const KillLoopOptions& options)
      : options_(options),
        random_(options.seed),
        history_(options.seed),
        path_(options.directory / "index") {}

  KillLoopReport run() {
    const auto start = std::chrono::steady_clock::now();
    const auto more = [&] {
      if (options_.seconds == 0) return report_.cycles < options_.cycles;
      const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
      return spent.count() < options_.seconds;
    };
    while (report_.problem.empty() && more()) {
      one_cycle();
      ++report_.cycles;
    }
    report_.operations = applied_;
    return report_;
  }

 private:
  void one_cycle() {
    const Cycle cycle = draw_cycle(random_, options_.operations_per_cycle_max);
    progress_->issued.store(applied_);
    progress_->acked.store(applied_);
    progress_->durable.store(applied_);
    kill_child(cycle);
    if (report_.problem.empty()) verify(cycle);
  }

  void kill_child(const Cycle& cycle) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe failed");
    const pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("fork failed");
    if (child == 0) {
      ::close(ends[0]);
      child_main(path_, history_, cycle, progress_, ends[1]);
    }
    ::close(ends[1]);
    // The child has got so far when the byte comes; where it is when the signal does, nobody
    // knows. A child that failed closes its end instead.
    char byte = 0;
    const ssize_t got = ::read(ends[0], &byte, 1);
    ::close(ends[0]);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (got != 1 || !WIFSIGNALED(status)) report_.problem = "the child failed by itself";
    ++report_.kills;
  }

  void verify(const Cycle& cycle) {
    try {
      Options options = cycle.options;
      options.memory_budget = tiny_options().memory_budget;
      const SegmentIndex index = SegmentIndex::open(path_, options);
      report_.replayed += index.statistics().recovered_operation_count;
      if (!index.statistics().recovered_after_crash) {
        report_.problem = "the crash was not noticed at the next open";
        return;
      }
      match(contents(index), *cycle.write.durability == Durability::Buffered);
      if (report_.problem.empty()) report_.problem = read_difference(index, model_);
    } catch (const Error& error) {
      report_.problem = std::string("reopening failed: ") + error.what();
    }
  }

  // Finds the number of operations whose outcome is what was recovered.
  void match(const Model& found, bool buffered) {
    const std::uint64_t issued = progress_->issued.load();
    const std::uint64_t least = buffered ? progress_->durable.load() : progress_->acked.load();
    std::string closest;
    while (true) {
      if (applied_ >= least) {
        const std::string what = difference(model_, found);
        if (what.empty()) return;
        if (closest.empty()) closest = what;
      }
      if (applied_ == issued) break;
      history_.apply(applied_, model_);
      ++applied_;
    }
    report_.problem =
        "cycle " + std::to_string(report_.cycles) + ", seed " + std::to_string(options_.seed) +
        ": no legal state: acknowledged " + std::to_string(progress_->acked.load()) + ", issued " +
        std::to_string(issued) + ", durable " + std::to_string(progress_->durable.load()) +
        (buffered ? ", buffered: " : ", logged: ") + closest;
  }

  const KillLoopOptions options_;
  std::mt19937_64 random_;
  const History history_;
  const std::filesystem::path path_;
  SharedProgress progress_;
  Model model_;                // After applied_ operations.
  std::uint64_t applied_ = 0;  // What the index holds.
  KillLoopReport report_;
};

}  // namespace

KillLoopReport run_kill_loop(const KillLoopOptions& options) {
  return KillLoop(options).run();
}

}  // namespace varve::test
