// SPDX-License-Identifier: Apache-2.0
// The workloads that fill an empty store.
#include <algorithm>

#include "bench/session.hpp"

namespace varve::bench {
namespace {

constexpr std::uint64_t kBatchCount = 1000;  // Puts of one batch.

}  // namespace

Measurement Session::load_ascending() {
  start_empty();
  const std::uint64_t count = settings_.entry_count;
  const Measurement result = measure_each("put", count, count * entry_size(), [&](auto i) {
    const std::string_view key = keys_.ascending(i);
    engine_->put(key, values_.make(key, 0));
  });
  expect_count(count_entries(), count, "the scan after load_seq");
  return result;
}

Measurement Session::load_random() {
  start_empty();
  const std::uint64_t count = settings_.entry_count;
  loaded_ = true;
  const Measurement result = measure_each("put", count, count * entry_size(), [&](auto i) {
    const std::string_view key = keys_.present(order_[i]);
    engine_->put(key, values_.make(key, 0));
  });
  expect_count(count_entries(), count, "the scan after load_random");
  return result;
}

Measurement Session::load_ascending_batches() {
  return load_batches("the scan after load_seq_batch1000",
                      [&](std::uint64_t i) { return keys_.ascending(i); });
}

Measurement Session::load_random_batches() {
  return load_batches("the scan after load_random_batch1000",
                      [&](std::uint64_t i) { return keys_.present(order_[i]); });
}

// The figures are those of a put, the latencies those of a batch.
Measurement Session::load_batches(const char* what, const KeyOf& key_of) {
  start_empty();
  const std::uint64_t count = settings_.entry_count;
  LatencyHistogram times;
  Measurement result = measure(count, count * entry_size(), [&] {
    LapTimer timer;
    for (std::uint64_t i = 0; i < count; i += kBatchCount) {
      engine_->begin_batch();
      for (std::uint64_t j = i; j < std::min(i + kBatchCount, count); ++j) {
        const std::string_view key = key_of(j);
        engine_->batch_put(key, values_.make(key, 0));
      }
      engine_->commit_batch();
      times.add(timer.lap());
    }
  });
  result.latencies["batch"] = summary(times, result.wall_seconds);
  expect_count(count_entries(), count, what);
  return result;
}

}  // namespace varve::bench
