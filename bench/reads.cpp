// SPDX-License-Identifier: Apache-2.0
// The workloads that read the store as a load has left it, and its compaction.
#include <algorithm>
#include <array>

#include "bench/session.hpp"

namespace varve::bench {
namespace {

constexpr std::size_t kMultiGetCount = 32;    // Keys of one multi_get.
constexpr std::uint64_t kStepCount = 1 + 10;  // Entries of a seek with steps: the first, ten more.
constexpr std::uint64_t kHotShare = 100;      // One key in so many is hot, as in db_bench.

}  // namespace

Measurement Session::read_hits() {
  Random random(settings_.seed + 1);
  return measure_hits("read_hit", [&] { return random.below(settings_.entry_count); });
}

Measurement Session::read_misses() {
  require_warm();
  Random random(settings_.seed + 2);
  std::uint64_t wrong_count = 0;
  const Measurement result = measure_each("get", settings_.read_count, 0, [&](auto) {
    std::string_view value;
    wrong_count += engine_->get(keys_.absent(random.below(settings_.entry_count)), value);
  });
  expect(wrong_count, "read_miss");
  return result;
}

Measurement Session::read_skewed() {
  // The popular fifth is scattered over the keys by a multiplication that is coprime to the count.
  const std::uint64_t count = settings_.entry_count;
  const std::uint64_t popular_count = std::max(count / 5, std::uint64_t{1});
  const std::uint64_t step = coprime_step(2'654'435'761ULL, count);
  Random random(settings_.seed + 3);
  return measure_hits("read_8020", [&] {
    const bool popular = random.below(10) < 8;
    return random.below(popular ? popular_count : count) * step % count;
  });
}

Measurement Session::read_hot() {
  const std::uint64_t hot_count = (settings_.entry_count + kHotShare - 1) / kHotShare;
  Random random(settings_.seed + 8);
  return measure_hits("read_hot", [&] { return random.below(hot_count); });
}

// The figures are those of a key, the latencies those of a call.
Measurement Session::multi_get() {
  require_warm();
  Random random(settings_.seed + 4);
  std::array<char[KeyMaker::kSizeMax + 1], kMultiGetCount> buffers;
  std::array<std::string_view, kMultiGetCount> keys;
  MultiGetCheck check(values_);
  const std::uint64_t call_count =
      std::max(settings_.read_count / kMultiGetCount, std::uint64_t{1});
  Measurement result = measure_each("multi_get", call_count, 0, [&](auto) {
    for (std::size_t j = 0; j < kMultiGetCount; ++j) {
      keys[j] = keys_.present_into(random.below(settings_.entry_count), buffers[j]);
    }
    check.expect(keys.data(), version_);
    engine_->multi_get(keys, check);
  });
  result.operation_count = call_count * kMultiGetCount;
  expect(check.wrong_count() + (result.operation_count - check.count()), "multi_get");
  return result;
}

Measurement Session::seek() {
  return measure_seeks("seek", std::max(settings_.read_count / 2, std::uint64_t{1}), 1);
}
Measurement Session::seek_and_step() {
  return measure_seeks("seek10", std::max(settings_.read_count / 5, std::uint64_t{1}), kStepCount);
}

Measurement Session::measure_seeks(const char* workload, std::uint64_t seek_count,
                                   std::uint64_t limit) {
  require_warm();
  const std::string& greatest = greatest_key();
  Random random(settings_.seed + 5);
  EntryCheck check(values_);
  const Measurement result = measure_each("seek", seek_count, 0, [&](auto) {
    const std::string_view from = keys_.present(random.below(settings_.entry_count));
    check.restart(from);
    engine_->scan(from, limit, check);
    check.finish(limit, greatest);
  });
  expect(check.wrong_count(), workload);
  return result;
}

Measurement Session::scan() {
  require_warm();
  EntryCheck check(values_);
  const Measurement result =
      measure(live_count(), 0, [&] { engine_->scan({}, ~std::uint64_t{0}, check); });
  expect(check.wrong_count() + (check.count() != live_count()), "scan");
  return result;
}

Measurement Session::scan_reverse() {
  require_warm();
  EntryCheck check(values_, ScanOrder::Descending);
  check.restart(greatest_key());
  const Measurement result = measure(live_count(), 0, [&] { engine_->scan_reverse(check); });
  expect(check.wrong_count() + (check.count() != live_count()), "scan_reverse");
  return result;
}

// The figures are those of an entry in the store.
std::optional<Measurement> Session::compact() {
  require_loaded();
  bool compacted = false;
  Measurement result =
      measure(live_count(), live_count() * entry_size(), [&] { compacted = engine_->compact(); });
  if (!compacted && engine_->is_real()) return std::nullopt;
  warm_ = false;
  expect_count(count_entries(), live_count(), "the scan after compact");
  return result;
}

Measurement Session::scan_compacted() {
  require_loaded();
  engine_->compact();
  warm_ = false;
  return scan();
}

}  // namespace varve::bench
