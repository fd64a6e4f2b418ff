// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "lib/log_format.hpp"
#include "lib/manifest.hpp"

namespace varve::internal {

// The write-ahead log: a chain of preallocated files, the last of which is appended to.
//
// Thread-safety: one thread at a time for everything but sync() (the caller's lock holds the
// others off). Durability: append() = the record survives the process; sync() = the device.
// Errors: Io, NoSpace from rotation and sync. After a failed sync the log is poisoned: append()
// and sync() throw the same Error from then on.
class WriteLog {
 public:
  WriteLog(directory::Directory& directory, std::string uuid, std::size_t file_size);
  WriteLog(const WriteLog&) = delete;
  WriteLog& operator=(const WriteLog&) = delete;
  ~WriteLog();

  // Begins file `number` (recycling a dead one when there is one, else creating), big enough for a
  // record of `payload_size` bytes. Syncs and seals the file before it. The caller must make the
  // number known in the manifest before it appends.
  void rotate(std::uint64_t number, Sequence first_sequence, std::size_t payload_size);
  // True when a record with that payload fits into the current file.
  [[nodiscard]] bool fits(std::size_t payload_size) const noexcept;
  // Requires: fits(). One record.
  void append(Sequence sequence, std::string_view payload);
  // Like append() of a batch with one operation, without building the payload first.
  void append_operation(Sequence sequence, OperationKind kind, std::string_view key,
                        std::string_view value);
  [[nodiscard]] static std::size_t operation_payload_size(std::string_view key,
                                                          std::string_view value) noexcept;
  // Makes everything appended so far survive power loss; nothing to do when it already does.
  void sync();

  // Live files for the manifest, oldest first; the last one is being written.
  [[nodiscard]] const std::vector<LogRecordEntry>& live() const noexcept;
  // Takes over files that recovery read and that are still needed.
  void adopt(std::vector<LogRecordEntry> recovered);
  // Bytes in live files that recovery would read.
  [[nodiscard]] std::uint64_t live_size() const noexcept;
  // Files whose records are all <= checkpoint leave live(); they become removable after the next
  // manifest replacement. `last_sequences` are kept inside.
  void release_through(Sequence checkpoint);
  // After that replacement: keeps up to two released files for recycling, removes the others.
  void remove_released();
  [[nodiscard]] std::uint64_t bytes_appended() const noexcept;  // Since construction.
  [[nodiscard]] std::uint64_t sync_count() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve::internal
