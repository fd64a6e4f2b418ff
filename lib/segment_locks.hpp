// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "lib/core.hpp"

namespace varve::internal {

// Holds the writer locks of several segments. They are taken in the order of their ids, whatever
// order they are given in, so that two of these never wait for each other. Without concurrency
// there is nothing to lock.
class SegmentLocks {
 public:
  SegmentLocks(const Core& core, std::vector<segment::Segment*> segments) {
    if (core.concurrency == nullptr) return;
    std::sort(segments.begin(), segments.end(),
              [](const auto* a, const auto* b) { return a->id() < b->id(); });
    segments.erase(std::unique(segments.begin(), segments.end()), segments.end());
    locks_.reserve(segments.size());
    for (segment::Segment* segment : segments) locks_.emplace_back(segment->writer_mutex());
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
  std::vector<std::unique_lock<segment::WriterMutex>> locks_;
};

}  // namespace varve::internal
