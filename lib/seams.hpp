// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "segment/segment.hpp"

namespace varve::internal {

// The two things that differ between access modes inside the engine. A null seam means that the
// caller is alone (Bare, and Synchronized behind its one lock): no cost, nothing to wait for.

// Excludes a second writer of a segment.
class SegmentExclusion {
 public:
  virtual ~SegmentExclusion() = default;
  virtual void lock(segment::Segment& segment) = 0;
  virtual void unlock(segment::Segment& segment) noexcept = 0;
};

// Decides when a retired view may be freed: once no reader can be in it.
class Reclaimer {
 public:
  virtual ~Reclaimer() = default;
  // Takes over the reference that the segment held.
  virtual void retire(const segment::View* view) noexcept = 0;
};

struct Seams {
  SegmentExclusion* exclusion = nullptr;
  Reclaimer* reclaimer = nullptr;
};

}  // namespace varve::internal
