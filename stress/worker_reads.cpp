// SPDX-License-Identifier: Apache-2.0
// The half of WorkerThread that reads, and checks what it read.
#include <fmt/format.h>

#include <algorithm>

#include "stress/failure.hpp"
#include "stress/worker_thread.hpp"

namespace varve::stress {
namespace {

constexpr std::uint32_t kMultiGetKeysMax = 16, kSnapshotKeysMax = 256;

}  // namespace

std::vector<KeyWord> WorkerThread::words(KeyNumber first, KeyNumber end) const {
  std::vector<KeyWord> words;
  words.reserve(end - first);
  for (KeyNumber key = first; key < end; ++key) words.push_back(at_.state.word(key));
  return words;
}

LegalRange WorkerThread::range_since(KeyNumber key, KeyWord before) const {
  return {.floor = before.returned(), .current = at_.state.word(key), .cycle = cycle_};
}

Found WorkerThread::check_read(KeyNumber key, const std::optional<std::string_view>& bytes,
                               const LegalRange& range) const {
  const std::optional<Found> found = resolve(form_, key, bytes, range);
  if (!found) throw Mismatch("while running: " + mismatch_text(form_, key, bytes, range));
  return *found;
}

void WorkerThread::get() {
  const KeyNumber key = any_key();
  const std::string name = key_name(key);
  const KeyWord before = at_.state.word(key);
  if (random_.one_in(8)) {
    const bool found = at_.index.contains(name);
    const LegalRange range = range_since(key, before);
    const bool may_be_there = !range.floor.deleted() || range.floor != range.current;
    if (found ? !may_be_there : !range.allows_absence()) {
      throw Mismatch(fmt::format("while running: contains() says {} of key {} ({})", found, key,
                                 name.substr(0, 32)));
    }
  } else if (at_.index.get(name, read_)) {
    static_cast<void>(check_read(key, read_, range_since(key, before)));
  } else {
    static_cast<void>(check_read(key, std::nullopt, range_since(key, before)));
  }
  count(Kind::Read);
}

void WorkerThread::multi_get() {
  std::vector<KeyNumber> keys(1 + random_.below(kMultiGetKeysMax));
  std::vector<KeyWord> before;
  std::vector<std::string> names;
  for (KeyNumber& key : keys) {
    key = any_key();
    names.push_back(key_name(key));
    before.push_back(at_.state.word(key));
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  const auto values = at_.index.multi_get(views);
  if (values.size() != keys.size()) {
    throw Mismatch("multi_get() gave another number of answers than it was asked for");
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    static_cast<void>(check_read(keys[i], values[i], range_since(keys[i], before[i])));
  }
  count(Kind::Read);
}

template <typename RangeOf>
std::vector<Found> WorkerThread::check_scan(Cursor& cursor, KeyNumber first, KeyNumber end,
                                            const ScanOptions& how, const RangeOf& range_of) {
  std::vector<Found> seen;  // In the order of the scan.
  const auto key_at = [&](std::size_t i) {
    return how.reverse ? static_cast<KeyNumber>(end - 1 - i) : static_cast<KeyNumber>(first + i);
  };
  const auto see_absence = [&] {
    const KeyNumber key = key_at(seen.size());
    seen.push_back(check_read(key, std::nullopt, range_of(key)));
  };
  std::uint64_t entry_count = 0;
  for (; cursor.next(); ++entry_count) {
    const std::optional<KeyNumber> key = key_number(cursor.key());
    const std::size_t at = !key || *key < first || *key >= end ? end - first
                           : how.reverse                       ? end - 1 - *key
                                                               : *key - first;
    if (at < seen.size() || at >= end - first) {
      throw Mismatch(
          fmt::format("while running: a {} scan of keys {} to {} gave {} out of order, "
                      "twice or from nowhere",
                      how.reverse ? "reverse" : "forward", first, end,
                      key ? std::to_string(*key) : std::string(cursor.key())));
    }
    while (seen.size() < at) see_absence();
    seen.push_back(check_read(*key, cursor.value(), range_of(*key)));
  }
  const ScanEnd reason = cursor.end_reason();
  if (reason == ScanEnd::Invalidated && how.isolation == Isolation::FailFast) return seen;
  if (reason == ScanEnd::Limit && entry_count == how.limit) return seen;
  if (reason != ScanEnd::End) {
    throw Mismatch(fmt::format("while running: a scan ended by {}", varve::to_string(reason)));
  }
  while (seen.size() < end - first) see_absence();
  return seen;
}

void WorkerThread::scan() {
  const KeyNumber first = any_key();
  const std::uint64_t length = random_.of_any_magnitude(1, at_.state.key_count());
  const auto end =
      static_cast<KeyNumber>(std::min<std::uint64_t>(at_.state.key_count(), first + length));
  const std::string from = key_name(first), to = key_name(end);
  ScanOptions how{.from = from, .to = to, .reverse = random_.one_in(2)};
  if (random_.one_in(4)) how.limit = 1 + random_.below(40);
  if (random_.one_in(6)) how.isolation = Isolation::FailFast;
  if (random_.one_in(24)) how.isolation = Isolation::Exclusive;
  const std::vector<KeyWord> before = words(first, end);
  Cursor cursor = at_.index.scan(how);
  if (how.isolation == Isolation::FailFast) {
    // It shows one moment per segment, each of them before the step that shows it.
    static_cast<void>(check_scan(cursor, first, end, how, [&](KeyNumber key) {
      return range_since(key, before[key - first]);
    }));
  } else {
    const std::vector<KeyWord> after = words(first, end);
    static_cast<void>(check_scan(cursor, first, end, how, [&](KeyNumber key) {
      return LegalRange{before[key - first].returned(), after[key - first], cycle_};
    }));
  }
  count(Kind::Scan);
}

// Takes one, or reads through the one that is held: always the same, as long as it is held.
void WorkerThread::use_snapshot() {
  if (!held_) {
    const KeyNumber first = any_key();
    const auto end = static_cast<KeyNumber>(std::min<std::uint64_t>(
        at_.state.key_count(), first + 1 + random_.below(kSnapshotKeysMax)));
    std::vector<KeyWord> before = words(first, end);
    Snapshot snapshot = at_.index.snapshot();
    held_.emplace(
        HeldSnapshot{std::move(snapshot), first, end, std::move(before), words(first, end), {}});
    return;
  }
  const HeldSnapshot& held = *held_;
  const auto range_of = [&](KeyNumber key) {
    return LegalRange{held.before[key - held.first].returned(), held.after[key - held.first],
                      cycle_};
  };
  const std::string from = key_name(held.first), to = key_name(held.end);
  ScanOptions how{.from = from, .to = to, .reverse = random_.one_in(2), .snapshot = &held.snapshot};
  Cursor cursor = at_.index.scan(how);
  std::vector<Found> seen = check_scan(cursor, held.first, held.end, how, range_of);
  if (how.reverse) std::reverse(seen.begin(), seen.end());
  const auto key = static_cast<KeyNumber>(held.first + random_.below(held.end - held.first));
  const bool found = at_.index.get(key_name(key), read_, &held.snapshot);
  const std::optional<std::string_view> bytes =
      found ? std::optional<std::string_view>(read_) : std::nullopt;
  const Found got = check_read(key, bytes, range_of(key));
  if (got != seen[key - held.first] || (!held.seen.empty() && held.seen != seen)) {
    throw Mismatch(fmt::format(
        "while running: a snapshot of keys {} to {} did not show the same again (key {})",
        held.first, held.end, key));
  }
  held_->seen = std::move(seen);
  if (random_.one_in(4)) held_.reset();
  count(Kind::SnapshotRead);
}

}  // namespace varve::stress
