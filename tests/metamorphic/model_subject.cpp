// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/model_subject.hpp"

#include <algorithm>
#include <utility>

namespace varve::test::metamorphic {

ScanOptions ModelSubject::Range::options(std::uint64_t limit) const {
  ScanOptions options{.from = from, .to = to, .prefix = prefix};
  options.reverse = reverse;
  options.limit = limit;
  return options;
}

std::string ModelSubject::apply(const Operation& operation) {
  if (auto written = apply_write(operation)) return *written;
  if (auto found = apply_read(operation)) return *found;
  if (auto held = apply_held(operation)) return *held;
  return apply_other(operation);
}

std::optional<std::string> ModelSubject::apply_write(const Operation& operation) {
  switch (operation.kind) {
    case Kind::Put:
    case Kind::PutInTime:
    case Kind::TypedPut:
      return put(operation);
    case Kind::Erase:
      model_.erase(operation.keys[0]);
      ++last_sequence_;
      ++erase_count_;
      return "ok";
    case Kind::EraseRange:
      return erase_range(operation.keys[0], operation.keys[1]);
    case Kind::ErasePrefix:
      model_.erase_prefix(operation.keys[0]);
      ++last_sequence_;
      ++erase_count_;
      return "ok";
    case Kind::Batch:
      return batch(operation);
    case Kind::PutTooLate:
      return "Busy";
    case Kind::ExclusiveWrite:
      return "Busy, then " + put(operation);
    case Kind::FailFastWrite:
      return fail_fast_write(operation);
    default:
      return std::nullopt;
  }
}

std::string ModelSubject::put(const Operation& operation) {
  model_.put(operation.keys[0], operation.values[0].bytes());
  ++last_sequence_;
  ++put_count_;
  return "ok";
}

// A range that is the wrong way round is no write at all; one that holds no key is.
std::string ModelSubject::erase_range(const std::string& from, const std::string& to) {
  ++erase_count_;
  if (!to.empty() && from >= to) return "ok";
  model_.erase_range(from, to);
  ++last_sequence_;
  return "ok";
}

// All parts have one sequence, but that a range erase must not cover what stands before it. A
// range that is the wrong way round is not even taken into the batch.
std::string ModelSubject::batch(const Operation& operation) {
  bool is_first = true;
  for (const Operation& part : operation.parts) {
    const bool is_range = part.kind == Kind::EraseRange;
    if (is_range && !part.keys[1].empty() && part.keys[0] >= part.keys[1]) continue;
    if (is_range || is_first) ++last_sequence_;
    is_first = false;
    if (part.kind == Kind::Put) {
      model_.put(part.keys[0], part.values[0].bytes());
      ++put_count_;
      continue;
    }
    ++erase_count_;
    if (is_range) {
      model_.erase_range(part.keys[0], part.keys[1]);
    } else {
      model_.erase(part.keys[0]);
    }
  }
  return "ok";
}

std::string ModelSubject::fail_fast_write(const Operation& operation) {
  const auto it = model_.entries().lower_bound(operation.keys[0]);
  if (it == model_.entries().end()) return "empty";
  Operation at_cursor = operation;
  at_cursor.keys[0] = it->first;
  return key_text(it->first) + " " + put(at_cursor) + ", Invalidated, then Invalidated";
}

std::optional<std::string> ModelSubject::apply_read(const Operation& operation) {
  const auto& keys = operation.keys;
  const auto& numbers = operation.numbers;
  switch (operation.kind) {
    case Kind::Get:
    case Kind::TypedGet:
      return answer(model_.get(keys[0]));
    case Kind::Contains:
      return model_.get(keys[0]) ? "present" : "absent";
    case Kind::MultiGet: {
      std::vector<std::optional<std::string>> values;
      for (const std::string& key : keys) values.push_back(model_.get(key));
      return answer(values);
    }
    case Kind::Scan:
      return scan_into(numbers[2], {keys[0], keys[1], keys[2], numbers[0] != 0}, numbers[1]);
    case Kind::Resume:
      if (!resumes_[numbers[0] % kSlotCount]) return "no token";
      return scan_into(numbers[0], *resumes_[numbers[0] % kSlotCount], numbers[1]);
    case Kind::Seek: {
      const bool reverse = numbers[0] != 0;
      const Range range{reverse ? "" : keys[0], reverse ? keys[0] : "", "", reverse};
      return answer(model_.scan(range.options(numbers[1])));
    }
    case Kind::FailFastScan:
      return answer(model_.scan(scan_options(operation)));
    case Kind::WindowScan:
      return answer(model_.scan(scan_options(operation, false)));
    case Kind::TypedScan:
      return answer(model_.scan(Range{keys[0], keys[1], "", numbers[0] != 0}.options(numbers[1])));
    default:
      return std::nullopt;
  }
}

// A scan that its limit ended can be resumed behind its last entry.
std::string ModelSubject::scan_into(std::size_t slot, const Range& range, std::uint64_t limit) {
  Range rest = range;
  const Entries found = model_.scan(range.options(limit));
  const bool limited = found.size() == limit;
  if (!found.empty()) {
    (rest.reverse ? rest.to : rest.from) = found.back().first;
    if (!rest.reverse) rest.from.push_back('\0');
  }
  auto& token = resumes_[slot % kSlotCount];
  token.reset();
  if (limited) token = rest;
  return answer(found, limited ? ScanEnd::Limit : ScanEnd::End);
}

std::optional<std::string> ModelSubject::apply_held(const Operation& operation) {
  if (operation.kind == Kind::CursorOpen) return open_cursor(operation);
  if (operation.kind == Kind::CursorNext) {
    return step_cursor(operation.numbers[0] % kSlotCount, operation.numbers[1]);
  }
  if (operation.kind == Kind::CursorSeek) {
    return seek_cursor(operation.numbers[0] % kSlotCount, operation.keys[0]);
  }
  if (operation.kind == Kind::CursorRelease) {
    cursors_[operation.numbers[0] % kSlotCount].reset();
    return "ok";
  }
  if (operation.kind < Kind::SnapshotTake || operation.kind > Kind::SnapshotRelease) {
    return std::nullopt;
  }
  auto& snapshot = snapshots_[operation.numbers.back() % kSlotCount];
  if (operation.kind == Kind::SnapshotTake) {
    snapshot = model_;
    return "ok";
  }
  if (!snapshot) return "no snapshot";
  switch (operation.kind) {
    case Kind::SnapshotGet:
      return answer(snapshot->get(operation.keys[0]));
    case Kind::SnapshotMultiGet: {
      std::vector<std::optional<std::string>> values;
      for (const std::string& key : operation.keys) values.push_back(snapshot->get(key));
      return answer(values);
    }
    case Kind::SnapshotScan:
      return answer(snapshot->scan(scan_options(operation)));
    default:
      snapshot.reset();
      return "ok";
  }
}

std::string ModelSubject::open_cursor(const Operation& operation) {
  auto& cursor = cursors_[operation.numbers[2] % kSlotCount];
  cursor.reset();
  const Model* model = &model_;
  if (operation.numbers[3] != 0) {
    const auto& snapshot = snapshots_[(operation.numbers[3] - 1) % kSlotCount];
    if (!snapshot) return "no snapshot";
    model = &*snapshot;
  }
  ScanOptions options = scan_options(operation);
  const std::uint64_t limit = std::exchange(options.limit, ScanOptions().limit);
  cursor = HeldCursor{
      .entries = model->scan(options), .reverse = options.reverse, .limit = limit, .left = limit};
  return "ok";
}

std::string ModelSubject::step_cursor(std::size_t slot, std::uint64_t count) {
  auto& cursor = cursors_[slot];
  if (!cursor) return "no cursor";
  const std::size_t rest = cursor->entries.size() - cursor->position;
  const auto begin = cursor->entries.begin() + static_cast<std::ptrdiff_t>(cursor->position);
  const std::size_t given = std::min({std::uint64_t{rest}, cursor->left, count});
  cursor->position += given;
  cursor->left -= given;
  cursor->ended = cursor->ended || given < count;  // It ends by the step that finds nothing.
  const ScanEnd end = cursor->left == 0 ? ScanEnd::Limit : ScanEnd::End;
  return answer(Entries(begin, begin + static_cast<std::ptrdiff_t>(given)),
                cursor->ended ? end : ScanEnd::None);
}

std::string ModelSubject::seek_cursor(std::size_t slot, std::string_view key) {
  auto& cursor = cursors_[slot];
  if (!cursor) return "no cursor";
  const auto first = std::find_if(
      cursor->entries.begin(), cursor->entries.end(),
      [&](const auto& entry) { return cursor->reverse ? entry.first <= key : entry.first >= key; });
  cursor->position = static_cast<std::size_t>(first - cursor->entries.begin());
  cursor->left = cursor->limit;
  cursor->ended = false;
  return "ok";
}

std::string ModelSubject::apply_other(const Operation& operation) {
  switch (operation.kind) {
    case Kind::CompactCancelled:
      return "Cancelled";
    case Kind::Reopen:
    case Kind::ReopenOtherwise:
    case Kind::Kill:
    case Kind::PowerLoss:
      reopened();
      return "ok";
    case Kind::ReopenReadOnly:
      reopened();
      return "ReadOnly, " + answer(model_.get(operation.keys[0])) + ", " + answer(model_.scan());
    case Kind::Check:
      reopened();
      return "sound";
    case Kind::Figures:
      return figures();
    case Kind::InvalidCall:
      return operation.numbers[0] % kInvalidCallCount == kInvalidCallCount - 1 ? "absent"
                                                                               : "InvalidArgument";
    default:
      return "ok";
  }
}

std::string ModelSubject::figures() const {
  const auto held = [](const auto& slots) {
    return std::count_if(slots.begin(), slots.end(), [](const auto& s) { return s.has_value(); });
  };
  return "sequence " + std::to_string(last_sequence_) + ", " + std::to_string(put_count_) +
         " puts, " + std::to_string(erase_count_) + " erases, " +
         std::to_string(held(snapshots_) + held(cursors_)) + " snapshots";
}

void ModelSubject::reopened() {
  snapshots_ = {};
  cursors_ = {};
  put_count_ = 0;
  erase_count_ = 0;
}

History model_history(const Operations& operations) {
  ModelSubject model;
  History history;
  history.reserve(operations.size());
  for (const Operation& operation : operations) history.push_back(model.apply(operation));
  return history;
}

}  // namespace varve::test::metamorphic
