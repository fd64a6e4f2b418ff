// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/index_subject.hpp"

#include <algorithm>
#include <exception>
#include <vector>

#include "lib/segment_index_access.hpp"
#include "varve/typed_index.hpp"

namespace varve::test::metamorphic {
namespace {

constexpr int kAttemptsMax = 50;

// Jobs in the background end fail-fast scans and move the cuts of windows as they like, but rest
// once they have nothing to do.
constexpr int kDisturbancesMax = 10'000;

}  // namespace

IndexSubject::IndexSubject(const Configuration& configuration,
                           const std::shared_ptr<directory::SimulatedFileSystem>& start)
    : configuration_(configuration),
      options_(configuration.options),
      eager_hot_path_(configuration.eager_hot_path),
      medium_(configuration, start) {
  open(options_);
}

std::string IndexSubject::apply(const Operation& operation) {
  ++operation_count_;
  last_message_.clear();
  try {
    const auto due = [this](std::uint64_t every) {
      return every != 0 && operation_count_ % every == 0;
    };
    if (due(configuration_.fault_every)) {
      medium_.plan_fault(operation_count_ / configuration_.fault_every);
    }
    if (due(configuration_.maintain_every)) {
      while (index_.maintain()) {
      }
    }
    return perform(operation);
  } catch (const Error& error) {
    last_message_ = error.what();
    return std::string(to_string(error.code())) + " thrown";
  } catch (const std::exception& error) {
    last_message_ = error.what();
    return "an exception";
  }
}

std::string IndexSubject::perform(const Operation& operation) {
  if (auto written = perform_write(operation)) return *written;
  if (auto found = perform_read(operation)) return *found;
  if (auto held = perform_held(operation)) return *held;
  return perform_other(operation);
}

std::string IndexSubject::outcome(const std::function<void()>& call) {
  try {
    call();
    return "ok";
  } catch (const Error& error) {
    last_message_ = error.what();
    return std::string(to_string(error.code()));
  }
}

std::string IndexSubject::retried(const std::function<void()>& call) {
  for (int attempt = 1;; ++attempt) {
    try {
      call();
      return "ok";
    } catch (const Error& error) {
      last_message_ = error.what();
      if (attempt == kAttemptsMax || !may_retry(error)) return std::string(to_string(error.code()));
    }
  }
}

// A fault hits once, and a flush frees memory, also for a background job that has failed.
bool IndexSubject::may_retry(const Error& error) {
  const bool full = error.code() == ErrorCode::NoSpace && configuration_.fault_every != 0;
  if (!full && error.code() != ErrorCode::Busy) return false;
  ++events_.retry_count;
  const std::string flushed = outcome([this] { index_.flush(); });
  return flushed == "ok" || flushed == "NoSpace";
}

WriteOptions IndexSubject::write_options(std::uint64_t durability) {
  WriteOptions options;
  if (durability != 0) options.durability = static_cast<Durability>((durability - 1) % 3);
  unlogged_ = unlogged_ || options.durability.value_or(options_.durability) == Durability::Buffered;
  return options;
}

std::optional<std::string> IndexSubject::perform_write(const Operation& operation) {
  const auto& keys = operation.keys;
  const WriteOptions options =
      write_options(operation.numbers.empty() ? 0 : operation.numbers.front());
  switch (operation.kind) {
    case Kind::Put: {
      const std::string value = operation.values[0].bytes();
      return retried([&] { index_.put(keys[0], value, options); });
    }
    case Kind::Erase:
      return retried([&] { index_.erase(keys[0], options); });
    case Kind::EraseRange:
      return retried([&] { index_.erase_range(keys[0], keys[1], options); });
    case Kind::ErasePrefix:
      return retried([&] { index_.erase_prefix(keys[0], options); });
    case Kind::Batch:
      return batch(operation);
    case Kind::PutInTime:
      return put_in_time(operation);
    case Kind::PutTooLate: {
      const WriteOptions late{.deadline = std::chrono::nanoseconds(0)};
      return outcome([&] { index_.put(keys[0], operation.values[0].bytes(), late); });
    }
    case Kind::ExclusiveWrite:
      return exclusive_write(operation);
    case Kind::FailFastWrite:
      return fail_fast_write(operation);
    default:
      return std::nullopt;
  }
}

std::string IndexSubject::put(const Operation& operation) {
  const std::string value = operation.values[0].bytes();
  return retried([&] { index_.put(operation.keys[0], value); });
}

// Without Access::Concurrent a write with a deadline does no maintenance. Where cursors hold all of
// the memory budget no flush helps either; then it is written without a deadline.
std::string IndexSubject::put_in_time(const Operation& operation) {
  const std::string value = operation.values[0].bytes();
  const WriteOptions options{.deadline = std::chrono::minutes(10)};
  const std::string result = retried([&] { index_.put(operation.keys[0], value, options); });
  return result == "Busy" ? put(operation) : result;
}

std::string IndexSubject::batch(const Operation& operation) {
  WriteBatch batch;
  for (const Operation& part : operation.parts) {
    if (part.kind == Kind::Put) batch.put(part.keys[0], part.values[0].bytes());
    if (part.kind == Kind::Erase) batch.erase(part.keys[0]);
    if (part.kind == Kind::EraseRange) batch.erase_range(part.keys[0], part.keys[1]);
  }
  const WriteOptions options = write_options(operation.numbers[0]);
  return retried([&] { index_.write(batch, options); });
}

std::string IndexSubject::exclusive_write(const Operation& operation) {
  std::string refused;
  {
    ScanOptions options;
    options.isolation = Isolation::Exclusive;
    Cursor cursor = index_.scan(options);
    static_cast<void>(cursor.next());
    refused = outcome([&] { index_.put(operation.keys[0], "never written"); });
    // Whether there is room, as for a job that has just met a fault, is asked before.
    if (refused == "NoSpace" && configuration_.fault_every != 0) refused = "Busy";
  }
  return refused + ", then " + put(operation);
}

std::string IndexSubject::fail_fast_write(const Operation& operation) {
  ScanOptions options{.from = operation.keys[0]};
  options.isolation = Isolation::FailFast;
  for (int attempt = 0; attempt < kDisturbancesMax; ++attempt) {
    Cursor cursor = index_.scan(options);
    if (!cursor.next()) {
      if (cursor.end_reason() == ScanEnd::Invalidated) continue;
      return "empty";
    }
    Operation at_cursor = operation;
    at_cursor.keys[0] = cursor.key();
    std::string text = key_text(at_cursor.keys[0]) + " " + put(at_cursor);
    text += cursor.next() ? ", an entry" : ", " + std::string(to_string(cursor.end_reason()));
    return text + ", then " + outcome([&] { static_cast<void>(cursor.next()); });
  }
  return "the jobs never rest";
}

std::optional<std::string> IndexSubject::perform_read(const Operation& operation) {
  const auto& keys = operation.keys;
  const auto& numbers = operation.numbers;
  switch (operation.kind) {
    case Kind::Get: {
      // Twice, in both forms: the hot path may answer the second time.
      const std::string first = answer(index_.get(keys[0]));
      std::string value = "reused memory";
      const bool found = index_.get(keys[0], value);
      const std::string second = answer(found ? std::optional(value) : std::nullopt);
      return second == first ? first : first + ", then " + second;
    }
    case Kind::Contains:
      return index_.contains(keys[0]) ? "present" : "absent";
    case Kind::MultiGet: {
      const std::vector<std::string_view> views(keys.begin(), keys.end());
      return answer(index_.multi_get(views));
    }
    case Kind::Scan:
      return scan_into(numbers[2], scan_options(operation));
    case Kind::Resume: {
      const auto token = tokens_[numbers[0] % kSlotCount];
      if (!token) return "no token";
      ScanOptions options;
      options.resume = *token;
      options.limit = numbers[1];
      return scan_into(numbers[0], options);
    }
    case Kind::Seek: {
      ScanOptions options;
      options.reverse = numbers[0] != 0;
      (options.reverse ? options.to : options.from) = keys[0];
      options.limit = numbers[1];
      return answer(scan_all(index_, options));
    }
    case Kind::FailFastScan:
      return fail_fast_scan(operation);
    case Kind::WindowScan:
      return window_scan(operation);
    case Kind::TypedPut:
    case Kind::TypedGet:
    case Kind::TypedScan:
      return typed(operation);
    default:
      return std::nullopt;
  }
}

std::string IndexSubject::scan_into(std::size_t slot, const ScanOptions& options) {
  Cursor cursor = index_.scan(options);
  const Entries found = take_all(cursor);
  auto& token = tokens_[slot % kSlotCount];
  token.reset();
  if (cursor.end_reason() == ScanEnd::Limit) token = cursor.resume_token();
  return answer(found, cursor.end_reason());
}

std::string IndexSubject::fail_fast_scan(const Operation& operation) {
  ScanOptions options = scan_options(operation);
  options.isolation = Isolation::FailFast;
  for (int attempt = 0; attempt < kDisturbancesMax; ++attempt) {
    Cursor cursor = index_.scan(options);
    const Entries found = take_all(cursor);
    if (cursor.end_reason() != ScanEnd::Invalidated) return answer(found);
  }
  return "the jobs never rest";
}

std::string IndexSubject::window_scan(const Operation& operation) {
  ScanOptions options = scan_options(operation, false);
  const std::size_t size = 1 + operation.numbers[1] % 3;
  for (int attempt = 0; attempt < kDisturbancesMax; ++attempt) {
    const Statistics before = index_.statistics();
    Entries found;
    for (std::size_t offset = 0; offset < before.segments.size(); offset += size) {
      options.window = {.offset = offset, .limit = size};
      const Entries part = scan_all(index_, options);
      // Windows count in key order, whichever way each is read.
      found.insert(options.reverse ? found.begin() : found.end(), part.begin(), part.end());
    }
    // Routes change by manifest edits only, but readers see them a moment later.
    const auto fences = [](const Statistics& figures) {
      std::vector<std::string> keys;
      for (const SegmentStatistics& segment : figures.segments) keys.push_back(segment.first_key);
      return keys;
    };
    const Statistics after = index_.statistics();
    if (before.manifest_edit == after.manifest_edit && fences(before) == fences(after)) {
      return answer(found);
    }
  }
  return "the jobs never rest";
}

std::string IndexSubject::typed(const Operation& operation) {
  using Typed = TypedIndex<std::string, std::string>;
  // The first one records the codecs' names.
  const std::string named = retried([&] { const Typed typed(index_); });
  if (named != "ok") return named;
  Typed typed(index_);
  const auto& keys = operation.keys;
  if (operation.kind == Kind::TypedGet) return answer(typed.get(keys[0]));
  if (operation.kind == Kind::TypedPut) {
    const WriteOptions options = write_options(0);
    return retried([&] { typed.put(keys[0], operation.values[0].bytes(), options); });
  }
  Typed::ScanOptions options;
  if (!keys[0].empty()) options.from = keys[0];
  if (!keys[1].empty()) options.to = keys[1];
  options.reverse = operation.numbers[0] != 0;
  options.limit = operation.numbers[1];
  Entries found;
  for (const auto& entry : typed.scan(options)) found.push_back(entry);
  return answer(found);
}

std::optional<std::string> IndexSubject::perform_held(const Operation& operation) {
  switch (operation.kind) {
    case Kind::CursorOpen:
      return open_cursor(operation);
    case Kind::CursorNext:
      return step_cursor(operation.numbers[0] % kSlotCount, operation.numbers[1]);
    case Kind::CursorSeek:
      return seek_cursor(operation.numbers[0] % kSlotCount, operation.keys[0]);
    case Kind::CursorRelease:
      cursors_[operation.numbers[0] % kSlotCount].reset();
      return "ok";
    case Kind::SnapshotTake:
      snapshots_[operation.numbers[0] % kSlotCount].emplace(index_.snapshot());
      return "ok";
    default:
      return perform_snapshot(operation);
  }
}

std::optional<std::string> IndexSubject::perform_snapshot(const Operation& operation) {
  if (operation.kind < Kind::SnapshotGet || operation.kind > Kind::SnapshotRelease) {
    return std::nullopt;
  }
  auto& snapshot = snapshots_[operation.numbers.back() % kSlotCount];
  if (!snapshot) return "no snapshot";
  const auto& keys = operation.keys;
  if (operation.kind == Kind::SnapshotGet) return answer(index_.get(keys[0], &*snapshot));
  if (operation.kind == Kind::SnapshotMultiGet) {
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    return answer(index_.multi_get(views, &*snapshot));
  }
  if (operation.kind == Kind::SnapshotScan) {
    ScanOptions options = scan_options(operation);
    options.snapshot = &*snapshot;
    return answer(scan_all(index_, options));
  }
  snapshot.reset();
  return "ok";
}

std::string IndexSubject::open_cursor(const Operation& operation) {
  auto& cursor = cursors_[operation.numbers[2] % kSlotCount];
  cursor.reset();
  ScanOptions options = scan_options(operation);
  if (operation.numbers[3] != 0) {
    const auto& snapshot = snapshots_[(operation.numbers[3] - 1) % kSlotCount];
    if (!snapshot) return "no snapshot";
    options.snapshot = &*snapshot;
  }
  cursor.emplace(index_.scan(options));
  return "ok";
}

std::string IndexSubject::step_cursor(std::size_t slot, std::uint64_t count) {
  auto& cursor = cursors_[slot];
  if (!cursor) return "no cursor";
  Entries found;
  while (found.size() < count && cursor->next()) found.emplace_back(cursor->key(), cursor->value());
  return answer(found, cursor->end_reason());
}

std::string IndexSubject::seek_cursor(std::size_t slot, std::string_view key) {
  auto& cursor = cursors_[slot];
  if (!cursor) return "no cursor";
  cursor->seek(key);
  return "ok";
}

std::string IndexSubject::perform_other(const Operation& operation) {
  switch (operation.kind) {
    case Kind::Flush:
      return flush_or_sync([this] { index_.flush(); });
    case Kind::Compact:
      return retried([this] { index_.compact(); });
    case Kind::CompactRange:
      return retried([&] { index_.compact({.from = operation.keys[0], .to = operation.keys[1]}); });
    case Kind::CompactCancelled:
      return cancelled_compaction();
    case Kind::Maintain:
      return retried([this] { static_cast<void>(index_.maintain()); });
    case Kind::Sync:
      return flush_or_sync([this] { index_.sync(); });
    case Kind::Reopen:
      return reopen(options_);
    case Kind::ReopenOtherwise:
      return reopen(varied(configuration_.options, operation.numbers[0]));
    case Kind::ReopenReadOnly:
      return visit_read_only(operation);
    case Kind::Kill:
    case Kind::PowerLoss:
      return die(operation);
    case Kind::Check:
      return check_files();
    case Kind::Figures:
      return figures();
    case Kind::InvalidCall:
      return invalid_call(operation.numbers[0] % kInvalidCallCount);
    default:
      return "no such operation";
  }
}

std::string IndexSubject::flush_or_sync(const std::function<void()>& call) {
  std::string result = retried(call);
  if (result == "ok") unlogged_ = false;
  return result;
}

std::string IndexSubject::cancelled_compaction() {
  CancelToken token;
  token.cancel();
  return retried([&] { index_.compact({.cancel = &token}); });
}

std::string IndexSubject::invalid_call(std::uint64_t number) {
  const std::string long_key(kKeySizeMax + 1, 'k');
  switch (number) {
    case 0:
      return outcome([&] { index_.put("", "v"); });
    case 1:
      return outcome([&] { index_.put(long_key, "v"); });
    case 2:
      return outcome([&] { index_.erase(""); });
    case 3:
      return outcome([&] { WriteBatch().put(long_key, "v"); });
    case 4:
      return outcome([&] { index_.erase_range(long_key, ""); });
    case 5: {
      ScanOptions options;
      options.resume = "no token of ours";
      return outcome([&] { static_cast<void>(index_.scan(options)); });
    }
    case 6: {
      const SegmentIndex another = SegmentIndex::open_in_memory(options_);
      const Snapshot snapshot = another.snapshot();
      return outcome([&] { static_cast<void>(index_.get("k", &snapshot)); });
    }
    default:
      return answer(index_.get(""));
  }
}

}  // namespace varve::test::metamorphic
