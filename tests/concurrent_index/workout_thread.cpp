// SPDX-License-Identifier: Apache-2.0
#include "tests/concurrent_index/workout_thread.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <iterator>

#include "varve/error.hpp"

namespace varve::test {
namespace {

constexpr std::uint64_t kHotKeyCount = 6;
constexpr KeyNumber kFocusedBlock = kBlockCount / 2;

std::vector<KeyNumber> keys_between(KeyNumber first, KeyNumber end) {
  std::vector<KeyNumber> keys(end - first);
  for (KeyNumber i = 0; i < keys.size(); ++i) keys[i] = first + i;
  return keys;
}

}  // namespace

struct WorkoutThread::Choice {
  std::uint64_t weight;  // Of 1000.
  void (WorkoutThread::*call)();
};

const std::array<WorkoutThread::Choice, 15> WorkoutThread::kChoices = {{
    {280, &WorkoutThread::put},
    {60, &WorkoutThread::erase},
    {15, &WorkoutThread::erase_range},
    {45, &WorkoutThread::write_singles},
    {80, &WorkoutThread::write_group},
    {240, &WorkoutThread::get},
    {50, &WorkoutThread::contains},
    {80, &WorkoutThread::multi_get},
    {60, &WorkoutThread::scan},
    {25, &WorkoutThread::take_snapshot},
    {35, &WorkoutThread::read_snapshot},
    {7, &WorkoutThread::flush},
    {5, &WorkoutThread::compact},
    {8, &WorkoutThread::sync},
    {10, &WorkoutThread::look_around},
}};

WorkoutThread::WorkoutThread(SegmentIndex& index, CallLog& log, std::uint64_t seed)
    : index_(index), log_(log), random_(seed * 1'000'003 + log.thread()) {}

void WorkoutThread::run(std::uint64_t call_count) noexcept {
  try {
    while (call_count_ < call_count && problem_.empty() && !found_closed_) {
      ++call_count_;
      step();
    }
    held_.reset();
  } catch (const std::exception& error) {
    note(std::string("a call threw ") + error.what());
  }
}

void WorkoutThread::step() {
  std::uint64_t number = below(1000);
  try {
    for (const Choice& choice : kChoices) {
      if (number < choice.weight) {
        (this->*choice.call)();
        return;
      }
      number -= choice.weight;
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Closed) throw;
    found_closed_ = true;
  }
}

void WorkoutThread::note(const std::string& problem) {
  if (problem_.empty()) problem_ = "thread " + std::to_string(log_.thread()) + ": " + problem;
}

template <typename Write>
void WorkoutThread::write(CallLog::Call& call, Write&& write) {
  const WriteOptions options = write_options();
  try {
    write(options);
    call.returned();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Busy) throw;
    call.refused();
    ++refused_count_;
    if (!options.deadline) note(std::string("a write without a deadline threw ") + error.what());
  }
}

WriteOptions WorkoutThread::write_options() {
  WriteOptions options;
  const std::uint64_t choice = below(200);
  if (choice < 10) options.durability = Durability::Buffered;
  if (choice == 10) options.durability = Durability::Synced;
  if (choice >= 11 && choice < 20 && !focused_) {
    options.deadline = std::chrono::microseconds(below(2000));
  }
  return options;
}

KeyNumber WorkoutThread::any_key() {
  if (!focused_) return static_cast<KeyNumber>(below(kKeyCount));
  return one_in(2) ? single_key() : kFocusedBlock * kBlockSize + kSinglesPerBlock;
}

KeyNumber WorkoutThread::single_key() {
  if (focused_) return kFocusedBlock * kBlockSize + static_cast<KeyNumber>(below(3));
  const std::uint64_t place = one_in(2) ? below(kHotKeyCount) * 37 : below(kKeyCount);
  const auto block = static_cast<KeyNumber>(place / kBlockSize % kBlockCount);
  return block * kBlockSize + static_cast<KeyNumber>(place % kSinglesPerBlock);
}

