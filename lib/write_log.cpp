// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "lib/hooks.hpp"
#include "varve/limits.hpp"

namespace varve::internal {

namespace {

// Far above what one batch can hold; keeps the sum below from overflowing.
constexpr std::size_t kPayloadSizeMax = 2 * kBatchSizeMax;
static_assert(kPayloadSizeMax <= UINT32_MAX);
constexpr std::size_t kSmallFileSize = std::size_t{1} << 20;  // See rotate().

void remove_quietly(directory::Directory& directory, std::uint64_t number) noexcept {
  try {
    directory.remove(log_file_name(number));
  } catch (...) {
    // The caller already has an error to report; the next open removes the file as a stray.
  }
}

}  // namespace

RecoveredLog seal_recovered_log(directory::Directory& directory, std::string_view bytes,
                                const LogScan& scan, std::uint64_t synced_end) {
  VARVE_CHECK(scan.end >= kLogHeaderSize && scan.end <= bytes.size());
  if ((synced_end < scan.end || scan.tail != LogScan::Tail::Clean) &&
      !VARVE_MUTANT("recovery.log_not_sealed")) {
    directory.replace(log_file_name(scan.header.number),
                      bytes.substr(0, static_cast<std::size_t>(scan.end)));
  }
  return {.entry = {.number = scan.header.number, .sealed_end = scan.end, .synced_end = scan.end},
          .last_sequence = scan.last_operation_sequence};
}

WriteLog::WriteLog(directory::Directory& directory, std::string uuid, std::size_t file_size,
                   const directory::LockClass& sync_class)
    : directory_(directory),
      uuid_(std::move(uuid)),
      boot_id_(directory.boot_id()),
      file_size_(file_size),
      sync_mutex_(sync_class) {}

WriteLog::~WriteLog() = default;

void WriteLog::rethrow_if_failed() const {
  // failure_ was written before failed_ and never again.
  if (failed_.load(std::memory_order_acquire)) [[unlikely]]
    throw Error(*failure_);
}

void WriteLog::poison(const Error& error) {
  if (VARVE_MUTANT("log.failure_forgotten")) throw Error(error);
  if (!failed_.load(std::memory_order_relaxed)) {
    failure_.emplace(error);
    failed_.store(true, std::memory_order_release);
  }
  throw Error(*failure_);
}

void WriteLog::sync_current() {
  rethrow_if_failed();
  std::uint64_t bytes = bytes_appended();  // First: what it counts lies before end_.
  const std::size_t end = end_.load(std::memory_order_acquire);
  if (file_ == nullptr || synced_end_.load(std::memory_order_relaxed) >= end) {
    // A flush may have covered a record before that was counted.
    bytes_synced_.store(bytes, std::memory_order_release);
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto time = [begin] {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin);
  };
  try {
    file_->sync();
  } catch (const Error& error) {
    flush_latencies_.record(time());
    // The kernel may have dropped the dirty pages: a second sync that "succeeds" proves nothing.
    poison(error);
  }
  if (VARVE_MUTANT("log.later_records_called_synced")) bytes = bytes_appended();
  synced_end_.store(end, std::memory_order_release);
  bytes_synced_.store(bytes, std::memory_order_release);
  sync_count_.fetch_add(1, std::memory_order_relaxed);
  const auto took = time();
  flush_latencies_.record(took);
  const std::int64_t before = flush_time_.load(std::memory_order_relaxed);
  flush_time_.store(before + (took.count() - before) / 4, std::memory_order_relaxed);
}

namespace {

// Of the one call that flushes for all. Its end wakes the others, of whom one may lead next.
class Leadership {
 public:
  Leadership(std::atomic<bool>& taken, std::atomic<std::uint32_t>& flush_count) noexcept
      : taken_(taken), flush_count_(flush_count) {}
  Leadership(const Leadership&) = delete;
  Leadership& operator=(const Leadership&) = delete;
  ~Leadership() {
    // In this order: who finds it taken by then sees the count move.
    taken_.store(false, std::memory_order_release);
    flush_count_.fetch_add(1, std::memory_order_release);
    flush_count_.notify_all();
  }

