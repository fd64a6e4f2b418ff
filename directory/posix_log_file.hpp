// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

#include "directory/directory.hpp"

namespace varve::directory {

// How far ahead of the newest record the pages of a mapped log are readied, and by how much at a
// time: enough that no append takes a page fault, little enough that a sync writes few pages which
// hold nothing yet. Those that are written to by write() are not.
inline constexpr std::size_t kLogPopulateAhead = std::size_t{64} << 10;
inline constexpr std::size_t kLogPopulateSize = std::size_t{128} << 10;

// Of a log that is gone on with: what the first sync must write again (Directory::resume_log()).
struct ResumedRange {
  std::size_t from = 0;
  std::size_t to = 0;  // The next append is stored here.
};

// Bytes that a sync of a directory's logs has to write, on average of the last ones. Each log goes
// on from what the one before it came to.
using LogSyncAverage = std::atomic<std::size_t>;

// A log in `file`, all of whose blocks are allocated: stored into through a mapping, or, where the
// file cannot be mapped, kept in memory and written by publish(). Errors: Io, OutOfMemory.
[[nodiscard]] std::unique_ptr<LogFile> make_posix_log_file(std::string name,
                                                           std::unique_ptr<File> file,
                                                           std::shared_ptr<LogSyncAverage> average,
                                                           ResumedRange resumed = {});

}  // namespace varve::directory
