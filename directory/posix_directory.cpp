// SPDX-License-Identifier: Apache-2.0
#include "directory/posix_directory.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "directory/check.hpp"
#include "directory/chunked_sink.hpp"
#include "directory/file_name.hpp"
#include "directory/file_replacer.hpp"
#include "directory/local_ownership.hpp"
#include "directory/mapping.hpp"
#include "directory/mutant.hpp"
#include "directory/ownership.hpp"
#include "directory/posix_file_system.hpp"
#include "directory/posix_log_file.hpp"
#include "directory/system_failure.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

constexpr std::string_view kManifestName = "MANIFEST";

// Once the file is mapped, its descriptor is given back: an index may have more files than a
// process may have descriptors.
class PosixImmutableFile final : public ImmutableFile {
 public:
  PosixImmutableFile(std::string_view name, std::filesystem::path path, std::shared_ptr<File> file)
      : name_(name), path_(std::move(path)), size_(file->size()), file_(std::move(file)) {}
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }
  void read(std::uint64_t offset, std::span<char> out) const override {
    if (offset > size_ || out.size() > size_ - offset) fail_short(offset, out.size(), size_);
    if (out.empty()) return;
    std::unique_lock lock(mutex_);
    const std::shared_ptr<File> file = file_;
    lock.unlock();
    if (file == nullptr) {
      std::memcpy(out.data(), mapping_->bytes().data() + offset, out.size());
      return;
    }
    const std::size_t count = file->read(offset, out);
    if (count != out.size()) fail_short(offset, out.size(), offset + count);
  }
  [[nodiscard]] std::string_view map() const override {
    std::call_once(mapped_, [this] {
      auto mapping = file_->map_readable();
      if (mapping == nullptr || mapping->bytes().size() != size_) return;
      const std::lock_guard lock(mutex_);
      mapping_ = std::move(mapping);
      file_ = nullptr;
    });
    return mapping_ == nullptr ? std::string_view() : mapping_->bytes();
  }

 private:
  [[noreturn]] void fail_short(std::uint64_t offset, std::uint64_t size,
                               std::uint64_t found) const {
    throw Error(ErrorCode::Corruption,
                name_ + ", byte " + std::to_string(offset) + ": " + std::to_string(size) +
                    " bytes expected, the file ends at byte " + std::to_string(found),
                path_);
  }

  const std::string name_;
  const std::filesystem::path path_;
  const std::uint64_t size_;
  mutable std::once_flag mapped_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<File> file_;  // Guarded by mutex_; null once mapped.
  // Set before file_ becomes null, then constant.
  mutable std::unique_ptr<ReadableMapping> mapping_;
};

void truncate_quietly(File& file, std::uint64_t size) noexcept {
  try {
    file.truncate(size);
  } catch (...) {
    // It keeps more than it should; the failure that led here is the one to report.
  }
}

}  // namespace

PosixDirectory::PosixDirectory(std::shared_ptr<FileSystem> file_system,
                               PosixDirectoryOptions options)
    : file_system_(std::move(file_system)), path_(file_system_->path()), options_(options) {}

void PosixDirectory::check_absent(std::string_view name) const {
  VARVE_CHECK(is_file_name(name) && !is_temporary_name(name));
  if (file_system_->exists(name)) throw taken_name(path_ / name);
}

void PosixDirectory::remove_quietly(std::string_view name) noexcept {
  try {
    file_system_->remove(name);
  } catch (...) {
    // It stays as a stray that no manifest names; the failure that led here is the one to report.
  }
}

void PosixDirectory::put_immutable(std::string_view name, const std::function<void(Sink&)>& write) {
  check_absent(name);
  FileReplacer file(*file_system_, name);
  ChunkedSink sink(file, kWriteChunkSize);
  write(sink);
  sink.flush();
  try {
    VARVE_MUTANT("file.stray_replaced") ? file.commit() : file.commit_new();
  } catch (...) {
    if (file.renamed()) remove_quietly(name);
    throw;
  }
}

void PosixDirectory::replace(std::string_view name, std::string_view bytes) {
  VARVE_CHECK(is_file_name(name) && !is_temporary_name(name));
  FileReplacer file(*file_system_, name);
  file.append(bytes);
  file.commit();
}

std::shared_ptr<const ImmutableFile> PosixDirectory::open(std::string_view name) const {
  VARVE_CHECK(is_file_name(name));
  return std::make_shared<PosixImmutableFile>(name, path_ / name, file_system_->open(name, false));
}

std::string PosixDirectory::read_all(std::string_view name, std::uint64_t size_max) const {
  VARVE_CHECK(is_file_name(name));
  const std::unique_ptr<File> file = file_system_->open(name, false);
  const std::uint64_t size = file->size();
  if (size > size_max) {
    throw Error(ErrorCode::LimitExceeded,
                "cannot read " + (path_ / name).string() + ": at most " + std::to_string(size_max) +
                    " bytes expected, " + std::to_string(size) + " found",
                path_ / name);
  }
  std::string bytes(static_cast<std::size_t>(size), '\0');
  bytes.resize(file->read(0, bytes));
  return bytes;
}

