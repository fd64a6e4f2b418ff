// SPDX-License-Identifier: Apache-2.0
#include "lib/job_failures.hpp"

#include <algorithm>

#include "lib/hooks.hpp"

namespace varve::internal {
namespace {

constexpr auto kPauseMax = std::chrono::minutes(1);

}  // namespace

void JobFailures::note(std::uint64_t segment_id, const std::string& message) {
  const std::lock_guard lock(mutex_);
  Failing& failing = failing_[segment_id];
  failing.message = message;
  failing.pause = failing.pause == Clock::duration()
                      ? hooks::retry_pause.load(std::memory_order_relaxed)
                      : std::min<Clock::duration>(2 * failing.pause, kPauseMax);
  failing.next_try = Clock::now() + failing.pause;
  count_.fetch_add(1, std::memory_order_relaxed);
  failing_count_.store(failing_.size(), std::memory_order_relaxed);
}

void JobFailures::clear(std::uint64_t segment_id) noexcept {
  if (!any()) return;
  const std::lock_guard lock(mutex_);
  failing_.erase(segment_id);
  failing_count_.store(failing_.size(), std::memory_order_relaxed);
}

bool JobFailures::resting(std::uint64_t segment_id) const noexcept {
  if (!any()) return false;
  const std::lock_guard lock(mutex_);
  const auto found = failing_.find(segment_id);
  return found != failing_.end() && Clock::now() < found->second.next_try;
}

std::string JobFailures::message() const {
  const std::lock_guard lock(mutex_);
  return failing_.empty() ? std::string() : failing_.begin()->second.message;
}

}  // namespace varve::internal
