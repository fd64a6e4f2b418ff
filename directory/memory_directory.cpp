// SPDX-License-Identifier: Apache-2.0
#include "directory/memory_directory.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "directory/check.hpp"
#include "directory/file_name.hpp"
#include "directory/local_ownership.hpp"
#include "directory/system_failure.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

class StringSink final : public Sink {
 public:
  explicit StringSink(std::string& to) : to_(to) {}
  void append(std::string_view bytes) override { to_.append(bytes); }
  [[nodiscard]] std::uint64_t offset() const noexcept override { return to_.size(); }

 private:
  std::string& to_;
};

class MemoryFile final : public ImmutableFile {
 public:
  MemoryFile(std::string_view name, std::filesystem::path path,
             std::shared_ptr<const std::string> bytes)
      : name_(name), path_(std::move(path)), bytes_(std::move(bytes)) {}
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_->size(); }
  void read(std::uint64_t offset, std::span<char> out) const override {
    if (offset > bytes_->size() || out.size() > bytes_->size() - offset) {
      throw Error(ErrorCode::Corruption,
                  name_ + ", byte " + std::to_string(offset) + ": " + std::to_string(out.size()) +
                      " bytes expected, the file ends at byte " + std::to_string(bytes_->size()),
                  path_);
    }
    if (!out.empty()) std::memcpy(out.data(), bytes_->data() + offset, out.size());
  }
  [[nodiscard]] std::string_view map() const override { return *bytes_; }

 private:
  const std::string name_;
  const std::filesystem::path path_;
  const std::shared_ptr<const std::string> bytes_;
};

class MemoryLogFile final : public LogFile {
 public:
  MemoryLogFile(std::string_view name, std::shared_ptr<std::string> bytes)
      : name_(name), bytes_(std::move(bytes)) {}
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] std::size_t capacity() const noexcept override { return bytes_->size(); }
  [[nodiscard]] char* data() noexcept override { return bytes_->data(); }
  void publish(std::size_t from, std::size_t to) override {
    VARVE_CHECK(from <= to && to <= capacity());
  }
  void write(std::size_t from, std::string_view bytes) override {
    VARVE_CHECK(from <= capacity() && bytes.size() <= capacity() - from);
    if (!bytes.empty()) std::memcpy(data() + from, bytes.data(), bytes.size());
  }
  void sync() override {}

 private:
  const std::string name_;
  const std::shared_ptr<std::string> bytes_;
};

}  // namespace

MemoryDirectory::MemoryDirectory(std::string label)
    : path_(std::move(label)), ownership_(std::make_shared<LocalOwnership>()) {}

MemoryDirectory::Bytes MemoryDirectory::find(std::string_view name) const {
  VARVE_CHECK(is_file_name(name));
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(name);
  if (found == files_.end()) {
    throw Error(ErrorCode::NotFound,
                "cannot open " + (path_ / name).string() + ": there is no such file", path_ / name);
  }
  return found->second;
}

void MemoryDirectory::check_absent(std::string_view name) const {
  VARVE_CHECK(is_file_name(name) && !is_temporary_name(name));
  const std::lock_guard lock(mutex_);
  if (files_.contains(name)) throw taken_name(path_ / name);
}

void MemoryDirectory::insert(std::string_view name, const Bytes& bytes) {
  VARVE_CHECK(is_file_name(name) && !is_temporary_name(name));
  const std::lock_guard lock(mutex_);
  if (!files_.try_emplace(std::string(name), bytes).second) throw taken_name(path_ / name);
}

void MemoryDirectory::put_immutable(std::string_view name,
                                    const std::function<void(Sink&)>& write) {
  check_absent(name);
  auto bytes = std::make_shared<std::string>();
  StringSink sink(*bytes);
  write(sink);
  bytes->shrink_to_fit();
  insert(name, bytes);
}

