// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/fault_sweep.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "tests/crash/fault_run.hpp"
#include "tests/crash/recovery_probe.hpp"
#include "tests/crash/sweep_process.hpp"

namespace varve::test {
namespace {

using directory::Fault;
using directory::FaultedCall;
using directory::Operation;
using directory::RebootPolicy;
using directory::RecordedCall;
using End = FaultRun::End;

// A call of the run without faults.
struct Call {
  Operation operation = Operation::Open;
  std::string name;
  std::uint64_t nth = 0;  // Of its operation.
};

bool can_do(const FaultKind& kind, Operation operation) {
  if (kind.partial) return operation == Operation::Write;
  if (kind.drop_unsynced) return operation == Operation::Sync;
  if (kind.error_number != 0) return true;
  return operation == Operation::Read || operation == Operation::MapReadable ||
         operation == Operation::MapWritable;
}

class FaultSweep {
 public:
  FaultSweep(const Script& script, const FaultSweepOptions& options)
      : script_(script),
        options_(options),
        policies_(directory::reboot_policies(16)),
        recovery_options_(options_of(script.scenario())) {
    recovery_options_.access = Access::Bare;
  }

  FaultReport run() {
    record_calls();
    for (std::size_t k = 0; k < calls_.size() && report_.problem.empty(); ++k) {
      for (const FaultKind& kind : fault_kinds()) {
        if (!can_do(kind, calls_[k].operation)) continue;
        for (const bool sticky : {false, true}) {
          if (number_++ % options_.stride == 0 && report_.problem.empty())
            try_fault(k, kind, sticky);
        }
      }
    }
    return std::move(report_);
  }

 private:
  // Once without the close() at the end, to know which calls are its.
  void record_calls() {
    for (const bool close : {false, true}) {
      FaultRun run(script_);
      run.medium()->record_calls();
      run.run(close);
      if (!run.problem().empty() || run.error_count() > 0) {
        report_.problem = script_.scenario().name + " fails without faults: " + run.problem();
      }
      closes_at_ = calls_.size();
      calls_.clear();
      std::map<Operation, std::uint64_t> counts;
      for (const RecordedCall& call : run.medium()->recorded_calls()) {
        calls_.push_back({call.operation, call.name, counts[call.operation]++});
      }
    }
    report_.calls = calls_.size();
  }

  void try_fault(std::size_t k, const FaultKind& kind, bool sticky) {
    const Call& call = calls_[k];
    ++report_.points;
    const End wanted =
        k >= closes_at_ ? End::Closed : static_cast<End>((number_ / 2 + options_.seed) % 3);
    FaultRun run(script_);
    run.medium()->add_fault({.operation = call.operation,
                             .nth = call.nth,
                             .sticky = sticky,
                             .error_number = kind.error_number,
                             .partial_size = kind.partial ? std::uint64_t{7} : 0,
                             .drop_unsynced = kind.drop_unsynced});
    const std::string how = script_.scenario().name + ", call " + std::to_string(k) + ", " +
                            std::string(to_string(call.operation)) + " " + call.name + ": " +
                            kind.name + (sticky ? ", sticky" : ", once");
    const auto fail = [&](const std::string& what) {
      if (report_.problem.empty()) report_.problem = how + ": " + what;
    };
    run.run(wanted == End::Closed);
    if (!run.problem().empty()) fail(run.problem());
    judge_faults(run, kind, k >= closes_at_, fail);
    if (run.latched()) ++report_.latched;
    if (run.went_on()) ++report_.went_on;
    look_at_rest(run, wanted, fail);
  }

  template <typename Fail>
  void judge_faults(const FaultRun& run, const FaultKind& kind, bool closing, const Fail& fail) {
    const std::vector<FaultedCall> faulted = run.medium()->faulted_calls();
    if (faulted.empty()) return fail("the call was not made again: the run is not the same");
    if (run.shown()) {
      ++report_.surfaced;
    } else {
      for (const FaultedCall& call : faulted) {
        // Within close() a merge that fails leaves delta runs, and what lacks room is tried again:
        // nothing is lost, which look_at_rest() sees to, and nobody is there to tell. But for
        // syncs.
        const bool no_space = kind.error_number == ENOSPC || kind.error_number == EDQUOT;
        if ((closing || run.refused_amid_reopening()) && (no_space || !is_sync(call))) {
          ++report_.absorbed_as["within close()"];
          continue;
        }
        // By chance, once in a thousand gets, a run is read for the figures' sake alone. What the
        // get itself must read shows, or is compared with the model.
        if (call.operation == Operation::Read &&
            run.refused_in() == static_cast<int>(Step::Kind::Read)) {
          ++report_.absorbed_as["look at filters for the figures"];
          continue;
        }
        const Absorbed* const entry = find_absorbed(call, kind.error_number);
        if (entry == nullptr) {
          return fail("nobody heard of it, in a step of kind " + std::to_string(run.refused_in()));
        }
        ++report_.absorbed_as[std::string(to_string(entry->operation)) + " " + entry->name_part];
      }
      ++report_.absorbed;
    }
    if (is_sync(faulted.front()) && run.went_on() &&
        !may_go_on(faulted.front(), kind.error_number)) {
      fail("writes went on after a failed sync; the step before it: " +
           faulted.front().step_before);
    }
  }
  static bool is_sync(const FaultedCall& call) {
    return call.operation == Operation::Sync || call.operation == Operation::SyncDirectory;
  }
  static const Absorbed* find_absorbed(const FaultedCall& call, int error_number) {
    for (const Absorbed& entry : absorbed_faults()) {
      if (entry.operation == call.operation &&
          call.name.find(entry.name_part) != std::string::npos &&
          (entry.error_number < 0 || entry.error_number == error_number)) {
        return &entry;
      }
    }
    return nullptr;
  }
  static bool may_go_on(const FaultedCall& call, int error_number) {
    const std::vector<Unlatched>& list = unlatched_syncs();
    return std::any_of(list.begin(), list.end(), [&](const Unlatched& entry) {
      return entry.operation == call.operation && call.step_before.starts_with(entry.step_before) &&
             (entry.error_number < 0 || entry.error_number == error_number);
    });
  }

