// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/allocation_sweep.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>

#include "lib/hooks.hpp"
#include "tests/crash/allocation_failure.hpp"
#include "tests/crash/sweep_process.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using enum Step::Kind;

std::string present_point;  // For std::terminate.

// All runs of one script.
class AllocationSweep {
 public:
  AllocationSweep(const Script& script, AllocationMode mode) : script_(script), mode_(mode) {}

  AllocationReport run(std::uint64_t stride) {
    make_beginning();
    for (int i = 0; i < 2; ++i) {  // What threads keep for themselves is there afterwards.
      begin();
      AllocationRun whole(script_, mode_, path_, UINT64_MAX, false);
      whole.run();
      report_.allocations = whole.allocation_count;
      report_.problem = whole.problem;
      if (whole.threw) report_.problem = "fails with memory: " + whole.problem;
    }
    for (std::uint64_t nth = 0; nth < report_.allocations; nth += stride) {
      for (const bool sticky : {false, true}) {
        if (report_.problem.empty()) run_once(nth, sticky);
      }
    }
    return report_;
  }

 private:
  // What Scenario::before leaves when its process is killed: a copy of the files in use.
  void make_beginning() {
    if (script_.calls_before().empty()) return;
    Options options = options_of(script_.scenario());
    options.access = Access::Bare;
    SegmentIndex index = SegmentIndex::open(path_, options);
    std::size_t number = 0;
    for (const Step::Kind call : script_.calls_before()) {
      if (Script::is_write(call)) {
        apply(script_.states().writes()[number++], index);
      } else if (call == Flush) {
        index.flush();
      } else {
        if (call != Compact)
          throw std::logic_error("a step that Scenario::before cannot have here");
        index.compact();
      }
    }
    std::filesystem::copy(path_, beginning_);
  }
  void begin() const {
    std::filesystem::remove_all(path_);
    if (std::filesystem::exists(beginning_)) std::filesystem::copy(beginning_, path_);
  }

  void run_once(std::uint64_t nth, bool sticky) {
    begin();
    present_point = script_.scenario().name + ", " + std::string(to_string(mode_)) +
                    ", allocation " + std::to_string(nth) + (sticky ? ", sticky" : ", once");
    std::int64_t left = AllocationFailure::live_count();
    std::string problem;
    {
      AllocationRun run(script_, mode_, path_, nth, sticky);
      run.run();
      problem = run.problem;
      if (run.fired) ++report_.points;
      if (run.fired && run.threw) ++report_.thrown;
      if (run.fired && run.latched) ++report_.latched;
      if (run.fired && !run.threw) ++report_.absorbed;
      if (!run.fired && must_come(nth) && problem.empty()) problem = "the allocation did not come";
    }
    left = AllocationFailure::live_count() - left;
    if (problem.empty() && left != 0) problem = "leaks " + std::to_string(left) + " blocks";
    if (!problem.empty()) report_.problem = present_point + ": " + problem;
  }

  // Threads allocate when they come to it. Without them, which calls are sampled, and allocate for
  // that, is chance: the last ones need not come.
  [[nodiscard]] bool must_come(std::uint64_t nth) const {
    constexpr std::uint64_t kSampledMax = 16;
    return mode_ != AllocationMode::Concurrent && nth + kSampledMax < report_.allocations;
  }

  const Script& script_;
  const AllocationMode mode_;
  const TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "index";
  const std::filesystem::path beginning_ = directory_.path() / "beginning";
  AllocationReport report_;
};

}  // namespace

std::string to_string(const AllocationReport& report) {
  return std::to_string(report.allocations) + " allocations, " + std::to_string(report.points) +
         " failures: " + std::to_string(report.thrown) + " thrown, " +
         std::to_string(report.latched) + " latched, " + std::to_string(report.absorbed) +
         " absorbed";
}

AllocationReport sweep_allocations(const Script& script, AllocationMode mode,
                                   std::uint64_t stride) {
  prepare_process_for_sweeps();
  std::set_terminate([] {
    AllocationFailure::disarm();
    std::fprintf(stderr, "terminated: %s\n", present_point.c_str());
    std::abort();
  });
  const auto pause = internal::hooks::retry_pause.exchange(std::chrono::milliseconds(1));
  AllocationReport report = AllocationSweep(script, mode).run(stride);
  internal::hooks::retry_pause = pause;
  return report;
}

}  // namespace varve::test