 private:
  std::atomic<bool>& taken_;
  std::atomic<std::uint32_t>& flush_count_;
};

// After so many gatherings in vain, one flush of 2^6 tries again.
constexpr std::uint32_t kVainCountMax = 6;

}  // namespace

// The leader's flush covers what the others have appended before it begins. Who goes on writing
// after a flush is back within a part of its time; without the moment that the next leader gives
// them, they would just miss its flush, and each flush would carry half of the writers.
void WriteLog::sync_through(std::uint64_t position) {
  bool counted = false;
  while (true) {
    const std::uint32_t flush = flush_count_.load(std::memory_order_acquire);
    rethrow_if_failed();
    if (bytes_synced_.load(std::memory_order_acquire) >= position) return;
    if (!std::exchange(counted, true)) arrival_count_.fetch_add(1, std::memory_order_relaxed);
    if (has_leader_.exchange(true, std::memory_order_acquire)) {
      VARVE_HOOK("log.following");
      if (VARVE_MUTANT("log.follower_does_not_wait")) return;
      flush_count_.wait(flush, std::memory_order_acquire);
      continue;
    }
    const Leadership leadership(has_leader_, flush_count_);
    if (bytes_synced_.load(std::memory_order_acquire) >= position) return;
    VARVE_HOOK("log.leading");
    gather();
    lead();
    return;
  }
}

// Waits until as many have arrived as take part in the syncing at present, for half of a flush's
// time at most. Where that is in vain, it is tried ever more rarely. Requires: the caller leads.
void WriteLog::gather() noexcept {
  using std::chrono::nanoseconds;
  const auto all_here = [this] {
    return arrival_count_.load(std::memory_order_relaxed) - arrivals_flushed_ >= expected_count_;
  };
  if (all_here()) return;
  if (flushes_to_skip_ > 0) {
    --flushes_to_skip_;
    return;
  }
  const nanoseconds patience(flush_time_.load(std::memory_order_relaxed) / 2);
  const auto until = std::chrono::steady_clock::now() + patience;
  VARVE_HOOK("log.gathering");
  while (!all_here()) {
    if (std::chrono::steady_clock::now() >= until) {
      vain_count_ = std::min(vain_count_ + 1, kVainCountMax);
      flushes_to_skip_ = (1U << vain_count_) - 1;
      return;
    }
    std::this_thread::yield();
  }
  vain_count_ = 0;
}

// Flushes. Who takes part: those whose wait it ends, and those who came during it.
void WriteLog::lead() {
  const std::lock_guard lock(sync_mutex_);
  const std::uint32_t covered_to = arrival_count_.load(std::memory_order_relaxed);
  sync_current();
  expected_count_ = arrival_count_.load(std::memory_order_relaxed) - arrivals_flushed_;
  arrivals_flushed_ = covered_to;
}

std::unique_ptr<directory::LogFile> WriteLog::make_file(std::uint64_t& number,
                                                        std::size_t capacity) {
  for (int taken_count = 0;; ++number) {
    try {
      return make_file_named(number, capacity);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::AlreadyExists || ++taken_count == kTakenNamesMax) throw;
    }
  }
}

std::unique_ptr<directory::LogFile> WriteLog::make_file_named(std::uint64_t number,
                                                              std::size_t capacity) {
  const std::string name = log_file_name(number);
  std::optional<std::uint64_t> recycled;
  try {
    if (spares_.empty()) return directory_.create_log(name, capacity);
    // Taken off the list first: after a failure nobody knows which name it has.
    recycled = spares_.back();
    spares_.pop_back();
    return directory_.recycle_log(log_file_name(*recycled), name, capacity);
  } catch (const directory::SyncError&) {
    remove_quietly(directory_, number);
    throw;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::AlreadyExists) {  // What was there is not ours.
      if (recycled) spares_.push_back(*recycled);    // And nothing has happened to that one.
    } else {
      remove_quietly(directory_, number);  // Half made, it would be in the way of the next attempt.
    }
    throw;
  } catch (const std::bad_alloc&) {
    remove_quietly(directory_, number);
    throw;
  }
}