void MemoryDirectory::replace(std::string_view name, std::string_view bytes) {
  VARVE_CHECK(is_file_name(name) && !is_temporary_name(name));
  auto copy = std::make_shared<std::string>(bytes);
  const std::lock_guard lock(mutex_);
  files_.insert_or_assign(std::string(name), std::move(copy));
}

std::shared_ptr<const ImmutableFile> MemoryDirectory::open(std::string_view name) const {
  return std::make_shared<MemoryFile>(name, path_ / name, find(name));
}

std::string MemoryDirectory::read_all(std::string_view name, std::uint64_t size_max) const {
  const Bytes bytes = find(name);
  if (bytes->size() > size_max) {
    throw Error(ErrorCode::LimitExceeded,
                "cannot read " + (path_ / name).string() + ": at most " + std::to_string(size_max) +
                    " bytes expected, " + std::to_string(bytes->size()) + " found",
                path_ / name);
  }
  return *bytes;
}

void MemoryDirectory::punch(std::string_view name, std::uint64_t offset, std::uint64_t size) {
  const Bytes bytes = find(name);
  if (offset > bytes->size() || size > bytes->size() - offset) {
    throw Error(ErrorCode::Corruption,
                "cannot free " + std::to_string(size) + " bytes of " + (path_ / name).string() +
                    " at byte " + std::to_string(offset) + ": the file ends at byte " +
                    std::to_string(bytes->size()),
                path_ / name);
  }
  std::memset(bytes->data() + offset, 0, static_cast<std::size_t>(size));
}

void MemoryDirectory::remove(std::string_view name) {
  VARVE_CHECK(is_file_name(name));
  const std::lock_guard lock(mutex_);
  if (const auto found = files_.find(name); found != files_.end()) files_.erase(found);
}

std::vector<FileInfo> MemoryDirectory::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<FileInfo> entries;
  entries.reserve(files_.size());
  for (const auto& [name, bytes] : files_) {
    entries.push_back({.name = name,
                       .size = bytes->size(),
                       .allocated_size = bytes->size(),
                       .kind = FileKind::Regular});
  }
  return entries;
}

std::unique_ptr<LogFile> MemoryDirectory::create_log(std::string_view name, std::size_t capacity) {
  auto bytes = std::make_shared<std::string>(capacity, '\0');
  insert(name, bytes);
  return std::make_unique<MemoryLogFile>(name, std::move(bytes));
}

std::unique_ptr<LogFile> MemoryDirectory::recycle_log(std::string_view old_name,
                                                      std::string_view name, std::size_t capacity) {
  Bytes bytes = find(old_name);
  if (bytes->size() < capacity) {  // Whoever still reads the old file keeps the old bytes.
    bytes = std::make_shared<std::string>(*bytes);
    bytes->resize(capacity);
  }
  insert(name, bytes);
  remove(old_name);
  return std::make_unique<MemoryLogFile>(name, std::move(bytes));
}

std::unique_ptr<LogFile> MemoryDirectory::resume_log(std::string_view name, std::size_t synced_end,
                                                     std::size_t end) {
  VARVE_CHECK(synced_end <= end);
  Bytes bytes = find(name);
  if (bytes->size() < end) {
    throw Error(ErrorCode::Corruption,
                (path_ / name).string() + ": a log of at least " + std::to_string(end) +
                    " bytes expected, " + std::to_string(bytes->size()) + " found",
                path_ / name);
  }
  return std::make_unique<MemoryLogFile>(name, std::move(bytes));
}

bool MemoryDirectory::holds_index() const {
  const std::lock_guard lock(mutex_);
  return files_.contains("MANIFEST");
}

std::unique_ptr<Ownership> MemoryDirectory::acquire(LockMode mode, std::chrono::milliseconds wait,
                                                    bool create) {
  return ownership_->acquire(mode, wait, create || holds_index(), path_);
}

LockStatus MemoryDirectory::lock_status() const {
  return ownership_->status(holds_index());
}

std::shared_ptr<Directory> make_memory_directory(std::string label) {
  return std::make_shared<MemoryDirectory>(std::move(label));
}

}  // namespace varve::directory