ValueNumber WorkoutThread::seen_value(KeyNumber key, std::string_view bytes) {
  const std::optional<ValueNumber> value = value_number(key, bytes);
  if (!value) note("the bytes at " + key_name(key) + " are no value that was written there");
  return value.value_or(kAbsent);
}

ValueNumber WorkoutThread::seen_value(KeyNumber key, const std::optional<std::string>& found) {
  return found ? seen_value(key, std::string_view(*found)) : kAbsent;
}

void WorkoutThread::fill() {
  std::vector<KeyGroup> parts = groups_;
  parts.emplace_back();
  for (KeyNumber key = 0; key < kKeyCount; ++key) {
    if (key % kBlockSize < kSinglesPerBlock) parts.back().push_back(key);
  }
  for (const KeyGroup& part : parts) {
    const ValueNumber value = next_value();
    WriteBatch batch;
    CallLog::Call call(log_);
    for (const KeyNumber key : part) {
      batch.put(key_name(key), value_bytes(key, value));
      call.put(key, value);
    }
    write(call, [&](const WriteOptions& options) { index_.write(batch, options); });
  }
}

void WorkoutThread::put() {
  const KeyNumber key = single_key();
  const ValueNumber value = next_value();
  const std::string name = key_name(key), bytes = value_bytes(key, value);
  {
    CallLog::Call call(log_);
    call.put(key, value);
    write(call, [&](const WriteOptions& options) { index_.put(name, bytes, options); });
  }
  if (one_in(6)) read_own_write(key);
}

void WorkoutThread::erase() {
  const KeyNumber key = single_key();
  {
    CallLog::Call call(log_);
    call.erase(key);
    write(call, [&](const WriteOptions& options) { index_.erase(key_name(key), options); });
  }
  if (one_in(6)) read_own_write(key);
}

void WorkoutThread::erase_range() {
  const KeyNumber first = single_key(), block = first / kBlockSize * kBlockSize;
  const auto end = static_cast<KeyNumber>(
      one_in(3) ? block + kSinglesPerBlock
                : std::min<std::uint64_t>(first + below(6), block + kSinglesPerBlock));
  CallLog::Call call(log_);
  call.erase_range(first, end);
  write(call, [&](const WriteOptions& options) {
    index_.erase_range(key_name(first), key_name(end), options);
  });
}

// A few singles, put and erased; often behind a range erase in the same batch.
void WorkoutThread::write_singles() {
  WriteBatch batch;
  std::vector<KeyNumber> keys(1 + below(6));
  for (KeyNumber& key : keys) key = single_key();
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  CallLog::Call call(log_);
  const KeyNumber block = keys.front() / kBlockSize * kBlockSize;
  if (one_in(3)) {
    const KeyNumber end = keys.front();
    batch.erase_range(key_name(block), key_name(end));
    call.erase_range(block, end);
  }
  for (const KeyNumber key : keys) {
    if (one_in(4)) {
      batch.erase(key_name(key));
      call.erase(key);
    } else {
      const ValueNumber value = next_value();
      batch.put(key_name(key), value_bytes(key, value));
      call.put(key, value);
    }
  }
  write(call, [&](const WriteOptions& options) { index_.write(batch, options); });
}

// One version for all keys of a group, or none. In the middle now and then a range erase, which
// takes a sequence of its own and must not tear the group apart.
void WorkoutThread::write_group() {
  const KeyGroup& group = any_group();
  const bool erases = one_in(12);
  const ValueNumber value = next_value();
  WriteBatch batch;
  {
    CallLog::Call call(log_);
    for (const KeyNumber key : group) {
      erases ? batch.erase(key_name(key)) : batch.put(key_name(key), value_bytes(key, value));
      erases ? call.erase(key) : call.put(key, value);
      if (!one_in(100)) continue;
      const KeyNumber first = key / kBlockSize * kBlockSize;
      batch.erase_range(key_name(first), key_name(first + 2));
      call.erase_range(first, first + 2);
    }
    write(call, [&](const WriteOptions& options) { index_.write(batch, options); });
  }
  if (one_in(3)) read_own_write(group[below(group.size())]);
}

