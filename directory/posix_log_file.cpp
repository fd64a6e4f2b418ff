// SPDX-License-Identifier: Apache-2.0
#include "directory/posix_log_file.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "directory/check.hpp"
#include "directory/mapping.hpp"
#include "directory/mutant.hpp"
#include "varve/error.hpp"

namespace varve::directory {
namespace {

constexpr std::size_t kRewriteSize = std::size_t{1} << 20;  // Bytes at a time.

// The log's cache is of huge pages while an average sync has at least this much to write, and of
// the system's choice again below the second: each sync writes all of the page that it ends in.
constexpr std::size_t kHugePagesFrom = std::size_t{1} << 20;
constexpr std::size_t kHugePagesBelow = std::size_t{256} << 10;
constexpr std::size_t kAveragedSyncs = 4;

// Makes the range dirty again, for the next sync to write it; there may be appends behind it.
// Afterwards it is empty. A failure leaves some of it: the file must not be written again then.
void write_resumed_again(const std::string& name, File& file, ResumedRange& range) {
  if (range.from == range.to || VARVE_MUTANT("log.resumed_not_written_again")) return;
  std::string bytes(std::min(kRewriteSize, range.to - range.from), '\0');
  while (range.from < range.to) {
    bytes.resize(std::min(bytes.size(), range.to - range.from));
    const std::size_t read = file.read(range.from, bytes);
    if (read < bytes.size()) {
      throw Error(ErrorCode::Io, name + ": " + std::to_string(range.to) +
                                     " bytes expected, the file ends at byte " +
                                     std::to_string(range.from + read));
    }
    file.write(range.from, bytes);
    range.from += bytes.size();
  }
}

// Before Linux 6.2 a page that was let go of while somebody stored to it could be forgotten to be
// dirty: it was no longer known to be mapped when the other processor could still store through its
// translation (Linux 5df397dec7c4). Other systems are not known to be free of it.
bool pages_being_stored_to_stay_dirty() noexcept {
  static const bool stay = [] {
    utsname system{};
    if (::uname(&system) != 0 || std::string_view(system.sysname) != "Linux") return false;
    char* rest = nullptr;
    const unsigned long major = std::strtoul(system.release, &rest, 10);
    const unsigned long minor = *rest == '.' ? std::strtoul(rest + 1, nullptr, 10) : 0;
    return major > 6 || (major == 6 && minor >= 2);
  }();
  return stay;
}

class MappedLogFile final : public LogFile {
 public:
  MappedLogFile(std::string name, std::unique_ptr<File> file,
                std::unique_ptr<WritableMapping> mapping, std::shared_ptr<LogSyncAverage> average,
                ResumedRange resumed)
      : name_(std::move(name)),
        file_(std::move(file)),
        mapping_(std::move(mapping)),
        average_(std::move(average)),
        resumed_(resumed),
        synced_(resumed.to),
        published_(resumed.to) {
    if (average_->load(std::memory_order_relaxed) < kHugePagesFrom) return;
    huge_ = true;
    mapping_->prefer_huge_pages(resumed.to, true);
  }
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] std::size_t capacity() const noexcept override { return mapping_->size(); }
  [[nodiscard]] char* data() noexcept override { return mapping_->data(); }
  void publish(std::size_t from, std::size_t to) override {
    VARVE_CHECK(from <= to && to <= capacity());
    published_.store(to, std::memory_order_release);
    if (to + kLogPopulateAhead > populated_.load(std::memory_order_relaxed) &&
        !syncing_.load(std::memory_order_relaxed)) {
      populate_beyond(to);
      let_go_behind(to, kHugePageSize);
    }
  }
  void write(std::size_t from, std::string_view bytes) override {
    VARVE_CHECK(from <= capacity() && bytes.size() <= capacity() - from);
    file_->write(from, bytes);
  }
  void sync() override {
    write_resumed_again(name_, *file_, resumed_);
    const std::size_t published = published_.load(std::memory_order_acquire);
    if (pages_being_stored_to_stay_dirty()) {
      choose_page_size(published);
      syncing_.store(true, std::memory_order_relaxed);
      let_go_of_all(published);
    } else {
      let_go_behind(published, kSmallUnit);
    }
    if (VARVE_MUTANT("log.not_synced")) return;
    file_->sync();
    syncing_.store(false, std::memory_order_relaxed);
  }

 private:
  // What a sync lets go of: multiples of any system's pages.
  static constexpr std::size_t kSmallUnit = std::size_t{64} << 10;

