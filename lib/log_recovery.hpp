// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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
//   read(): every record is checked, and replayed as far as memory takes it; nothing on disk
//   changes take_over(): the logs are ours to go on with finish(): replays what is left, flushing
//   on the way
//
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
  };

  [[noreturn]] void fail_as_overlapping(const LiveLog& log, const LogRecordView& first,
                                        Sequence last) const;
  [[nodiscard]] bool can_resume(const LiveLog& log) const;
  [[nodiscard]] bool is_memory_full() const noexcept;
  void replay(const LogRecordView& record, InsertionQueue& queue);
  void flush_replayed();

  Core& core_;
  std::vector<LiveLog> logs_;
  std::shared_ptr<const Manifest> manifest_;  // The core's, as of the last flush.
  // Records from this offset of this log on are left to finish().
  std::size_t stopped_in_ = 0;
  std::uint64_t stopped_at_ = 0;
  bool stopped_ = false;
};

}  // namespace varve::internal