void PosixDirectory::punch(std::string_view name, std::uint64_t offset, std::uint64_t size) {
  VARVE_CHECK(is_file_name(name));
  const std::unique_ptr<File> file = file_system_->open(name, true);
  const std::uint64_t file_size = file->size();
  if (offset > file_size || size > file_size - offset) {
    throw Error(ErrorCode::Corruption,
                "cannot free " + std::to_string(size) + " bytes of " + (path_ / name).string() +
                    " at byte " + std::to_string(offset) + ": the file ends at byte " +
                    std::to_string(file_size),
                path_ / name);
  }
  file->punch(offset, size);
}

void PosixDirectory::remove(std::string_view name) {
  VARVE_CHECK(is_file_name(name));
  try {
    file_system_->remove(name);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::NotFound) throw;
  }
}

std::vector<FileInfo> PosixDirectory::list() const {
  return file_system_->list();
}

std::unique_ptr<LogFile> PosixDirectory::create_log(std::string_view name, std::size_t capacity) {
  check_absent(name);
  std::unique_ptr<File> file = file_system_->create(name);
  try {
    file->allocate(capacity);
    sync_or_doubt(*file);
    if (!VARVE_MUTANT("log.name_not_synced")) sync_or_doubt(*file_system_);
    return make_posix_log_file(std::string(name), std::move(file), log_sync_average_);
  } catch (...) {
    remove_quietly(name);
    throw;
  }
}

std::unique_ptr<LogFile> PosixDirectory::recycle_log(std::string_view old_name,
                                                     std::string_view name, std::size_t capacity) {
  VARVE_CHECK(is_file_name(old_name));
  check_absent(name);
  std::unique_ptr<File> file = file_system_->open(old_name, true);
  // The blocks of the old size are asked for too: a copied or restored file may have lost some.
  const bool grows = file->size() < capacity;
  file->allocate(std::max<std::uint64_t>(file->size(), capacity));
  if (grows && !VARVE_MUTANT("log.growth_not_synced")) sync_or_doubt(*file);
  if (VARVE_MUTANT("log.stray_replaced")) {
    file_system_->rename(old_name, name);
  } else {
    file_system_->rename_new(old_name, name);
  }
  if (!VARVE_MUTANT("log.new_name_not_synced")) sync_or_doubt(*file_system_);
  return make_posix_log_file(std::string(name), std::move(file), log_sync_average_);
}

std::unique_ptr<LogFile> PosixDirectory::resume_log(std::string_view name, std::size_t synced_end,
                                                    std::size_t end) {
  VARVE_CHECK(is_file_name(name) && synced_end <= end);
  std::unique_ptr<File> file = file_system_->open(name, true);
  const std::uint64_t size = file->size();
  if (size < end) {
    throw Error(ErrorCode::Corruption,
                (path_ / name).string() + ": a log of at least " + std::to_string(end) +
                    " bytes expected, " + std::to_string(size) + " found",
                path_ / name);
  }
  file->allocate(size);  // A copied or restored file may have lost blocks.
  return make_posix_log_file(std::string(name), std::move(file), log_sync_average_,
                             {synced_end, end});
}

bool PosixDirectory::reserve(std::string_view name, std::uint64_t size) {
  VARVE_CHECK(is_file_name(name) && !is_temporary_name(name));
  const bool there = file_system_->exists(name);
  const std::unique_ptr<File> file =
      there ? file_system_->open(name, true) : file_system_->create(name);
  const std::uint64_t size_before = file->size();
  if (size_before > size) file->truncate(size);
  try {
    file->allocate(size);
  } catch (...) {
    if (there) {
      truncate_quietly(*file, size_before);  // Some systems keep what they found.
    } else {
      remove_quietly(name);
    }
    throw;
  }
  return true;
}

std::unique_ptr<Ownership> PosixDirectory::acquire(LockMode mode, std::chrono::milliseconds wait,
                                                   bool create) {
  if (const auto local = file_system_->local_ownership(); local != nullptr) {
    return local->acquire(mode, wait, create || file_system_->exists(kManifestName), path_);
  }
  return acquire_posix_ownership(path_, mode, wait, create, options_.allow_network_file_system);
}

LockStatus PosixDirectory::lock_status() const {
  if (const auto local = file_system_->local_ownership(); local != nullptr) {
    return local->status(file_system_->exists(kManifestName));
  }
  return posix_lock_status(path_);
}

std::shared_ptr<Directory> make_posix_directory(std::filesystem::path path,
                                                PosixDirectoryOptions options) {
  return std::make_shared<PosixDirectory>(std::make_shared<PosixFileSystem>(std::move(path)),
                                          options);
}

std::shared_ptr<Directory> make_posix_directory(std::shared_ptr<FileSystem> file_system) {
  VARVE_CHECK(file_system != nullptr);
  return std::make_shared<PosixDirectory>(std::move(file_system), PosixDirectoryOptions());
}

}  // namespace varve::directory
