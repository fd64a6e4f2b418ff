// SPDX-License-Identifier: Apache-2.0
#include "lib/job_failures.hpp"

#include <algorithm>
#include <new>

#include "lib/hooks.hpp"

namespace varve::internal {
namespace {

constexpr auto kPauseMax = std::chrono::minutes(1);

}  // namespace

// Requires: mutex_ is held, as for count_failing().
void JobFailures::set_pause(Failing& failing) noexcept {
  failing.pause = failing.pause == Clock::duration()
                      ? hooks::retry_pause.load(std::memory_order_relaxed)
                      : std::min<Clock::duration>(2 * failing.pause, kPauseMax);
  failing.next_try = Clock::now() + failing.pause;
}

void JobFailures::count_failing() noexcept {
  const bool unnamed = unnamed_.pause != Clock::duration();
  failing_count_.store(failing_.size() + (unnamed ? 1 : 0), std::memory_order_relaxed);
}

void JobFailures::note(std::uint64_t segment_id, const char* message) noexcept {
  const std::lock_guard lock(mutex_);
  Failing* failing = &unnamed_;
  try {
    failing = &failing_[segment_id];
    failing->message = message;
  } catch (const std::bad_alloc&) {
    // It is noted without a message, or without a name.
  }
  set_pause(*failing);
  count_.fetch_add(1, std::memory_order_relaxed);
  count_failing();
}

void JobFailures::clear(std::uint64_t segment_id) noexcept {
  if (!any()) return;
  const std::lock_guard lock(mutex_);
  failing_.erase(segment_id);
  // What has no name is over once something has gone well after its rest.
  if (Clock::now() >= unnamed_.next_try) unnamed_.pause = {};
  count_failing();
}

bool JobFailures::resting(std::uint64_t segment_id) const noexcept {
  if (!any()) return false;
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (unnamed_.pause != Clock::duration() && now < unnamed_.next_try) return true;
  const auto found = failing_.find(segment_id);
  return found != failing_.end() && now < found->second.next_try;
}

std::string JobFailures::message() const {
  const std::lock_guard lock(mutex_);
  if (!any()) return {};
  const std::string& message =
      failing_.empty() ? unnamed_.message : failing_.begin()->second.message;
  return message.empty() ? "memory ran out in a job" : message;
}

}  // namespace varve::internal
