// SPDX-License-Identifier: Apache-2.0
#include "tests/metamorphic/generator.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

namespace varve::test::metamorphic {
namespace {

struct Weight {
  Kind kind;
  std::uint64_t weight;
};
constexpr std::array<Weight, kKindCount> kWeights = {{
    {Kind::Put, 1600},         {Kind::Erase, 380},
    {Kind::Get, 350},          {Kind::Contains, 60},
    {Kind::MultiGet, 80},      {Kind::Batch, 180},
    {Kind::EraseRange, 40},    {Kind::ErasePrefix, 10},
    {Kind::Scan, 150},         {Kind::Resume, 50},
    {Kind::Seek, 80},          {Kind::FailFastScan, 30},
    {Kind::WindowScan, 8},     {Kind::CursorOpen, 40},
    {Kind::CursorNext, 80},    {Kind::CursorSeek, 40},
    {Kind::CursorRelease, 12}, {Kind::SnapshotTake, 30},
    {Kind::SnapshotGet, 50},   {Kind::SnapshotMultiGet, 20},
    {Kind::SnapshotScan, 15},  {Kind::SnapshotRelease, 20},
    {Kind::Flush, 16},         {Kind::Compact, 3},
    {Kind::CompactRange, 6},   {Kind::CompactCancelled, 3},
    {Kind::Maintain, 12},      {Kind::Sync, 10},
    {Kind::Reopen, 2},         {Kind::ReopenOtherwise, 2},
    {Kind::ReopenReadOnly, 1}, {Kind::Kill, 4},
    {Kind::PowerLoss, 2},      {Kind::Check, 1},
    {Kind::Figures, 20},       {Kind::InvalidCall, 15},
    {Kind::PutInTime, 40},     {Kind::PutTooLate, 8},
    {Kind::FailFastWrite, 10}, {Kind::ExclusiveWrite, 8},
    {Kind::TypedPut, 20},      {Kind::TypedGet, 10},
    {Kind::TypedScan, 4},
}};
constexpr std::uint64_t kWeightSum =
    std::accumulate(kWeights.begin(), kWeights.end(), std::uint64_t{0},
                    [](std::uint64_t sum, const Weight& w) { return sum + w.weight; });

// Of operations, in which writes without a log record come or do not.
constexpr std::size_t kStretch = 100;

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

bool is_scan(Kind kind) noexcept {
  return kind_info(kind).key_count == 3;
}

}  // namespace

Operations Generator::list(std::size_t count) {
  Operations operations;
  operations.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t fifth = i * 5 / count;
    if (i % kStretch == 0) may_be_unlogged_ = workload_.one_in(4);
    operations.push_back(next(fifth < 2 ? Phase::Grow : fifth == 2 ? Phase::Shrink : Phase::Mix));
    static_cast<void>(present_.apply(operations.back()));
  }
  return operations;
}

Operation Generator::next(Phase phase) {
  if (phase != Phase::Shrink && workload_.one_in(60)) return make_bulk();
  std::uint64_t choice = workload_.below(kWeightSum);
  for (const Weight& weight : kWeights) {
    if (choice < weight.weight) return make(weight.kind, phase);
    choice -= weight.weight;
  }
  return {};
}

Operation Generator::make(Kind kind, Phase phase) {
  if (phase == Phase::Shrink && kind == Kind::Put && !workload_.one_in(4)) kind = Kind::Erase;
  if (phase == Phase::Shrink && kind == Kind::Erase && workload_.one_in(12)) {
    kind = Kind::EraseRange;
  }
  if (kind == Kind::Batch) return make_batch();
  Operation operation{.kind = kind};
  add_keys(operation, phase);
  if (kind_info(kind).value_count > 0) operation.values.push_back(value());
  add_numbers(operation);
  return operation;
}

void Generator::add_keys(Operation& operation, Phase phase) {
  const std::size_t count = kind_info(operation.kind).key_count;
  if (count == kAny) {
    for (std::uint64_t i = 1 + workload_.below(5); i > 0; --i) {
      operation.keys.push_back(some_key());
    }
  } else if (operation.kind == Kind::ErasePrefix) {
    operation.keys.push_back(some_prefix());
  } else if (count == 1) {
    const bool is_write = kind_info(operation.kind).value_count > 0;
    operation.keys.push_back(is_write && !workload_.one_in(3) ? workload_.key() : some_key());
  } else if (count >= 2) {
    auto [from, to] = some_range(operation.kind == Kind::EraseRange ? phase : Phase::Mix);
    operation.keys = {std::move(from), std::move(to)};
    if (count == 3) operation.keys.push_back(workload_.one_in(3) ? some_prefix() : "");
  }
}