// Straight after a write: the history then has a read that must see it or something newer.
void WorkoutThread::read_own_write(KeyNumber key) {
  switch (below(4)) {
    case 0:
      multi_get_keys({key, any_key()});
      break;
    case 1:
      scan_range(key, key + 1, {.reverse = one_in(2)});
      break;
    default:
      get_key(key);
      break;
  }
}

void WorkoutThread::get() {
  get_key(one_in(2) ? single_key() : any_key());
}

void WorkoutThread::get_key(KeyNumber key) {
  const std::string name = key_name(key);
  CallLog::Call call(log_);
  const std::optional<std::string> found = index_.get(name);
  call.returned();
  call.get(key, seen_value(key, found));
}

void WorkoutThread::contains() {
  const KeyNumber key = single_key();
  CallLog::Call call(log_);
  const bool found = index_.contains(key_name(key));
  call.returned();
  call.contains(key, found);
}

// A whole group and some others, in no particular order.
void WorkoutThread::multi_get() {
  std::vector<KeyNumber> keys = any_group();
  for (std::uint64_t i = below(8); i > 0; --i) keys.push_back(single_key());
  std::shuffle(keys.begin(), keys.end(), random_);
  multi_get_keys(keys);
}

void WorkoutThread::multi_get_keys(const std::vector<KeyNumber>& keys) {
  std::vector<std::string> names;
  for (const KeyNumber key : keys) names.push_back(key_name(key));
  const std::vector<std::string_view> views(names.begin(), names.end());
  CallLog::Call call(log_);
  const auto found = index_.multi_get(views);
  call.returned();
  View view{.how = "multi_get",
            .thread = log_.thread(),
            .invoked = call.invoked_at(),
            .returned = call.returned_at()};
  if (found.size() != keys.size()) return note("multi_get gave another number of answers");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const ValueNumber value = seen_value(keys[i], found[i]);
    call.get(keys[i], value);
    view.seen.emplace_back(keys[i], value);
  }
  views_.push_back(std::move(view));
}

void WorkoutThread::scan() {
  ScanOptions how;
  how.reverse = one_in(2);
  if (one_in(4)) how.limit = 1 + below(60);
  if (one_in(4)) how.isolation = one_in(3) ? Isolation::Exclusive : Isolation::FailFast;
  KeyNumber first = 0, end = kKeyCount;
  if (one_in(2)) {
    first = any_key();
    end = static_cast<KeyNumber>(first + below(kKeyCount - first) + 1);
  }
  scan_range(first, end, how);
}

void WorkoutThread::scan_range(KeyNumber first, KeyNumber end, const ScanOptions& how) {
  const std::string from = key_name(first), to = key_name(end);
  ScanOptions options = how;
  options.from = from;
  options.to = to;
  View view{.how = "scan", .thread = log_.thread(), .invoked = log_.tick()};
  Cursor cursor = index_.scan(options);
  view.returned = log_.tick();
  if (!take_entries(cursor, first, end, options, view.seen)) {
    ++invalidated_count_;
    return;
  }
  if (how.isolation == Isolation::Exclusive) check_held_off(view);
  // A fail-fast scan promises one moment per segment only; and none before it has ended.
  if (how.isolation == Isolation::FailFast) view.returned = log_.tick();
  note_scan(view, how);
}

void WorkoutThread::note_scan(const View& view, const ScanOptions& how) {
  for (const auto& [key, value] : view.seen) log_.saw(key, value, view.invoked, view.returned);
  if (how.isolation != Isolation::FailFast) views_.push_back(view);
}

// While an exclusive scan is open nobody writes.
void WorkoutThread::check_held_off(const View& view) {
  if (view.seen.empty()) return;
  const auto [key, value] = view.seen[below(view.seen.size())];
  if (seen_value(key, index_.get(key_name(key))) != value) {
    note(key_name(key) + " changed during an exclusive scan");
  }
}

