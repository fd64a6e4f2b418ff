// SPDX-License-Identifier: Apache-2.0
// What the core does when the medium has no room.
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>

#include "directory/mutant.hpp"
#include "lib/core.hpp"

namespace varve::internal {
namespace {

// Frees what readers need no more. Files of which nothing else is left take their room until then,
// so it waits for the reads of the moment, but not for good. False: nothing was retired.
bool free_retired(concurrent::EpochDomain& domain) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kWaitMax = std::chrono::seconds(1);
  constexpr auto kPause = std::chrono::microseconds(50);
  if (domain.statistics().pending_count == 0) return false;
  const std::uint64_t ticket = concurrent::EpochDomain::begin_grace();
  const Clock::time_point end = Clock::now() + kWaitMax;
  // Another thread that collects may have taken them before the reads were over.
  while (!concurrent::EpochDomain::grace_over(ticket) || domain.collect() == 0) {
    if (domain.statistics().pending_count == 0 || Clock::now() >= end) break;
    std::this_thread::sleep_for(kPause);  // Unpinning wakes nobody.
  }
  return true;
}

}  // namespace

void Core::ready_log(std::size_t payload_size, bool erases) {
  const auto attempt = [&](bool small) {
    try {
      begin_log(payload_size, small);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::NoSpace) {
        lacking_payload_.store(payload_size, std::memory_order_relaxed);
        space.ran_out(Space::Use::Log, error);
      }
      throw;
    }
    space.sufficed(Space::Use::Log);
  };
  if (!erases) {
    if (space.lacks(Space::Use::Log) && !space.worth_trying(Space::Use::Log)) space.refuse();
    attempt(false);
    return;
  }
  const auto finds_room = [&](bool small) {
    try {
      attempt(small);
      return true;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::NoSpace) throw;
      return false;
    }
  };
  if (!space.is_short() && finds_room(false)) return;
  const auto jobs = lock_jobs();  // Without jobs, whose files come and go.
  if (finds_room(true)) return;
  give_up_room();
  if (finds_room(true)) return;
  space.give_up(Space::Use::Log);
  attempt(true);
}

void Core::do_job(const std::function<void()>& job) {
  for (bool again = true;; again = false) {
    try {
      job();
      share_memory();
      break;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::NoSpace) throw;
      space.ran_out(Space::Use::Job, error);
      if (!again || !free_unneeded()) throw;
    }
  }
  space.sufficed(Space::Use::Job);
  keep_reserve();
}

void Core::with_reserve(const std::function<void()>& work) {
  try {
    work();
    return;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NoSpace || !give_up_room()) throw;
  }
  work();
}

bool Core::free_unneeded() {
  const bool freed_views = concurrency != nullptr && free_retired(concurrency->domain);
  if (log == nullptr) return freed_views;
  const auto lock = lock_catalog();
  return log->remove_spares() || freed_views;
}

bool Core::give_up_room() {
  const bool freed = free_unneeded();
  return space.give_up(Space::Use::Job) || freed;
}

void Core::keep_reserve() {
  if (options.read_only) return;
  const auto held = manifest();
  if (held->edit == reserve_edit_.load(std::memory_order_relaxed)) {
    if (!space.lacks(Space::Use::Reserve)) return;
  }
  // Files that only retired views hold open take the room that it wants.
  if (concurrency != nullptr && space.lacks(Space::Use::Reserve)) concurrency->domain.collect();
  std::uint64_t runs_size = 0;
  for (const SegmentRecord& segment : held->segments) {
    if (segment.main) runs_size += segment.main->size;
    for (const RunRecord& slice : segment.slices) runs_size += slice.size;
  }
  try {
    space.take(runs_size);
  } catch (const Error& error) {
    // Nothing depends on it but what may be done when the medium is full.
    job_failures.note(JobFailures::kReserve, error.what());
    return;
  }
  reserve_edit_.store(held->edit, std::memory_order_relaxed);
  job_failures.clear(JobFailures::kReserve);
}

void Core::admit_growth() {
  if (!space.lacks(Space::Use::Reserve) || VARVE_MUTANT("reserve.used_up_by_growth")) return;
  if (space.worth_trying(Space::Use::Reserve)) keep_reserve();
  if (space.lacks(Space::Use::Reserve)) space.refuse();
}

void Core::look_for_room() {
  if (space.lacks(Space::Use::Reserve) && space.worth_trying(Space::Use::Reserve)) keep_reserve();
  if (!space.lacks(Space::Use::Log) || space.lacks(Space::Use::Reserve)) return;
  try {
    ready_log(lacking_payload_.load(std::memory_order_relaxed), false);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NoSpace) throw;  // That is known.
  }
}

}  // namespace varve::internal
