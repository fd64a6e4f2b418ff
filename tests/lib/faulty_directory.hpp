// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "directory/directory.hpp"
#include "lib/hooks.hpp"
#include "varve/error.hpp"

namespace varve::test {

// What FaultyDirectory counts, and fails on demand.
struct Faults {
  int sync_count = 0, create_count = 0, recycle_count = 0;
  bool fail_sync = false, fail_create = false, fail_publish = false;
  std::optional<Error> acquire_error;  // What acquire() throws, if anything.
  std::vector<directory::FileInfo> also_listed;
  std::vector<std::string> steps;
  // Bytes of immutable files that were complete, by the kind that their names begin with.
  std::map<std::string, std::uint64_t, std::less<>> written_sizes;
};

[[noreturn]] inline void fail(ErrorCode code) {
  throw Error(code, "the test let it fail", "file", std::make_error_code(std::errc::io_error));
}

class FaultyLogFile final : public directory::LogFile {
 public:
  FaultyLogFile(std::unique_ptr<LogFile> inner, Faults& faults)
      : inner_(std::move(inner)), faults_(faults) {}
  [[nodiscard]] const std::string& name() const noexcept override { return inner_->name(); }
  [[nodiscard]] std::size_t capacity() const noexcept override { return inner_->capacity(); }
  [[nodiscard]] char* data() noexcept override { return inner_->data(); }
  void publish(std::size_t from, std::size_t to) override {
    if (faults_.fail_publish) fail(ErrorCode::Io);
    inner_->publish(from, to);
  }
  void write(std::size_t from, std::string_view bytes) override {
    if (faults_.fail_publish) fail(ErrorCode::Io);
    inner_->write(from, bytes);
  }
  void sync() override {
    VARVE_HOOK("device.flushing");
    ++faults_.sync_count;
    faults_.steps.push_back("sync " + name());
    if (faults_.fail_sync) fail(ErrorCode::Io);
    inner_->sync();
  }

 private:
  std::unique_ptr<LogFile> inner_;
  Faults& faults_;
};

// A memory directory that counts, and fails on demand.
class FaultyDirectory final : public directory::Directory {
 public:
  [[nodiscard]] const std::filesystem::path& path() const noexcept override {
    return inner_->path();
  }
  void put_immutable(std::string_view name,
                     const std::function<void(directory::Sink&)>& write) override {
    std::uint64_t size = 0;
    inner_->put_immutable(name, [&](directory::Sink& sink) {
      write(sink);
      size = sink.offset();
    });
    faults.written_sizes[std::string(name.substr(0, name.find('-')))] += size;
  }
  void replace(std::string_view name, std::string_view bytes) override {
    faults.steps.push_back("replace " + std::string(name));
    inner_->replace(name, bytes);
  }
  [[nodiscard]] std::shared_ptr<const directory::ImmutableFile> open(
      std::string_view name) const override {
    return inner_->open(name);
  }
  [[nodiscard]] std::string read_all(std::string_view name, std::uint64_t size_max) const override {
    return inner_->read_all(name, size_max);
  }
  void punch(std::string_view name, std::uint64_t offset, std::uint64_t size) override {
    inner_->punch(name, offset, size);
  }
  void remove(std::string_view name) override { inner_->remove(name); }
  [[nodiscard]] std::vector<directory::FileInfo> list() const override {
    std::vector<directory::FileInfo> files = inner_->list();
    files.insert(files.end(), faults.also_listed.begin(), faults.also_listed.end());
    return files;
  }
  [[nodiscard]] std::unique_ptr<directory::LogFile> create_log(std::string_view name,
                                                               std::size_t capacity) override {
    ++faults.create_count;
    faults.steps.push_back("create " + std::string(name));
    if (faults.fail_create) fail(ErrorCode::NoSpace);
    return std::make_unique<FaultyLogFile>(inner_->create_log(name, capacity), faults);
  }
  [[nodiscard]] std::unique_ptr<directory::LogFile> recycle_log(std::string_view old_name,
                                                                std::string_view name,
                                                                std::size_t capacity) override {
    ++faults.recycle_count;
    faults.steps.push_back("recycle " + std::string(old_name) + " as " + std::string(name));
    return std::make_unique<FaultyLogFile>(inner_->recycle_log(old_name, name, capacity), faults);
  }
  [[nodiscard]] std::unique_ptr<directory::LogFile> resume_log(std::string_view name,
                                                               std::size_t synced_end,
                                                               std::size_t end) override {
    faults.steps.push_back("resume " + std::string(name));
    return std::make_unique<FaultyLogFile>(inner_->resume_log(name, synced_end, end), faults);
  }
  [[nodiscard]] std::unique_ptr<directory::Ownership> acquire(LockMode mode,
                                                              std::chrono::milliseconds wait,
                                                              bool create) override {
    if (faults.acquire_error) throw Error(*faults.acquire_error);
    return inner_->acquire(mode, wait, create);
  }
  [[nodiscard]] LockStatus lock_status() const override { return inner_->lock_status(); }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& file : list()) all.push_back(file.name);
    return all;
  }

  Faults faults;

 private:
  std::shared_ptr<directory::Directory> inner_ = directory::make_memory_directory();
};

}  // namespace varve::test
