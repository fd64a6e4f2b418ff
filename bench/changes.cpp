// SPDX-License-Identifier: Apache-2.0
// The workloads that change the loaded store.
#include <algorithm>

#include "bench/session.hpp"

namespace varve::bench {

Measurement Session::overwrite() {
  require_loaded();
  // Entries that an earlier workload erased are there again.
  const std::uint64_t count = settings_.entry_count;
  const std::uint8_t version = ++version_;
  erased_count_ = 0;
  std::uint64_t at = 0;
  const Measurement result = measure_each("put", count, count * entry_size(), [&](auto) {
    const std::string_view key = keys_.present(order_[at]);
    engine_->put(key, values_.make(key, version));
    at = (at + change_step_) % count;
  });
  warm_ = false;
  verify_changes();
  return result;
}

Measurement Session::erase() {
  require_loaded();
  const std::uint64_t count = settings_.entry_count / 2;
  erased_count_ = count;
  const Measurement result = measure_each("erase", count, count * keys_.size(), [&](auto i) {
    engine_->erase(keys_.present(order_[i]));
  });
  warm_ = false;
  verify_changes();
  return result;
}

// Existing keys with a new version. What follows in a session only scans, which takes any version.
Measurement Session::synced_puts() {
  require_loaded();
  const std::uint64_t half = order_.size() / 2;  // The other half may have been erased.
  const auto number_at = [&](std::uint64_t i) { return order_[order_.size() - 1 - i % half]; };
  const auto version = static_cast<std::uint8_t>(version_ + 1);
  const auto put = [&](std::uint64_t i) {
    const std::string_view key = keys_.present(number_at(i));
    engine_->put_synced(key, values_.make(key, version));
  };
  engine_->begin_synced();
  put(0);  // Pays for whatever was left unsynced.
  const std::uint64_t count = settings_.synced_count;
  const Measurement result =
      measure_each("put", count, count * entry_size(), [&](auto i) { put(i + 1); });
  engine_->end_synced();
  warm_ = false;
  std::uint64_t wrong_count = 0;
  for (std::uint64_t i = 0; i < std::min(count + 1, half); ++i) {
    const std::string_view key = keys_.present(number_at(i));
    std::string_view value;
    wrong_count += !engine_->get(key, value) || !values_.matches(key, version, value);
  }
  expect(wrong_count, "gets after synced puts");
  expect_count(count_entries(), live_count(), "the scan after synced puts");
  return result;
}

}  // namespace varve::bench