  // Without the fault: what is there now, and is it there again?
  template <typename Fail>
  void look_at_rest(FaultRun& run, End wanted, const Fail& fail) {
    const End end = wanted == End::Closed && !run.closed() ? End::ProcessDeath : wanted;
    run.medium()->cut_power();
    const Medium medium =
        end == End::PowerLoss
            ? run.medium()->after_reboot(policies_[next_policy_++ % policies_.size()])
            : run.medium()->after_kill();
    const RecoveryProbe probe(recovery_options_, medium);
    const Recovered recovered = probe.recover();
    if (!recovered.problem.empty()) return fail(recovered.problem);
    if (!run.allows(recovered.contents, end)) return fail(run.explain(probe.model(), end));
    if (const std::string what = probe.open_and_close(); !what.empty()) return fail(what);
    const Recovered again = probe.recover();  // Of the medium that was opened and closed.
    if (!again.problem.empty()) return fail("at the second open, " + again.problem);
    if (again.contents != recovered.contents) fail("the second open shows something else");
  }

  const Script& script_;
  const FaultSweepOptions options_;
  const std::vector<RebootPolicy> policies_;
  Options recovery_options_;
  std::vector<Call> calls_;
  std::size_t closes_at_ = 0;  // The first call of the close() at the end.
  std::uint64_t number_ = 0;
  std::size_t next_policy_ = 0;
  FaultReport report_;
};

}  // namespace

const std::vector<FaultKind>& fault_kinds() {
  static const std::vector<FaultKind> kinds = {
      {"EIO", EIO},
      {"ENOSPC", ENOSPC},
      {"EDQUOT", EDQUOT},
      {"EINTR", EINTR},
      {"EMFILE", EMFILE},
      {"ENFILE", ENFILE},
      {"EROFS", EROFS},
      {"EACCES", EACCES},
      {"EPERM", EPERM},
      {"ENOMEM", ENOMEM},
      {"EFBIG", EFBIG},
      {"ESTALE", ESTALE},
      {"a short write, then EIO", EIO, true, false},
      {"a short write, then ENOSPC", ENOSPC, true, false},
      {"EIO, and the pages are clean", EIO, false, true},
      {"a short read or no mapping", 0},
  };
  return kinds;
}

const std::vector<Absorbed>& absorbed_faults() {
  static const std::vector<Absorbed> list = {
      {Operation::MapReadable, "", 0, "what cannot be mapped is read"},
      {Operation::MapWritable, "", 0, "a log that cannot be mapped is written"},
  };
  return list;
}

const std::vector<Unlatched>& unlatched_syncs() {
  // For want of space only, and of files that nobody names yet.
  static const std::vector<Unlatched> list = [] {
    constexpr const char* kNewLog = "the new log is removed; nothing was written to it";
    constexpr const char* kNewRun = "the new run is removed; the log and the memory still have it";
    constexpr const char* kManifest = "the manifest of before is there, whole; freeing space helps";
    std::vector<Unlatched> entries;
    for (const int error_number : {ENOSPC, EDQUOT}) {
      for (const char* const step : {"sync log-", "rename log-"}) {
        entries.push_back({Operation::SyncDirectory, step, error_number, kNewLog});
      }
      for (const char* const step : {"rename delta-", "rename main-"}) {
        entries.push_back({Operation::SyncDirectory, step, error_number, kNewRun});
      }
      for (const char* const step : {"write delta-", "write main-"}) {
        entries.push_back({Operation::Sync, step, error_number, kNewRun});
      }
      entries.push_back({Operation::Sync, "allocate log-", error_number, kNewLog});
      entries.push_back({Operation::Sync, "write MANIFEST.tmp", error_number, kManifest});
    }
    return entries;
  }();
  return list;
}

void FaultReport::add(const FaultReport& other) {
  calls += other.calls;
  points += other.points;
  surfaced += other.surfaced;
  absorbed += other.absorbed;
  latched += other.latched;
  went_on += other.went_on;
  for (const auto& [what, count] : other.absorbed_as) absorbed_as[what] += count;
  if (problem.empty()) problem = other.problem;
}

FaultReport sweep_faults(const Script& script, const FaultSweepOptions& options) {
  prepare_process_for_sweeps();
  return FaultSweep(script, options).run();
}

std::string to_string(const FaultReport& report) {
  std::string text = std::to_string(report.calls) + " calls, " + std::to_string(report.points) +
                     " faults: " + std::to_string(report.surfaced) + " shown, " +
                     std::to_string(report.absorbed) + " absorbed, " +
                     std::to_string(report.latched) + " latched, " +
                     std::to_string(report.went_on) + " with writes afterwards";
  for (const auto& [what, count] : report.absorbed_as) {
    text += "; absorbed: " + what + ": " + std::to_string(count);
  }
  return text;
}

}  // namespace varve::test