  // What is written is not touched again. Left in the address space, each of its pages would
  // interrupt every processor that the process runs on when the kernel writes it back. In whole
  // huge pages, unless they are about to be written back: a part of one would be cut into small
  // ones first. Never a page that an append may be storing to.
  void let_go_behind(std::size_t position, std::size_t unit) noexcept {
    const std::size_t whole = position / unit * unit;
    std::size_t from = let_go_.load(std::memory_order_relaxed);
    if (whole > from && let_go_.compare_exchange_strong(from, whole, std::memory_order_relaxed)) {
      mapping_->let_go(from, whole);
    }
  }
  // With the pages that are ready for appends: those a sync would make unwritable, each with an
  // interrupt, and the next appends would fault on them. Whole huge pages, as behind. The next
  // publish() readies pages again.
  void let_go_of_all(std::size_t published) noexcept {
    const std::size_t from = let_go_.load(std::memory_order_relaxed);
    const std::size_t to = std::max(published, populated_.load(std::memory_order_relaxed));
    mapping_->let_go(from, (to + kHugePageSize - 1) / kHugePageSize * kHugePageSize);
    let_go_.store(published / kHugePageSize * kHugePageSize, std::memory_order_relaxed);
    populated_.store(published, std::memory_order_relaxed);
  }
  void choose_page_size(std::size_t published) noexcept {
    const std::size_t size = published - std::exchange(synced_, published);
    const std::size_t average =
        (average_->load(std::memory_order_relaxed) * (kAveragedSyncs - 1) + size) / kAveragedSyncs;
    average_->store(average, std::memory_order_relaxed);
    if (huge_ ? average >= kHugePagesBelow : average < kHugePagesFrom) return;
    huge_ = !huge_;
    mapping_->prefer_huge_pages(std::max(published, populated_.load(std::memory_order_relaxed)),
                                huge_);
  }
  // Two threads may both come here; then one range is readied twice, or one not at all.
  void populate_beyond(std::size_t position) noexcept {
    const std::size_t populated = populated_.load(std::memory_order_relaxed);
    if (populated >= capacity()) return;
    const std::size_t from = std::max(populated, position);
    const std::size_t size = std::min(kLogPopulateSize, capacity() - std::min(from, capacity()));
    mapping_->populate(from, size);
    populated_.store(from + size, std::memory_order_relaxed);
  }

  const std::string name_;
  const std::unique_ptr<File> file_;
  const std::unique_ptr<WritableMapping> mapping_;
  const std::shared_ptr<LogSyncAverage> average_;
  ResumedRange resumed_;  // By sync() alone, as those that follow.
  std::size_t synced_ = 0;
  bool huge_ = false;
  std::atomic<std::size_t> populated_ = 0;
  std::atomic<std::size_t> published_;
  std::atomic<std::size_t> let_go_ = 0;
  std::atomic<bool> syncing_ = false;  // Appends ready no pages: the sync would write them.
};

class BufferedLogFile final : public LogFile {
 public:
  BufferedLogFile(std::string name, std::unique_ptr<File> file, std::size_t capacity,
                  ResumedRange resumed)
      : name_(std::move(name)),
        file_(std::move(file)),
        resumed_(resumed),
        capacity_(capacity),
        bytes_(std::make_unique<char[]>(capacity)) {}
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] std::size_t capacity() const noexcept override { return capacity_; }
  [[nodiscard]] char* data() noexcept override { return bytes_.get(); }
  void publish(std::size_t from, std::size_t to) override {
    VARVE_CHECK(from <= to && to <= capacity_);
    file_->write(from, {bytes_.get() + from, to - from});
  }
  void write(std::size_t from, std::string_view bytes) override {
    VARVE_CHECK(from <= capacity_ && bytes.size() <= capacity_ - from);
    std::copy(bytes.begin(), bytes.end(), bytes_.get() + from);
    publish(from, from + bytes.size());
  }
  void sync() override {
    write_resumed_again(name_, *file_, resumed_);
    file_->sync();
  }

 private:
  const std::string name_;
  const std::unique_ptr<File> file_;
  ResumedRange resumed_;
  const std::size_t capacity_;
  const std::unique_ptr<char[]> bytes_;
};

}  // namespace

std::unique_ptr<LogFile> make_posix_log_file(std::string name, std::unique_ptr<File> file,
                                             std::shared_ptr<LogSyncAverage> average,
                                             ResumedRange resumed) {
  if (auto mapping = file->map_writable(); mapping != nullptr) {
    return std::make_unique<MappedLogFile>(std::move(name), std::move(file), std::move(mapping),
                                           std::move(average), resumed);
  }
  const auto capacity = static_cast<std::size_t>(file->size());
  return std::make_unique<BufferedLogFile>(std::move(name), std::move(file), capacity, resumed);
}

}  // namespace varve::directory
