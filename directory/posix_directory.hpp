// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"
#include "directory/posix_log_file.hpp"

namespace varve::directory {

// The Directory over a FileSystem: this is where files are written, synced, renamed and their
// directory synced, in the order that power loss demands.
//
//   put_immutable  tmp: create, write in chunks of kWriteChunkSize, sync; rename to a name that is
//                  free; sync directory
//   replace        the same, for bytes that exist already, whatever has the name
//   create_log     create, allocate, sync; sync directory
//   recycle_log    open, allocate and sync if it grows; rename to a free name; sync directory
//   resume_log     open, allocate; the first sync: write what was not synced, sync
//   reserve        create or open; truncate if it shrinks, else allocate
//
// Thread-safety: any method, any thread; two writers of one name exclude each other by its ".tmp".
class PosixDirectory final : public Directory {
 public:
  // Files are written by calls of this size, and mapped by huge pages for it: the page cache then
  // holds them in large folios.
  static constexpr std::size_t kWriteChunkSize = std::size_t{2} << 20;

  PosixDirectory(std::shared_ptr<FileSystem> file_system, PosixDirectoryOptions options);

  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return path_; }
  void put_immutable(std::string_view name, const std::function<void(Sink&)>& write) override;
  void replace(std::string_view name, std::string_view bytes) override;
  [[nodiscard]] std::shared_ptr<const ImmutableFile> open(std::string_view name) const override;
  [[nodiscard]] std::string read_all(std::string_view name, std::uint64_t size_max) const override;
  void punch(std::string_view name, std::uint64_t offset, std::uint64_t size) override;
  void remove(std::string_view name) override;
  [[nodiscard]] std::vector<FileInfo> list() const override;
  [[nodiscard]] std::unique_ptr<LogFile> create_log(std::string_view name,
                                                    std::size_t capacity) override;
  [[nodiscard]] std::unique_ptr<LogFile> recycle_log(std::string_view old_name,
                                                     std::string_view name,
                                                     std::size_t capacity) override;
  [[nodiscard]] std::unique_ptr<LogFile> resume_log(std::string_view name, std::size_t synced_end,
                                                    std::size_t end) override;
  bool reserve(std::string_view name, std::uint64_t size) override;
  [[nodiscard]] std::optional<std::uint64_t> free_size() const override {
    return file_system_->free_size();
  }
  [[nodiscard]] std::unique_ptr<Ownership> acquire(LockMode mode, std::chrono::milliseconds wait,
                                                   bool create) override;
  [[nodiscard]] LockStatus lock_status() const override;
  [[nodiscard]] bool is_writable_by_others() const override {
    return file_system_->is_writable_by_others();
  }
  [[nodiscard]] std::string boot_id() const override { return file_system_->boot_id(); }

 private:
  void check_absent(std::string_view name) const;
  void remove_quietly(std::string_view name) noexcept;

  const std::shared_ptr<FileSystem> file_system_;
  const std::filesystem::path path_;
  const PosixDirectoryOptions options_;
  // Shared with the logs.
  const std::shared_ptr<LogSyncAverage> log_sync_average_ = std::make_shared<LogSyncAverage>(0);
};

}  // namespace varve::directory
