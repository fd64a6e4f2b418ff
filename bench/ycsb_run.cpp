// SPDX-License-Identifier: Apache-2.0
// YCSB's mixes against an engine. One thread: it knows which version of which value must come.
#include <algorithm>
#include <stdexcept>

#include "bench/session.hpp"

namespace varve::bench {
namespace {

constexpr std::uint64_t kVerifyCount = 2000;

constexpr const char* latency_kind(YcsbKind kind) {
  switch (kind) {
    case YcsbKind::Read:
      return "get";
    case YcsbKind::Update:
      return "put";
    case YcsbKind::Insert:
      return "insert";
    case YcsbKind::Scan:
      return "scan";
    case YcsbKind::Modify:
      return "modify";
  }
  return "";
}
constexpr std::size_t kKindCount = 5;

}  // namespace

// The first mix loads; the others go on from there until one has inserted, as YCSB recommends.
void Session::start_ycsb() {
  if (number_count_ != settings_.entry_count) loaded_ = false;
  if (!loaded_) ycsb_versions_.assign(settings_.entry_count, 0);
  require_warm();
}

Measurement Session::ycsb(char name) {
  start_ycsb();
  const YcsbMix& mix = ycsb_mix(name);
  const std::vector<YcsbOperation> operations =
      make_ycsb_operations(mix, settings_.entry_count, settings_.read_count, settings_.seed + 9);
  std::uint64_t write_count = 0;
  for (const YcsbOperation& operation : operations) {
    write_count += operation.kind != YcsbKind::Read && operation.kind != YcsbKind::Scan;
  }
  static_cast<void>(greatest_key());
  ycsb_versions_.reserve(settings_.entry_count + write_count);
  ycsb_wrong_count_ = 0;
  std::array<LatencyHistogram, kKindCount> times;
  EntryCheck check(values_);
  Measurement result = measure(operations.size(), write_count * entry_size(), [&] {
    LapTimer timer;
    for (const YcsbOperation& operation : operations) {
      run_ycsb_one(operation, check);
      times[static_cast<std::size_t>(operation.kind)].add(timer.lap());
    }
  });
  const std::uint64_t own_size = operations.size() * sizeof(YcsbOperation);
  result.anonymous_size -= std::min(result.anonymous_size, own_size);
  for (std::size_t i = 0; i < kKindCount; ++i) {
    if (times[i].count() == 0) continue;
    result.latencies[latency_kind(static_cast<YcsbKind>(i))] =
        summary(times[i], result.wall_seconds);
  }
  expect(ycsb_wrong_count_ + check.wrong_count(), "ycsb");
  if (write_count > 0) warm_ = false;
  verify_ycsb();
  return result;
}

void Session::run_ycsb_one(const YcsbOperation& operation, EntryCheck& check) {
  const std::uint64_t number = operation.number;
  const std::string_view key = keys_.present(number);
  const auto read = [&] {
    std::string_view value;
    ycsb_wrong_count_ +=
        !engine_->get(key, value) || !values_.matches(key, ycsb_versions_[number], value);
  };
  switch (operation.kind) {
    case YcsbKind::Read:
      return read();
    case YcsbKind::Modify:
      read();
      [[fallthrough]];
    case YcsbKind::Update:
      return engine_->put(key, values_.make(key, ++ycsb_versions_[number]));
    case YcsbKind::Insert:
      ycsb_versions_.push_back(0);
      ++number_count_;
      if (key > greatest_key_) greatest_key_ = key;
      return engine_->put(key, values_.make(key, 0));
    case YcsbKind::Scan:
      check.restart(key);
      engine_->scan(key, operation.scan_limit, check);
      return check.finish(operation.scan_limit, greatest_key_);
  }
}

void Session::verify_ycsb() {
  if (!engine_->is_real()) return;
  expect_count(count_entries(), number_count_, "the scan after ycsb");
  Random random(settings_.seed + 6);
  std::uint64_t wrong_count = 0;
  for (std::uint64_t i = 0; i < kVerifyCount; ++i) {
    const std::uint64_t number = random.below(number_count_);
    const std::string_view key = keys_.present(number);
    std::string_view value;
    const bool found = engine_->get(key, value);
    wrong_count += !found || !values_.matches(key, ycsb_versions_[number], value);
  }
  expect(wrong_count, "gets after ycsb");
  engine_->settle();
}

}  // namespace varve::bench