WriteLog::NewFile WriteLog::make_file_with_header(std::uint64_t number, std::size_t capacity,
                                                  Sequence first_sequence) {
  NewFile made;
  made.file = make_file(number, capacity);
  made.number = number;
  VARVE_CHECK(made.file->capacity() >= capacity);
  const LogHeader header{
      .uuid = uuid_, .number = number, .first_sequence = first_sequence, .boot_id = boot_id_};
  encode_log_header(header, made.file->data());
  try {
    made.file->publish(0, kLogHeaderSize);
    // The manifest will name this log: after power loss its header must be there.
    if (!VARVE_MUTANT("log.header_not_synced")) made.file->sync();
  } catch (const Error& error) {
    made.file.reset();
    remove_quietly(directory_, number);
    throw directory::SyncError(error);
  }
  return made;
}

void WriteLog::prepare(std::uint64_t number, Sequence first_sequence) {
  rethrow_if_failed();
  VARVE_CHECK(!prepared_ && file_ != nullptr && number > live_.back().number);
  try {
    prepared_ = make_file_with_header(number, file_size_, first_sequence);
  } catch (const directory::SyncError& error) {
    const std::lock_guard lock(sync_mutex_);
    poison(error);
  }
}

// Null where there is none that serves; then there is none any more.
WriteLog::NewFile WriteLog::take_prepared(std::uint64_t number, std::size_t capacity) {
  NewFile taken;
  if (!prepared_) return taken;
  std::swap(taken, *prepared_);
  prepared_.reset();
  if (taken.number >= number && taken.file->capacity() >= capacity) return taken;
  taken.file.reset();
  remove_quietly(directory_, taken.number);
  return taken;
}

void WriteLog::rotate(std::uint64_t number, Sequence first_sequence, std::size_t payload_size,
                      bool small) {
  VARVE_CHECK(live_.empty() || number > live_.back().number);
  VARVE_CHECK(first_sequence > last_sequence_ || last_sequence_ == 0);
  VARVE_CHECK(payload_size <= kPayloadSizeMax);
  const std::lock_guard lock(sync_mutex_);
  if (!VARVE_MUTANT("log.old_file_not_synced")) sync_current();
  const std::size_t usual = small ? std::min(file_size_, kSmallFileSize) : file_size_;
  const std::size_t capacity = std::max(usual, kLogHeaderSize + log_record_size(payload_size));
  live_.reserve(live_.size() + 1);  // So that nothing throws once the new file is there.
  last_sequences_.reserve(live_.size() + 1);
  recyclable_.reserve(live_.size() + 1);
  NewFile next = take_prepared(number, capacity);
  if (next.file == nullptr) {
    try {
      next = make_file_with_header(number, capacity, first_sequence);
    } catch (const directory::SyncError& error) {
      poison(error);
    }
  }
  // Not the last record's sequence: the operations of a batch may go on beyond it.
  if (file_ != nullptr) note_sealed(first_sequence - 1);
  live_.push_back({.number = next.number, .sealed_end = 0, .synced_end = kLogHeaderSize});
  set_current(std::move(next.file), kLogHeaderSize, kLogHeaderSize);
  recyclable_.push_back(capacity_ == file_size_);
  seed_ = log_seed(uuid_, next.number);
  // A file without records counts as holding nothing above what came before it.
  last_sequence_ = first_sequence - (first_sequence != 0 ? 1 : 0);
}

void WriteLog::note_sealed(Sequence last_sequence) noexcept {
  live_.back().sealed_end = live_.back().synced_end = end_.load(std::memory_order_relaxed);
  last_sequences_.push_back(last_sequence);
}

void WriteLog::set_current(std::unique_ptr<directory::LogFile> file, std::size_t end,
                           std::size_t synced_end) noexcept {
  file_ = std::move(file);
  data_ = file_ != nullptr ? file_->data() : nullptr;
  capacity_ = file_ != nullptr ? file_->capacity() : 0;
  end_.store(end, std::memory_order_release);
  synced_end_.store(synced_end, std::memory_order_release);
}

