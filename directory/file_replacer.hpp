// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "directory/directory.hpp"
#include "directory/file_system.hpp"

namespace varve::directory {

// Syncs a File or a FileSystem. Errors: NoSpace; any other failure as SyncError.
template <typename Syncable>
void sync_or_doubt(Syncable& what) {
  try {
    what.sync();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::NoSpace) throw;
    throw SyncError(error);
  }
}

// Replaces one file as a whole: after a crash at any point `name` holds the old bytes or the new.
//
//   append()*   commit(): 1. sync the tmp file   2. rename it to `name`   3. sync the directory
//
// commit_new() takes the same steps for a file that is to replace nothing.
//
// Durability: when commit() returns, the new bytes survive power loss. Crash before 2: the old
// file, and a ".tmp" which the next open deletes. Crash between 2 and 3: either file, each whole.
// A failed sync is never retried: the kernel may already have dropped the dirty pages.
// A ".tmp" that an earlier crash left behind, of whatever kind, is removed first, never written.
// Thread-safety: none; two replacers of one name exclude each other.
// Errors: Io, NoSpace, ReadOnly, SyncError, from any call; destroy the replacer then. When commit()
// fails after its rename, the file that a crash would leave is either one; renamed() says so.
class FileReplacer {
 public:
  FileReplacer(FileSystem& file_system, std::string_view name);
  FileReplacer(const FileReplacer&) = delete;
  FileReplacer& operator=(const FileReplacer&) = delete;
  ~FileReplacer();  // Without a commit, removes the tmp file as far as that is possible.

  void append(std::string_view bytes);
  // Lets the device begin with what was appended since the last call, so that the sync of a large
  // file has little left to wait for.
  void start_write_back();
  void commit();
  void commit_new();  // The name must be free. Errors: AlreadyExists; what has it stays as it is.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] bool renamed() const noexcept { return renamed_; }

 private:
  using Rename = void (FileSystem::*)(std::string_view from, std::string_view to);
  void commit_by(Rename rename);

  FileSystem& file_system_;  // Outlives us.
  const std::string name_;
  const std::string tmp_name_;
  std::unique_ptr<File> tmp_;
  std::uint64_t size_ = 0;
  std::uint64_t write_back_from_ = 0;
  bool renamed_ = false;  // From here on there is nothing to clean up.
};

}  // namespace varve::directory
