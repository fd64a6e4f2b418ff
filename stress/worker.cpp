// SPDX-License-Identifier: Apache-2.0
#include "stress/worker.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>
#include <vector>

#include "stress/expected_state.hpp"
#include "stress/worker_thread.hpp"
#include "varve/error.hpp"

namespace varve::stress {
namespace {

Role role_of(const CyclePlan& plan, std::uint32_t number) {
  if (plan.thread_count() == 1) return Role::All;
  if (number < plan.writer_count) return Role::Writer;
  return number < plan.writer_count + plan.reader_count ? Role::Reader : Role::Scanner;
}

// Tells what `error` is about; the worker's exit status.
int tell(const std::exception& error, const ExpectedState& state) noexcept {
  const auto* const ours = dynamic_cast<const Error*>(&error);
  if (ours != nullptr && ours->code() == ErrorCode::NoSpace) {
    std::fprintf(stderr, "varve-stress worker: %s\n", error.what());
    return kWorkerObstacle;
  }
  state.tell_problem(error.what());
  return 1;
}

// The first problem ends the worker at once, as a kill would, so that the store stays as it was.
void work(const Workplace& workplace, std::uint32_t number) noexcept {
  try {
    WorkerThread(workplace, number, role_of(workplace.plan, number)).run();
  } catch (const std::exception& error) {
    std::_Exit(tell(error, workplace.state));
  }
}

}  // namespace

int run_worker(const WorkerArguments& arguments) {
  ExpectedState state = ExpectedState::open(arguments.expected);
  try {
    SegmentIndex index = SegmentIndex::open(arguments.store, arguments.plan.options);
    state.header().phase.store(WorkerPhase::Opened);
    KeyLocks locks(state.key_count());
    const Workplace workplace{index, state, arguments.plan, locks};
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < arguments.plan.thread_count(); ++i) {
      threads.emplace_back(work, workplace, i);
    }
    for (std::thread& thread : threads) thread.join();
    state.header().phase.store(WorkerPhase::Closing);
    index.close();
    state.header().phase.store(WorkerPhase::Closed);
    return 0;
  } catch (const std::exception& error) {
    return tell(error, state);
  }
}

}  // namespace varve::stress