void WriteLog::seal(Sequence last_sequence) {
  VARVE_CHECK(last_sequence >= last_sequence_);
  const std::lock_guard lock(sync_mutex_);
  sync_current();
  if (file_ == nullptr) return;
  last_sequences_.reserve(last_sequences_.size() + 1);
  note_sealed(last_sequence);
  set_current(nullptr, 0, 0);
}

char* WriteLog::begin_record(Sequence sequence, std::size_t payload_size, Durability durability) {
  rethrow_if_failed();
  VARVE_CHECK(fits(payload_size) && payload_size <= kPayloadSizeMax);
  VARVE_CHECK(sequence > last_sequence_);
  if (durability != Durability::Synced) return data_ + end_.load(std::memory_order_relaxed);
  // A buffer that held a huge record gives its memory back.
  if (staged_.capacity() > kStagedCapacityMax) staged_ = {};
  staged_.resize(log_record_size(payload_size));
  return staged_.data();
}

// `payload` may lie in its place already.
void WriteLog::end_record(Sequence sequence, std::string_view payload, Durability durability) {
  const std::size_t from = end_.load(std::memory_order_relaxed);
  const bool staged = durability == Durability::Synced;
  const std::size_t size =
      encode_log_record(staged ? staged_.data() : data_ + from, seed_, from, sequence, payload);
  try {
    if (staged) {
      file_->write(from, {staged_.data(), size});
    } else {
      file_->publish(from, from + size);
    }
  } catch (const Error& error) {
    // Nobody knows whether the record will be read back.
    const std::lock_guard lock(sync_mutex_);
    poison(error);
  }
  last_sequence_ = sequence;
  end_.store(from + size, std::memory_order_release);
  bytes_appended_.store(bytes_appended() + size, std::memory_order_release);
}

void WriteLog::append(Sequence sequence, std::string_view payload, Durability durability) {
  begin_record(sequence, payload.size(), durability);
  end_record(sequence, payload, durability);
}

std::size_t WriteLog::operation_payload_size(std::string_view key,
                                             std::string_view value) noexcept {
  return 1 + directory::varint_size(key.size()) + key.size() +
         directory::varint_size(value.size()) + value.size();
}

void WriteLog::append_operation(Sequence sequence, OperationKind kind, std::string_view key,
                                std::string_view value, Durability durability) {
  std::size_t payload_size = operation_payload_size(key, value);
  if (kind == OperationKind::Erase) {
    VARVE_CHECK(value.empty());
    payload_size -= 1;
  }
  char* const payload = begin_record(sequence, payload_size, durability) + kLogRecordHeaderSize;
  char* to = payload;
  *to++ = static_cast<char>(kind);
  to = directory::store_varint(to, key.size());
  if (!key.empty()) std::memcpy(to, key.data(), key.size());
  to += key.size();
  if (kind != OperationKind::Erase) {
    to = directory::store_varint(to, value.size());
    if (!value.empty()) std::memcpy(to, value.data(), value.size());
  }
  end_record(sequence, {payload, payload_size}, durability);
}

const std::vector<LogRecordEntry>& WriteLog::live() const noexcept {
  if (file_ != nullptr) live_.back().synced_end = synced_end_.load(std::memory_order_acquire);
  return live_;
}

void WriteLog::adopt(const std::vector<RecoveredLog>& recovered) {
  VARVE_CHECK(live_.empty());
  for (const RecoveredLog& log : recovered) {
    VARVE_CHECK(live_.empty() || log.entry.number > live_.back().number);
    // Else a record of a later file could survive a power loss that one of this file does not.
    VARVE_CHECK(log.entry.sealed_end >= kLogHeaderSize &&
                log.entry.synced_end >= log.entry.sealed_end);
    live_.push_back(log.entry);
    last_sequences_.push_back(log.last_sequence);
    recyclable_.push_back(false);  // As in resume(); and perhaps it was made for one huge record.
    last_sequence_ = std::max(last_sequence_, log.last_sequence);
  }
}

