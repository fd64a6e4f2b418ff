// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "lib/core.hpp"
#include "lib/insertion_queue.hpp"
#include "lib/log_filler.hpp"
#include "lib/log_format.hpp"
#include "lib/manifest.hpp"

namespace varve::internal {

// Brings back into memory what the live logs hold and no run has.
//
// - read(): checks every record, replays what memory takes, and changes nothing on disk
// - take_over(): the logs are ours to go on with
// - finish(): replays what is left, flushing on the way
//
// read() takes the logs in groups, side by side where there is more than one thread. Each notes
// what it has for which segment; that becomes deltas, in the order of the logs, when all groups are
// done. These are filled when somebody first asks for them, so that opening need not wait for it.
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
    std::size_t begin = 0, end = 0;        // Of logs_.
    std::optional<LogPosition> left_from;  // What memory did not take begins here.
    Sequence last_replayed = 0;            // 0: none was.
    std::uint64_t operation_count = 0;     // Replayed.
    std::size_t noted_size = 0;            // Of the deltas to come; what is not in noted_size_ yet.
    std::vector<std::unique_ptr<LogFiller>> fillers;  // By the segment's index; null: none.
    std::vector<RangeErase> range_erases;
  };
  using SegmentQueue = InsertionQueue<segment::Segment>;

  void open_logs();
  [[nodiscard]] std::vector<Group> make_groups(std::uint64_t logs_size) const;
  void read_group(Group& group);
  void note(const LogRecordView& record, const std::shared_ptr<const LogBytes>& log, Group& group);
  void check_order() const;
  void take_groups(std::span<Group> groups);
  void give_deltas(std::span<Group> groups);
  [[nodiscard]] bool can_resume(const LiveLog& log) const;
  [[nodiscard]] bool takes_no_more() const noexcept;
  [[nodiscard]] bool is_memory_full() const noexcept;
  void replay(const LogRecordView& record, SegmentQueue& queue);
  void flush_replayed();

  Core& core_;
  std::vector<LiveLog> logs_;
  std::shared_ptr<const Manifest> manifest_;  // The core's, as of the last flush.
  std::optional<LogPosition> left_from_;      // Records from here on are left to finish().
  std::atomic<std::size_t> noted_size_ = 0;   // Memory of the deltas to come, of all groups.
};

}  // namespace varve::internal
