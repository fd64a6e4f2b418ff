// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "directory/directory.hpp"

namespace varve::directory {

class LocalOwnership;

// A Directory in memory, gone with its object: for tests, and for indexes that need not last.
// sync() has nothing to do; everything survives as long as the process and no longer.
class MemoryDirectory final : public Directory {
 public:
  explicit MemoryDirectory(std::string label);

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
  [[nodiscard]] std::unique_ptr<Ownership> acquire(LockMode mode, std::chrono::milliseconds wait,
                                                   bool create) override;
  [[nodiscard]] LockStatus lock_status() const override;

 private:
  using Bytes = std::shared_ptr<std::string>;  // Shared with the files that are open.
  [[nodiscard]] Bytes find(std::string_view name) const;
  [[nodiscard]] bool holds_index() const;
  void insert(std::string_view name, const Bytes& bytes);
  void check_absent(std::string_view name) const;

  const std::filesystem::path path_;
  const std::shared_ptr<LocalOwnership> ownership_;
  mutable std::mutex mutex_;
  std::map<std::string, Bytes, std::less<>> files_;  // Guarded by mutex_.
};

}  // namespace varve::directory
