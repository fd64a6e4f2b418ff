// SPDX-License-Identifier: Apache-2.0
#include "stress/worker_thread.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "stress/failure.hpp"
#include "varve/error.hpp"

namespace varve::stress {
namespace {

constexpr std::uint32_t kRangeKeysMax = 512, kBatchKeysMax = 24;

}  // namespace

struct WorkerThread::Choice {
  std::array<std::uint32_t, 4> weights;  // By role.
  void (WorkerThread::*call)();
};

const std::array<WorkerThread::Choice, 9> WorkerThread::kChoices = {{
    {{500, 0, 0, 400}, &WorkerThread::put},
    {{100, 0, 0, 80}, &WorkerThread::erase},
    {{12, 0, 0, 12}, &WorkerThread::erase_range},
    {{130, 0, 0, 120}, &WorkerThread::write_batch},
    {{150, 700, 0, 200}, &WorkerThread::get},
    {{30, 250, 0, 60}, &WorkerThread::multi_get},
    {{10, 20, 600, 40}, &WorkerThread::scan},
    {{10, 30, 400, 30}, &WorkerThread::use_snapshot},
    {{0, 0, 0, 0}, &WorkerThread::keep_house},  // As often as the plan says.
}};

WorkerThread::WorkerThread(const Workplace& workplace, std::uint32_t number, Role role)
    : at_(workplace),
      number_(number),
      role_(role),
      cycle_(workplace.state.header().cycle.load()),
      form_{workplace.state.header().seed},
      random_(mixed(workplace.plan.seed, number + 1)),
      trace_(workplace.state.trace(number)) {}

void WorkerThread::run() {
  while (at_.state.header().stop.load(std::memory_order_relaxed) == 0) step();
  held_.reset();
}

void WorkerThread::step() {
  const bool writes = role_ == Role::Writer || role_ == Role::All;
  if (writes && random_.below(1000) < at_.plan.maintenance_weight) return keep_house();
  const auto weight = [&](const Choice& choice) {
    return choice.weights[static_cast<std::size_t>(role_)];
  };
  std::uint32_t total = 0;
  for (const Choice& choice : kChoices) total += weight(choice);
  auto drawn = static_cast<std::uint32_t>(random_.below(total));
  for (const Choice& choice : kChoices) {
    if (drawn < weight(choice)) return (this->*choice.call)();
    drawn -= weight(choice);
  }
}

void WorkerThread::count(Kind kind) {
  ExpectedState::Header& header = at_.state.header();
  header.counts[static_cast<std::size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
  header.operation_count.fetch_add(1, std::memory_order_relaxed);
}

// Half of the time one of a few, which so are written again and again.
KeyNumber WorkerThread::any_key() {
  const std::uint64_t count = at_.state.key_count();
  if (random_.one_in(2)) return static_cast<KeyNumber>(random_.below(count));
  const std::uint64_t hot_count = 1 + count / 32;
  return static_cast<KeyNumber>(random_.below(hot_count) * 31 % count);
}

KeyWord WorkerThread::word_after(const Change& change) const {
  const KeyWord before = at_.state.word(change.key);
  return change.generation ? before.after_put(*change.generation) : before.after_erase();
}

WriteOptions WorkerThread::draw_write_options() {
  WriteOptions options;
  const std::uint64_t drawn = random_.below(64);
  if (at_.plan.writes == Writes::Mixed && drawn < 20) options.durability = Durability::Buffered;
  if (at_.plan.some_synced && drawn == 20) options.durability = Durability::Synced;
  if (random_.one_in(24)) options.deadline = std::chrono::microseconds(random_.below(2000));
  return options;
}

// The trace must be full before the write begins, and must not grow before it is.
void WorkerThread::trace(const std::vector<Change>& changes) {
  const std::uint32_t number = trace_.write_count.load();
  TracedWrite& write = trace_.writes[number];
  const TracedWrite* const last = number == 0 ? nullptr : &trace_.writes[number - 1];
  write.first_change = last == nullptr ? 0 : last->first_change + last->change_count;
  write.change_count = 0;
  for (const Change& change : changes) {
    // Erasing an absent key leaves nothing that could be looked for.
    if (!change.generation && at_.state.word(change.key).deleted()) continue;
    trace_.changes[write.first_change + write.change_count++] = {.word = word_after(change).bits(),
                                                                 .key = change.key};
  }
  write.returned.store(0);
  write.called = at_.state.header().ticket.fetch_add(1);
  trace_.write_count.store(number + 1);
}

void WorkerThread::make_room_in_trace(std::size_t change_count) {
  const std::uint32_t number = trace_.write_count.load();
  if (number == 0) return;
  const TracedWrite& last = trace_.writes[number - 1];
  const std::size_t used = last.first_change + last.change_count;
  if (number < Trace::kWritesMax && used + change_count <= Trace::kChangesMax) return;
  save(Kind::Flush, [&] { at_.index.flush(); });
  trace_.write_count.store(0);  // Everything of this thread now survives a kill.
}

void WorkerThread::note_refusal(const WriteOptions& options, const Error& error) {
  if (error.code() != ErrorCode::Busy) throw error;
  const bool by_hand = !at_.plan.options.tuning.inline_maintenance;
  if (!options.deadline && !by_hand) {
    throw Mismatch(fmt::format("a write without a deadline threw {}", error.what()));
  }
  count(Kind::Refused);
  if (by_hand) static_cast<void>(at_.index.maintain());
}

template <typename Call>
void WorkerThread::write(Kind kind, const std::vector<Change>& changes, const Call& call) {
  make_room_in_trace(changes.size());
  const WriteOptions options = draw_write_options();
  trace(changes);
  for (const auto& [key, generation] : changes) {
    const KeyWord word = at_.state.word(key);
    at_.state.set_word(key, generation ? word.putting() : word.erasing());
  }
  try {
    call(options);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Busy) {  // Without effect.
      for (const Change& change : changes) {
        at_.state.set_word(change.key, at_.state.word(change.key).returned());
      }
      trace_.write_count.fetch_sub(1);
    }
    return note_refusal(options, error);
  }
  const std::uint32_t last = trace_.write_count.load() - 1;
  trace_.writes[last].returned.store(at_.state.header().ticket.fetch_add(1));
  const bool survives =
      options.durability.value_or(at_.plan.options.durability) != Durability::Buffered;
  for (const Change& change : changes) {
    const KeyWord after = word_after(change);
    at_.state.set_word(change.key, after);
    if (survives) at_.state.raise_floor(change.key, after);
  }
  if (at_.plan.writes == Writes::Logged) trace_.write_count.store(0);
  count(kind);
}

void WorkerThread::put() {
  const KeyNumber key = any_key();
  const KeyLocks::Held held(at_.locks, at_.locks.stripe_of(key));
  const std::uint64_t generation = at_.state.word(key).next_generation(cycle_);
  form_.encode(key, generation, value_);
  write(Kind::Put, {{key, generation}},
        [&](const WriteOptions& options) { at_.index.put(key_name(key), value_, options); });
}

void WorkerThread::erase() {
  const KeyNumber key = any_key();
  const KeyLocks::Held held(at_.locks, at_.locks.stripe_of(key));
  write(Kind::Erase, {{key, std::nullopt}},
        [&](const WriteOptions& options) { at_.index.erase(key_name(key), options); });
}

void WorkerThread::erase_range() {
  const KeyNumber count = at_.state.key_count();
  KeyNumber first = any_key();
  const bool by_prefix = random_.one_in(3);
  if (by_prefix) first = first / 16 * 16;
  const std::uint64_t length = by_prefix ? 16 : random_.of_any_magnitude(1, kRangeKeysMax / 2);
  const auto end = static_cast<KeyNumber>(std::min<std::uint64_t>(count, first + length));
  const KeyLocks::Held held(at_.locks, at_.locks.stripes_of(first, end));
  std::vector<Change> changes;
  for (KeyNumber key = first; key < end; ++key) changes.push_back({key, std::nullopt});
  const std::string to = end == count && random_.one_in(2) ? std::string() : key_name(end);
  write(Kind::EraseRange, changes, [&](const WriteOptions& options) {
    by_prefix ? at_.index.erase_prefix(sixteen_prefix(first), options)
              : at_.index.erase_range(key_name(first), to, options);
  });
}

// Keys from all over the index, put and erased; now and then behind a range erase.
void WorkerThread::write_batch() {
  std::vector<KeyNumber> keys(2 + random_.below(kBatchKeysMax - 1));
  for (KeyNumber& key : keys) key = any_key();
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  KeyNumber first = 0, end = 0;
  if (random_.one_in(6)) {
    first = any_key();
    end = static_cast<KeyNumber>(
        std::min<std::uint64_t>(at_.state.key_count(), first + 1 + random_.below(64)));
  }
  KeyLocks::Stripes stripes = at_.locks.stripes_of(first, end);
  for (const KeyNumber key : keys) stripes |= at_.locks.stripe_of(key);
  const KeyLocks::Held held(at_.locks, stripes);

  WriteBatch batch;
  std::vector<Change> changes;
  if (first < end) {
    batch.erase_range(key_name(first), key_name(end));
    for (KeyNumber key = first; key < end; ++key) {
      const bool again = std::binary_search(keys.begin(), keys.end(), key);
      if (!again) changes.push_back({key, std::nullopt});
    }
  }
  for (const KeyNumber key : keys) {
    if (random_.one_in(4)) {
      batch.erase(key_name(key));
      changes.push_back({key, std::nullopt});
      continue;
    }
    const std::uint64_t generation = at_.state.word(key).next_generation(cycle_);
    form_.encode(key, generation, value_);
    batch.put(key_name(key), value_);
    changes.push_back({key, generation});
  }
  write(Kind::Batch, changes,
        [&](const WriteOptions& options) { at_.index.write(batch, options); });
}

// What had returned before the flush or sync survives a kill after it.
template <typename Save>
void WorkerThread::save(Kind kind, const Save& save) {
  const std::vector<KeyWord> before = words(0, at_.state.key_count());
  save();
  for (KeyNumber key = 0; key < before.size(); ++key) {
    at_.state.raise_floor(key, before[key].returned());
  }
  count(kind);
}

void WorkerThread::compact() {
  const std::string from = random_.one_in(2) ? std::string() : key_name(any_key());
  CancelToken token;
  CompactOptions options{.from = from, .cancel = &token};
  const bool cancels = random_.one_in(4);
  if (cancels) options.progress = [&](const MaintenanceProgress&) { token.cancel(); };
  try {
    at_.index.compact(options);
  } catch (const Error& error) {
    if (!cancels || error.code() != ErrorCode::Cancelled) throw;
  }
  count(Kind::Compact);
}

void WorkerThread::keep_house() {
  switch (random_.below(6)) {
    case 0:
    case 1:
      return save(Kind::Flush, [&] { at_.index.flush(); });
    case 2:
      return compact();
    case 3:
      static_cast<void>(at_.index.maintain());
      return;
    case 4:
      static_cast<void>(at_.index.statistics());
      return;
    default:
      return save(Kind::Sync, [&] { at_.index.sync(); });
  }
}

}  // namespace varve::stress
