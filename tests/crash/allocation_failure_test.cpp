// SPDX-License-Identifier: Apache-2.0
// The engine without memory: each allocation that a call makes fails once, or it and all later
// ones.
//
// Method: a short script on real files, run once per allocation and mode. A call that fails says so
// by Error or std::bad_alloc; if the index then goes on, the call had no effect and all later calls
// succeed. If it does not, it refuses to write. Nothing leaks, nothing aborts, and the next open
// finds what had been acknowledged, and a sound index.
#include "tests/crash/allocation_failure.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/crash/scenario.hpp"
#include "tests/crash/sweep_process.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/longer_run.hpp"
#include "tests/support/temporary_directory.hpp"
#include "varve/check.hpp"
#include "varve/error.hpp"

namespace varve::test {
namespace {

using enum Step::Kind;
using enum Durability;

std::string present_point;  // For std::terminate.

struct AllocationReport {
  std::uint64_t allocations = 0, points = 0, thrown = 0, latched = 0, absorbed = 0;
  std::string problem;
};

// One run in which an allocation fails.
class AllocationRun {
 public:
  AllocationRun(const Script& script, const std::filesystem::path& path, std::uint64_t nth,
                bool sticky)
      : script_(script),
        path_(path),
        options_(options_of(script.scenario())),
        nth_(nth),
        sticky_(sticky) {}

  void run() {
    attempt([this] { index_.emplace(SegmentIndex::open(path_, options_)); });
    std::size_t number = 0;
    for (const Step::Kind call : script_.calls()) {
      if (!index_ || !problem.empty()) break;
      if (Script::is_write(call)) {
        write(script_.states().writes()[number++]);
      } else {
        const bool done = attempt([&] { perform(call); });
        if (!done && !failed_now()) look("another call");
        if (done && (call == Flush || call == Sync)) flushed_ = happened_.size();
      }
    }
    finish();
  }

  std::string problem;
  bool fired = false, threw = false, latched = false;
  std::uint64_t allocation_count = 0;

 private:
  // False: it failed for want of memory.
  bool attempt(const std::function<void()>& work) {
    const bool expected_to_work = fired && !sticky_;
    if (!fired || sticky_) {
      AllocationFailure::arm(fired ? 0 : nth_ - allocation_count, sticky_);
    }
    bool done = false;
    try {
      work();
      done = true;
    } catch (const Error& error) {
      AllocationFailure::disarm();
      note_failure(error.what(), expected_to_work);
    } catch (const std::bad_alloc&) {
      AllocationFailure::disarm();
      note_failure("std::bad_alloc", expected_to_work);
    }
    AllocationFailure::disarm();
    if (!fired) allocation_count += AllocationFailure::count();
    fired = fired || AllocationFailure::fired();
    return done;
  }
  void note_failure(const std::string& what, bool expected_to_work) {
    threw = true;
    if (expected_to_work && !latched) {
      problem = "with memory again, a call fails: " + what;
    }
    latched = failed_now();
  }
  [[nodiscard]] bool failed_now() const {
    return index_ && index_->lifecycle() == Lifecycle::Failed;
  }

  void write(const Write& write) {
    const bool failed_before = failed_now();
    if (attempt([&] { apply(write, *index_); })) {
      if (failed_before) problem = "a write returned after a failure was latched";
      happened_.push_back(&write);
      apply(write, model_);
    } else if (!failed_before && failed_now()) {
      doubtful_ = &write;
    } else if (!failed_before) {
      look("a write");
    }
  }

  // What failed and was not latched must have had no effect.
  void look(const std::string& what) {
    const std::string found = difference(model_, model_of(*index_));
    if (!found.empty()) problem = what + " that failed had an effect: " + found;
  }

  void perform(Step::Kind call) {
    switch (call) {
      case Sync:
        return index_->sync();
      case Flush:
        return index_->flush();
      case Compact:
        return index_->compact();
      case Read: {
        std::size_t count = 0;
        for (const auto& entry : index_->scan()) count += entry.key.size();
        for (const auto& entry : index_->scan({.reverse = true})) count -= entry.key.size();
        if (count != 0) throw std::logic_error("two scans differ");
        static_cast<void>(index_->get("user:000000"));
        static_cast<void>(index_->statistics());
        return;
      }
      case HoldSnapshot:
        snapshot_.emplace(index_->snapshot());
        return;
      case DropSnapshot:
        snapshot_.reset();
        return;
      default:
        throw std::logic_error("a step that this test does not know");
    }
  }

  void finish() {
    bool closed = false;
    if (index_) {
      const bool failed = failed_now();
      closed = attempt([this] { index_->close(); }) && !failed;
      latched = latched || failed;
    }
    snapshot_.reset();
    index_.reset();
    if (!problem.empty()) return;
    const CheckReport report = check_if_there();
    for (const CheckFinding& finding : report.findings) {
      if (finding.severity == Severity::Damage) problem = finding.file + ": " + finding.what;
    }
    if (!problem.empty()) return;
    const Model found = model_of(SegmentIndex::open(path_, options_));
    if (!is_legal(found, closed)) {
      problem = "the next open shows what is not legal: " + difference(model_, found);
    }
  }
  CheckReport check_if_there() const {
    try {
      return check(path_, {.deep = true});
    } catch (const Error& error) {
      if (error.code() != ErrorCode::NotFound) throw;
      return {};
    }
  }

