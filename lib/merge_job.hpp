// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "lib/core.hpp"
#include "lib/hooks.hpp"
#include "varve/segment_index.hpp"

namespace varve::internal {

// How a job runs: who may stop it, and whether it lets other jobs in while it writes.
struct JobControl {
  const CancelToken* cancel = nullptr;
  JobBoard::Lock* joined = nullptr;  // From join_jobs(). Null: the job is alone.
  // Called every few milliseconds of writing, without locks, by a job that joined; null: nothing.
  std::function<void()> rest = nullptr;
  // Errors: Cancelled.
  void check() const;
};

using SegmentPtr = std::shared_ptr<segment::Segment>;

// The time in which a job writes files and needs nothing that other jobs change: lets those in
// that joined, if it joined itself.
class WritingPhase {
 public:
  WritingPhase(const Core& core, const JobControl& control) noexcept
      : core_(core), joined_(control.joined) {
    if (joined_ != nullptr) core_.concurrency->jobs.begin_writing(*joined_);
    VARVE_HOOK("job.writing");
  }
  WritingPhase(const WritingPhase&) = delete;
  WritingPhase& operator=(const WritingPhase&) = delete;
  ~WritingPhase() {
    if (joined_ != nullptr) core_.concurrency->jobs.end_writing(*joined_);
  }

 private:
  const Core& core_;
  JobBoard::Lock* const joined_;
};

// Keeps other jobs off some segments. Made and destroyed under the job's lock.
class Claim {
 public:
  Claim(const Core& core, std::vector<SegmentPtr> segments);
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim();
  [[nodiscard]] static bool is_free(const Core& core, const segment::Segment& segment) noexcept {
    return core.concurrency == nullptr || !core.concurrency->jobs.claimed(segment.id());
  }

 private:
  const Core& core_;
  const std::vector<SegmentPtr> segments_;
};

// The jobs that change what a segment consists of. Each one merges from a view that it holds,
// writes new files, commits one manifest edit and then publishes; until the edit, nothing that it
// did counts. All of them leave the index valid when they throw.
//
// Writers and readers go on meanwhile: a job freezes what it merges, and what is written after that
// stays in memory, in front of what the job made.
// Thread-safety: under Core::lock_jobs(); or under join_jobs(), with the segments claimed, and then
// there may be other jobs before the call returns. Errors: NoSpace, Io, Corruption, Cancelled.

// Writes the memory of `segments` into runs: most as slices of one new delta file, those whose
// deltas have reached alpha straight into a new main run. When writes without a log are in memory,
// all segments are flushed as slices at one moment; only a job that is alone can do that, any other
// leaves it undone.
void flush_segments(Core& core, const std::vector<SegmentPtr>& segments,
                    const JobControl& control = {});

// Merges everything that the segment has, memory included, into main runs: one, or several
// children when the output passes the segment size, or none. Returns the segments that took its
// place.
std::vector<SegmentPtr> merge_main(Core& core, const SegmentPtr& segment,
                                   const JobControl& control = {});

// Merges `count` delta runs from position `first` on into one of the next tier.
void merge_tier(Core& core, const SegmentPtr& segment, std::size_t first, std::size_t count,
                const JobControl& control = {});

// Merges two neighbours into one segment with one main run.
SegmentPtr merge_neighbours(Core& core, const SegmentPtr& left, const SegmentPtr& right,
                            const JobControl& control = {});

// Replaces the active delta by an empty one; the old one joins the frozen ones. No-op when empty.
// Requires: the segment's writer lock is held, where there is one. Whatever was handed out so far
// for the segment is then frozen.
void freeze(Core& core, segment::Segment& segment);

}  // namespace varve::internal
