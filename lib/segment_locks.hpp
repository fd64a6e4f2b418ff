// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "directory/acquire_multiple.hpp"
#include "lib/core.hpp"

namespace varve::internal {

// Holds the writer locks of several segments. They are taken in the order of their ids, whatever
// order they are given in, so that two of these never wait for each other. Without concurrency
// there is nothing to lock.
class SegmentLocks {
 public:
  // Errors: Busy or PotentialDeadlock when a deadline is given and passes first.
  SegmentLocks(const Core& core, const std::vector<segment::Segment*>& segments,
               const std::optional<directory::Mutex::Clock::time_point>& deadline = {}) {
    if (core.concurrency == nullptr) return;
    std::vector<directory::Mutex*> mutexes;
    mutexes.reserve(segments.size());
    for (segment::Segment* segment : segments) mutexes.push_back(&segment->writer_mutex());
    held_ = deadline ? directory::acquire_multiple_before(std::move(mutexes), *deadline)
                     : directory::acquire_multiple(std::move(mutexes));
  }
  SegmentLocks(const Core& core, const std::vector<std::shared_ptr<segment::Segment>>& segments)
      : SegmentLocks(core, pointers(segments)) {}

 private:
  static std::vector<segment::Segment*> pointers(
      const std::vector<std::shared_ptr<segment::Segment>>& segments) {
    std::vector<segment::Segment*> list;
    list.reserve(segments.size());
    for (const auto& segment : segments) list.push_back(segment.get());
    return list;
  }
  directory::HeldMutexes held_;
};

}  // namespace varve::internal
