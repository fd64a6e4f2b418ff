// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "varve/export.hpp"

namespace varve {

// One code per thing that the caller can do about it, not per place where it happened.
enum class ErrorCode : std::uint8_t {
  InvalidArgument,  // Fix the call: a limit, an option or a range is wrong.
  NotFound,         // There is no index (or no such file): create it, or give another path.
  AlreadyExists,    // create() found an index: open it, or give another path.
  Locked,           // Another process or handle owns the directory: try later.
  Busy,             // The write did not happen before its deadline: try again later.
  Io,               // The operating system refused: system() holds errno.
  NoSpace,          // The medium or the quota is full: free space, then go on.
  ReadOnly,         // The index cannot be written: read-only medium, or an earlier failure.
  Corruption,       // Bytes on disk contradict their checksum or format: check, restore, repair.
  Unsupported,      // Written by a newer Varve, or not available here: upgrade or change options.
  Mismatch,         // An option or codec differs from what the index was created with.
  Invalidated,      // A fail-fast scan was stepped after a write had ended it: begin again.
  Cancelled,        // The caller's cancel token stopped a maintenance call; nothing is lost.
  Closed,           // The index is not open (not yet, or no longer).
  ForkedHandle,     // The handle was opened by the parent process: open your own.
  LimitExceeded,    // A documented resource limit was reached.
  OutOfMemory,      // The memory for an operation could not be had; the index is unchanged.
  // Locks wait for each other in a circle, shown by what(); nothing was done. A bug: report it.
  PotentialDeadlock,
};

// The code's name as written above, e.g. "Corruption". Never null.
[[nodiscard]] VARVE_EXPORT std::string_view to_string(ErrorCode code) noexcept;

// An operating failure. Answers (an absent key, a busy lock asked for with try_) are return values;
// bugs abort. what() is one sentence for a person: what was attempted, on what, what was expected
// and what was found, e.g.
//   "main-7-3.varve, block at byte 28672: checksum 9f3c21aa expected, 01ab77e0 found"
// Thread-safety: immutable; copying never throws, so one Error may be thrown again in several
// threads (as the latched failure of a background job is).
class VARVE_EXPORT Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::filesystem::path path = {},
        std::error_code system = {});
  // A write that was not done; `retry_after` is when it may succeed, by the present rate of work.
  [[nodiscard]] static Error busy(const std::string& reason, std::chrono::nanoseconds retry_after);
  Error(const Error&) noexcept;
  Error& operator=(const Error&) noexcept;
  ~Error() override;  // Out of line: anchors the vtable, so that catch works across libraries.

  [[nodiscard]] ErrorCode code() const noexcept;
  // The file or directory concerned; empty where there is none.
  [[nodiscard]] const std::filesystem::path& path() const noexcept;
  // errno of the refused system call; set for Io, NoSpace, ReadOnly and some Locked only.
  [[nodiscard]] std::error_code system() const noexcept;
  // After which time it makes sense to try again; 0 where that is not known. Set for some Busy
  // only.
  [[nodiscard]] std::chrono::nanoseconds retry_after() const noexcept;

 private:
  struct Details;
  Error(const std::string& message, std::shared_ptr<const Details> details);
  std::shared_ptr<const Details> details_;
};

}  // namespace varve
