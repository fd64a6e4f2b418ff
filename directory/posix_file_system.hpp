// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "directory/file_system.hpp"

namespace varve::directory {

// The directory at `path`, by system calls relative to its descriptor: nobody who renames or
// replaces a parent directory afterwards can lead us elsewhere.
//
// The descriptor is opened at first use and kept, so an object may exist before its directory.
// Links are never followed, special files never opened for more than an instant, and files with a
// second name (hard links) refused: somebody else could write through that name.
// rename_new() is one step on Linux; where the file system or the kernel has no such call, or it is
// forbidden, it looks first, and replaces what comes between that and the renaming.
// Files are created for their owner alone (0600). Descriptors are close-on-exec and at least 3.
class PosixFileSystem final : public FileSystem {
 public:
  explicit PosixFileSystem(std::filesystem::path path);
  PosixFileSystem(const PosixFileSystem&) = delete;
  PosixFileSystem& operator=(const PosixFileSystem&) = delete;
  ~PosixFileSystem() override;

  [[nodiscard]] std::string path() const override { return path_.string(); }
  [[nodiscard]] std::unique_ptr<File> create(std::string_view name) override;
  [[nodiscard]] std::unique_ptr<File> open(std::string_view name, bool writable) override;
  void rename(std::string_view from, std::string_view to) override;
  void rename_new(std::string_view from, std::string_view to) override;
  void remove(std::string_view name) override;
  [[nodiscard]] bool exists(std::string_view name) const override;
  [[nodiscard]] std::vector<FileInfo> list() const override;
  [[nodiscard]] bool is_writable_by_others() const override;
  void sync() override;
  [[nodiscard]] std::optional<std::uint64_t> free_size() const override;

 private:
  [[nodiscard]] int directory_fd() const;

  const std::filesystem::path path_;
  mutable std::mutex mutex_;
  mutable int directory_fd_ = -1;  // Guarded by mutex_ until it is set; then constant.
};

// The loops around the system calls, which are parameters so that a test can make them be
// interrupted and come up short. Errors: Error with `path`.
using ReadCall = ssize_t (*)(int, void*, std::size_t, off_t);
using WriteCall = ssize_t (*)(int, const void*, std::size_t, off_t);
[[nodiscard]] std::size_t read_up_to(ReadCall call, int fd, std::uint64_t offset,
                                     std::span<char> out, const std::filesystem::path& path);
void write_all(WriteCall call, int fd, std::uint64_t offset, std::string_view bytes,
               const std::filesystem::path& path);

}  // namespace varve::directory