void WriteLog::resume(const LogRecordEntry& entry, const LogScan& scan) {
  VARVE_CHECK(file_ == nullptr && entry.sealed_end == 0);
  VARVE_CHECK(live_.empty() || entry.number > live_.back().number);
  const auto end = static_cast<std::size_t>(scan.end);
  auto synced_end =
      static_cast<std::size_t>(std::max<std::uint64_t>(entry.synced_end, kLogHeaderSize));
  VARVE_CHECK(synced_end <= end);
  live_.reserve(live_.size() + 1);  // As in rotate().
  last_sequences_.reserve(live_.size() + 1);
  recyclable_.reserve(live_.size() + 1);
  auto file = directory_.resume_log(log_file_name(entry.number), synced_end, end);
  live_.push_back(entry);
  recyclable_.push_back(false);  // Recovery's deltas are views of what was in it (LogFiller).
  seed_ = log_seed(uuid_, entry.number);
  last_sequence_ = std::max(scan.last_operation_sequence,
                            scan.header.first_sequence - (scan.header.first_sequence != 0 ? 1 : 0));
  if (VARVE_MUTANT("log.resumed_called_synced")) synced_end = end;
  set_current(std::move(file), end, synced_end);
  bytes_resumed_ = end - synced_end;
  bytes_appended_.store(bytes_resumed_, std::memory_order_release);
}

std::uint64_t WriteLog::live_size() const noexcept {
  std::uint64_t size = 0;
  for (const LogRecordEntry& log : live_) size += log.sealed_end;
  return size + end_.load(std::memory_order_relaxed);  // The current one's sealed_end is 0.
}

std::vector<LogRecordEntry> WriteLog::live_after(Sequence checkpoint) const {
  std::size_t count = 0;
  while (count < last_sequences_.size() && last_sequences_[count] <= checkpoint) ++count;
  if (VARVE_MUTANT("log.listed_one_too_few") && count < last_sequences_.size()) ++count;
  const std::vector<LogRecordEntry>& all = live();
  return {all.begin() + static_cast<std::ptrdiff_t>(count), all.end()};
}

Sequence WriteLog::checkpoint_for_live_size(std::uint64_t size) const noexcept {
  std::uint64_t left = live_size();
  Sequence checkpoint = 0;
  for (std::size_t i = 0; i < last_sequences_.size() && left > size; ++i) {
    left -= live_[i].sealed_end;
    checkpoint = last_sequences_[i];
  }
  return checkpoint;
}

void WriteLog::release_through(Sequence checkpoint) {
  std::size_t count = 0;
  while (count < last_sequences_.size() && last_sequences_[count] <= checkpoint) ++count;
  released_.reserve(released_.size() + count);  // All of them or, without memory, none.
  for (std::size_t i = 0; i < count; ++i) {
    released_.push_back({.number = live_[i].number, .recyclable = recyclable_[i]});
  }
  const auto n = static_cast<std::ptrdiff_t>(count);
  live_.erase(live_.begin(), live_.begin() + n);
  last_sequences_.erase(last_sequences_.begin(), last_sequences_.begin() + n);
  recyclable_.erase(recyclable_.begin(), recyclable_.begin() + n);
}

void WriteLog::remove_released() {
  while (!released_.empty()) {
    const Retired file = released_.back();
    if (file.recyclable && spares_.size() < kSpareCountMax) {
      spares_.push_back(file.number);
    } else {
      directory_.remove(log_file_name(file.number));
    }
    released_.pop_back();
  }
}

bool WriteLog::remove_spares() {
  const bool any = prepared_ || !spares_.empty();
  if (prepared_) {
    prepared_->file.reset();
    directory_.remove(log_file_name(prepared_->number));
    prepared_.reset();
  }
  while (!spares_.empty()) {
    directory_.remove(log_file_name(spares_.back()));
    spares_.pop_back();
  }
  return any;
}

}  // namespace varve::internal