void Generator::add_numbers(Operation& operation) {
  const auto bit = [this] { return workload_.below(2); };
  const auto slot = [this] { return workload_.below(kSlotCount); };
  const auto limit = [this] { return workload_.one_in(4) ? kNoLimit : workload_.below(40); };
  const Kind kind = operation.kind;
  auto& numbers = operation.numbers;
  if (is_scan(kind) || kind == Kind::TypedScan) {
    numbers = {bit(), limit()};
    if (kind == Kind::WindowScan) numbers[1] = workload_.below(3);
    if (kind == Kind::CursorOpen && !workload_.one_in(4)) numbers[1] = kNoLimit;
    if (kind_info(kind).number_count > 2) numbers.push_back(slot());
    if (kind == Kind::CursorOpen) numbers.push_back(workload_.one_in(3) ? 1 + slot() : 0);
  } else if (kind == Kind::Put || kind == Kind::Erase || kind == Kind::EraseRange ||
             kind == Kind::ErasePrefix) {
    numbers = {durability()};
  } else if (kind == Kind::Seek) {
    numbers = {bit(), 1 + workload_.below(5)};
  } else if (kind == Kind::Resume) {
    numbers = {slot(), limit()};
  } else if (kind == Kind::CursorNext) {
    numbers = {slot(), workload_.below(200)};
  } else if (kind_info(kind).number_count == 1) {
    const bool has_slot = kind >= Kind::CursorSeek && kind <= Kind::SnapshotRelease;
    numbers = {has_slot ? slot() : workload_.below(1000)};
  }
}

// Few keys, so that operations of one batch meet on the same ones.
Operation Generator::make_batch() {
  Operation batch{.kind = Kind::Batch, .numbers = {durability()}};
  std::vector<std::string> keys(1 + workload_.below(6));
  for (std::string& key : keys) key = some_key();
  for (std::uint64_t i = workload_.below(16); i > 0; --i) {
    const std::string& key = keys[workload_.below(keys.size())];
    const std::uint64_t choice = workload_.below(20);
    if (choice < 12) {
      batch.parts.push_back({.kind = Kind::Put, .keys = {key}, .values = {value()}});
    } else if (choice < 18) {
      batch.parts.push_back({.kind = Kind::Erase, .keys = {key}});
    } else {
      const std::string end = workload_.one_in(2) ? key + "~" : keys.front();
      batch.parts.push_back({.kind = Kind::EraseRange, .keys = {key, end}});
    }
  }
  return batch;
}

Operation Generator::make_bulk() {
  Operation batch{.kind = Kind::Batch, .numbers = {0}};
  for (std::uint64_t i = 20 + workload_.below(60); i > 0; --i) {
    const Value bytes{100 + workload_.below(400), workload_.below(10'000)};
    batch.parts.push_back({.kind = Kind::Put, .keys = {workload_.key()}, .values = {bytes}});
  }
  return batch;
}

Value Generator::value() {
  std::uint64_t size = workload_.below(300);
  if (workload_.one_in(20)) size = 0;
  if (workload_.one_in(20)) size = 600 + workload_.below(1200);
  if (workload_.one_in(400)) size = 20'000 + workload_.below(30'000);
  return {size, workload_.below(10'000)};
}

std::string Generator::some_key() {
  const auto& entries = present_.model().entries();
  if (entries.empty() || workload_.one_in(4)) return workload_.key();
  const auto it = entries.lower_bound(workload_.key());
  return it == entries.end() ? entries.begin()->first : it->first;
}

std::string Generator::some_prefix() {
  std::string prefix = some_key();
  prefix.resize(prefix.size() - workload_.below(std::min<std::size_t>(prefix.size(), 3)));
  return prefix;
}

// Mostly a narrow one; now and then to the end, from the start, or the wrong way round.
std::pair<std::string, std::string> Generator::some_range(Phase phase) {
  const auto& entries = present_.model().entries();
  std::string from = some_key(), to = some_key();
  if (from > to && !workload_.one_in(20)) std::swap(from, to);
  if (!workload_.one_in(8)) {
    auto it = entries.lower_bound(from);
    const std::uint64_t width = workload_.below(phase == Phase::Shrink ? 200 : 30);
    for (std::uint64_t i = width; i > 0 && it != entries.end(); --i) ++it;
    if (it != entries.end()) to = it->first;
  }
  if (workload_.one_in(25)) from.clear();
  if (workload_.one_in(25)) to.clear();
  return {std::move(from), std::move(to)};
}

// A write without a log record makes everything before the next death be flushed, and then there
// is nothing for a recovery to do: such writes come in some stretches only.
std::uint64_t Generator::durability() {
  if (!workload_.one_in(10)) return 0;
  if (workload_.one_in(4)) return 3;
  return may_be_unlogged_ ? 1 : 2;
}

Operations generated(std::uint64_t seed, std::size_t count) {
  return Generator(Workload::kShapes[seed % Workload::kShapes.size()], seed).list(count);
}

}  // namespace varve::test::metamorphic