  [[nodiscard]] bool is_legal(const Model& found, bool closed) const {
    // Without a close(), writes that have no record reach to some flush since the last one.
    for (std::size_t flushed = closed ? happened_.size() : flushed_; flushed <= happened_.size();
         ++flushed) {
      Model model;
      for (std::size_t i = 0; i < happened_.size(); ++i) {
        if (i < flushed || happened_[i]->logged()) apply(*happened_[i], model);
      }
      if (found == model) return true;
      if (doubtful_ == nullptr) continue;
      apply(*doubtful_, model);
      if (found == model) return true;
    }
    return false;
  }

  const Script& script_;
  const std::filesystem::path path_;
  const Options options_;
  const std::uint64_t nth_;
  const bool sticky_;
  std::optional<SegmentIndex> index_;
  std::optional<Snapshot> snapshot_;
  Model model_;
  std::vector<const Write*> happened_;
  std::size_t flushed_ = 0;
  const Write* doubtful_ = nullptr;
};

void clear(const std::filesystem::path& path) {
  std::filesystem::remove_all(path);
}

// Every allocation of the script, once and sticky.
AllocationReport sweep_allocations(const Script& script, std::uint64_t stride) {
  const TemporaryDirectory directory;
  const std::filesystem::path path = directory.path() / "index";
  AllocationReport report;
  for (int i = 0; i < 2; ++i) {  // What threads keep for themselves is there afterwards.
    clear(path);
    AllocationRun whole(script, path, UINT64_MAX, false);
    whole.run();
    report.allocations = whole.allocation_count;
    report.problem = whole.problem;
    if (whole.threw) report.problem = "fails with memory: " + whole.problem;
  }
  for (std::uint64_t nth = 0; nth < report.allocations && report.problem.empty(); nth += stride) {
    for (const bool sticky : {false, true}) {
      clear(path);
      present_point = script.scenario().name + ", allocation " + std::to_string(nth) +
                      (sticky ? ", sticky" : ", once");
      std::int64_t left = AllocationFailure::live_count();
      std::string problem;
      {
        AllocationRun run(script, path, nth, sticky);
        run.run();
        problem = run.problem;
        ++report.points;
        if (run.threw) ++report.thrown;
        if (run.latched) ++report.latched;
        if (run.fired && !run.threw) ++report.absorbed;
      }
      left = AllocationFailure::live_count() - left;
      if (problem.empty() && left != 0) problem = "leaks " + std::to_string(left) + " blocks";
      if (!problem.empty()) {
        report.problem = present_point + ": " + problem;
        break;
      }
    }
  }
  return report;
}

void sweep(const Scenario& scenario, std::uint64_t stride = 1) {
  prepare_process_for_sweeps();
  std::set_terminate([] {
    AllocationFailure::disarm();
    std::fprintf(stderr, "terminated: %s\n", present_point.c_str());
    std::abort();
  });
  const AllocationReport report =
      sweep_allocations(Script(scenario, setting("VARVE_SWEEP_SEED", 1)), stride);
  CHECK(report.problem == "");
  CHECK(report.thrown > 0);
  WARN(scenario.name << ": " << report.allocations << " allocations, " << report.points
                     << " failures: " << report.thrown << " thrown, " << report.latched
                     << " latched, " << report.absorbed << " absorbed");
  tell_reached(report.points, "failing allocations");
}

}  // namespace

TEST_CASE("an allocation that fails in writes, flush and merge loses nothing",
          "[crash][allocation]") {
  sweep({.name = "writes, a flush and a merge",
         .steps = {{Load, 6},
                   {Batch, 2},
                   {Flush},
                   {Overwrite, 2, 40, Synced},
                   {Sync},
                   {EraseRange, 1},
                   {Compact},
                   {Read},
                   {Overwrite, 2},
                   {Erase, 1}}});
}
TEST_CASE("an allocation that fails amid writes without a log loses no others",
          "[crash][allocation]") {
  sweep({.name = "buffered writes",
         .options = [](Options& options) { options.tuning.compaction_ratio = 4; },
         .steps = {{Load, 4, 40, Buffered},
                   {Flush},
                   {Overwrite, 2, 40, Buffered},
                   {Load, 2},
                   {Sync},
                   {Batch, 2, 40, Buffered},
                   {Read},
                   {Compact}}});
}
TEST_CASE("an allocation that fails in a split loses nothing", "[crash][allocation]") {
  sweep({.name = "a split, delta runs and a merge of neighbours",
         .options = [](Options& options) { options.tuning.compaction_ratio = 4; },
         .steps = {{Load, 24, 3000},
                   {Compact},
                   {Batch, 2},
                   {Flush},
                   {HoldSnapshot},
                   {EraseAll},
                   {Load, 2},
                   {Compact},
                   {DropSnapshot},
                   {Compact},
                   {Read}}});
}
TEST_CASE("an allocation that fails while the log is rotated loses nothing",
          "[crash][allocation]") {
  sweep({.name = "logs rotated and used again",
         .options = [](Options& options) { options.reads = Reads::Buffered; },
         .steps = {{Load, 24, 6000}, {Overwrite, 14, 9000}, {Read}}});
}

}  // namespace varve::test