bool WorkoutThread::take_entries(Cursor& cursor, KeyNumber first, KeyNumber end,
                                 const ScanOptions& how,
                                 std::vector<std::pair<KeyNumber, ValueNumber>>& seen) {
  std::vector<KeyNumber> expected = keys_between(first, end);
  if (how.reverse) std::reverse(expected.begin(), expected.end());
  auto next = expected.begin();
  std::uint64_t count = 0;
  while (cursor.next()) {
    const std::optional<KeyNumber> key = key_number(cursor.key());
    const auto at = key ? std::find(next, expected.end(), *key) : expected.end();
    if (at == expected.end()) {
      note("a scan gave " + std::string(cursor.key()) + " out of order, twice, or from nowhere");
      return true;
    }
    for (; next != at; ++next) seen.emplace_back(*next, kAbsent);
    seen.emplace_back(*key, seen_value(*key, cursor.value()));
    ++next;
    ++count;
  }
  if (cursor.end_reason() == ScanEnd::Invalidated && how.isolation == Isolation::FailFast) {
    return false;
  }
  if (cursor.end_reason() == ScanEnd::Limit && count == how.limit) return true;
  if (cursor.end_reason() != ScanEnd::End) {
    note("a scan ended by " + std::string(to_string(cursor.end_reason())));
  }
  for (; next != expected.end(); ++next) seen.emplace_back(*next, kAbsent);
  return true;
}

void WorkoutThread::take_snapshot() {
  const Moment invoked = log_.tick();
  Snapshot snapshot = index_.snapshot();
  held_.emplace(HeldSnapshot{std::move(snapshot), invoked, log_.tick(), {}});
}

// Through the snapshot that is held since some calls ago. It must show what it showed before.
void WorkoutThread::read_snapshot() {
  if (!held_) return take_snapshot();
  View view{.how = "snapshot",
            .thread = log_.thread(),
            .invoked = held_->invoked,
            .returned = held_->returned};
  ScanOptions how;
  how.snapshot = &held_->snapshot;
  how.reverse = one_in(2);
  const std::string to = key_name(kKeyCount);
  how.to = to;
  Cursor cursor = index_.scan(how);
  static_cast<void>(take_entries(cursor, 0, kKeyCount, how, view.seen));
  std::sort(view.seen.begin(), view.seen.end());
  const auto [key, value] = view.seen[below(view.seen.size())];
  if (seen_value(key, index_.get(key_name(key), &held_->snapshot)) != value) {
    note("a get and a scan through one snapshot saw two values at " + key_name(key));
  }
  if (!held_->seen.empty()) {
    if (held_->seen != view.seen) note("a snapshot shows something else than it did before");
    return;
  }
  held_->seen = view.seen;
  note_scan(view, how);
}

void WorkoutThread::flush() {
  index_.flush();
}

void WorkoutThread::compact() {
  std::string from, to;
  if (!one_in(4)) {
    const KeyNumber first = any_key();
    from = key_name(first);
    to = key_name(static_cast<KeyNumber>(first + 1 + below(40)));
  }
  index_.compact({.from = from, .to = to});
}

void WorkoutThread::sync() {
  one_in(4) ? static_cast<void>(index_.maintain()) : index_.sync();
}

void WorkoutThread::look_around() {
  const Statistics statistics = index_.statistics();
  if (statistics.segments.empty()) note("the statistics have no segment");
  for (std::size_t i = 1; i < statistics.segments.size(); ++i) {
    if (statistics.segments[i - 1].first_key >= statistics.segments[i].first_key) {
      note("the statistics have segments out of order");
    }
  }
  if (!index_.health() && index_.lifecycle() == Lifecycle::Failed) note("the index has failed");
}

void WorkoutThread::read_all() {
  for (KeyNumber key = 0; key < kKeyCount; ++key) get_key(key);
  scan_range(0, kKeyCount, {});
  scan_range(0, kKeyCount, {.reverse = true});
}

}  // namespace varve::test
