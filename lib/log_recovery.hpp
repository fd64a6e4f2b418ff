// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "lib/core.hpp"
#include "lib/insertion_queue.hpp"
#include "lib/log_format.hpp"
#include "lib/manifest.hpp"

namespace varve::internal {

// Brings back into memory what the live logs hold and no run has.
//
// - read(): checks every record, replays what memory takes, and changes nothing on disk
// - take_over(): the logs are ours to go on with
// - finish(): replays what is left, flushing on the way
//
// read() takes the logs in groups, side by side where there is more than one thread: each fills
// deltas of its own, which become the segments' in the order of the logs when all groups are done.
// Each once, in this order; of a read-only index without take_over(). One thread.
class LogRecovery {
 public:
  // Requires: the core's segments are open and empty.
  explicit LogRecovery(Core& core) noexcept : core_(core) {}
  LogRecovery(const LogRecovery&) = delete;
  LogRecovery& operator=(const LogRecovery&) = delete;

  // Errors: Corruption (naming file and offset), LimitExceeded, Io; they come before anything on
  // disk is changed: whoever puts a lost file back must find the others as they were.
  void read();
  // Errors: Io, NoSpace.
  void take_over();
  // Errors: as a flush.
  void finish();

 private:
  // A log that the manifest names, as it was found.
  struct LiveLog {
    LogRecordEntry entry;
    std::shared_ptr<const directory::ImmutableFile> file;
    LogScan scan;
    std::optional<LogRecordView> first;  // Without its operations.
  };
  struct LogPosition {
    std::size_t log = 0;  // Of logs_.
    std::uint64_t offset = 0;
  };
  struct RangeErase {
    std::string from, to;
    Sequence sequence;
  };
  // Logs that follow each other, and what they have for the segments.
  struct Group {
    std::size_t begin = 0, end = 0;                       // Of logs_.
    std::optional<LogPosition> left_from;                 // What memory did not take begins here.
    Sequence last_replayed = 0;                           // 0: none was.
    std::uint64_t operation_count = 0;                    // Replayed.
    std::vector<std::shared_ptr<segment::Delta>> deltas;  // By the segment's index; null: none.
    std::vector<RangeErase> range_erases;
  };
  using SegmentQueue = InsertionQueue<segment::Segment>;
  using DeltaQueue = InsertionQueue<segment::Delta>;

  void open_logs();
  [[nodiscard]] std::vector<Group> make_groups(std::uint64_t logs_size) const;
  void read_group(Group& group);
  void replay_apart(const LogRecordView& record, Group& group, DeltaQueue& queue) const;
  void check_order() const;
  void take_groups(const std::vector<Group>& groups);
  [[nodiscard]] bool can_resume(const LiveLog& log) const;
  [[nodiscard]] bool takes_no_more() const noexcept;
  [[nodiscard]] bool is_memory_full() const noexcept;
  void replay(const LogRecordView& record, SegmentQueue& queue);
  void flush_replayed();

  Core& core_;
  std::vector<LiveLog> logs_;
  std::shared_ptr<const Manifest> manifest_;  // The core's, as of the last flush.
  std::optional<LogPosition> left_from_;      // Records from here on are left to finish().
};

}  // namespace varve::internal
