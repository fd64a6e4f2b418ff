// SPDX-License-Identifier: Apache-2.0
#include "tests/concurrent_index/workout.hpp"

#include <cstddef>
#include <exception>
#include <latch>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "tests/concurrent_index/workout_keys.hpp"
#include "tests/concurrent_index/workout_thread.hpp"
#include "tests/support/atomicity.hpp"
#include "tests/support/call_history.hpp"
#include "tests/support/eager_hot_path.hpp"
#include "tests/support/tiny_options.hpp"
#include "varve/check.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

class Workout {
 public:
  // The last two logs are for the reads after the reopening, and for who closes midway.
  explicit Workout(const WorkoutOptions& options)
      : options_(options), recorder_(options.thread_count + 2) {
    index_options_ = tiny_options();
    index_options_.access = options.access;
    index_options_.reads = options.reads;
  }
  WorkoutReport run() {
    try {
      work();
      if (report_.problem.empty()) check_files();
      if (report_.problem.empty()) read_back();
      if (report_.problem.empty()) check_history();
    } catch (const std::exception& error) {
      note(error.what());
    }
    return report_;
  }

 private:
  void note(const std::string& problem) {
    if (report_.problem.empty()) report_.problem = problem;
  }
  void work() {
    const EagerHotPath eager(options_.seed % 2 == 0);
    SegmentIndex index = SegmentIndex::create(options_.directory, index_options_);
    std::vector<std::unique_ptr<WorkoutThread>> workers;
    for (std::uint32_t i = 0; i < options_.thread_count; ++i) {
      workers.push_back(std::make_unique<WorkoutThread>(index, recorder_.log(i), options_.seed));
    }
    std::latch all_there(options_.thread_count + 1);
    std::vector<std::thread> threads;
    for (const auto& worker : workers) {
      threads.emplace_back([&worker = *worker, &all_there, this] {
        all_there.arrive_and_wait();
        worker.run(options_.calls_per_thread);
      });
    }
    all_there.arrive_and_wait();
    if (options_.close_midway) close_midway(index);
    for (std::thread& thread : threads) thread.join();
    for (const auto& worker : workers) take_over(*worker);
    if (!options_.close_midway) {
      if (report_.problem.empty()) count(index.statistics());
      index.close();
    }
  }
  // After some calls of its own, so that the others have begun and are not done.
  void close_midway(SegmentIndex& index) {
    WorkoutThread closer(index, recorder_.log(options_.thread_count + 1), options_.seed);
    std::mt19937_64 random(options_.seed);
    closer.run(random() % options_.calls_per_thread);
    take_over(closer);
    index.close();
    index.close();
    if (index.lifecycle() != Lifecycle::Closed) note("close() returned before it had closed");
  }
  void take_over(const WorkoutThread& worker) {
    if (!worker.problem().empty()) note(worker.problem());
    if (worker.found_closed() && !options_.close_midway) note("a call found the index closed");
    if (worker.found_closed()) ++report_.closed_count;
    report_.call_count += worker.call_count();
    report_.refused_count += worker.refused_count();
    report_.invalidated_count += worker.invalidated_count();
    views_.insert(views_.end(), worker.views().begin(), worker.views().end());
  }
  void count(const Statistics& statistics) {
    report_.flush_count = statistics.flush_count;
    report_.compaction_count = statistics.compaction_count;
    report_.split_count = statistics.split_count;
    report_.merge_count = statistics.merge_count;
  }
  void check_files() {
    const CheckReport report = check(options_.directory, {.deep = true});
    if (report.sound()) return;
    for (const CheckFinding& finding : report.findings) {
      if (finding.severity == Severity::Damage) note(finding.file + ": " + finding.what);
    }
  }
  void read_back() {
    SegmentIndex index = SegmentIndex::open(options_.directory, index_options_);
    WorkoutThread reader(index, recorder_.log(options_.thread_count), options_.seed);
    reader.read_all();
    take_over(reader);
    index.close();
  }
  void check_history() {
    const CallHistory history = recorder_.merged();
    report_.operation_count = history.size();
    report_.view_count = views_.size();
    note(torn_view(views_, key_groups()));
    note(impossible_view(views_, history));
    note(group_violation(history, key_groups()));
  }

  const WorkoutOptions options_;
  Options index_options_;
  CallRecorder recorder_;
  std::vector<View> views_;
  WorkoutReport report_;
};

}  // namespace

WorkoutReport run_workout(const WorkoutOptions& options) {
  return Workout(options).run();
}

}  // namespace varve::test
