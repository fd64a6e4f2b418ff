// SPDX-License-Identifier: Apache-2.0
#include "bench/workload.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "bench/lap_timer.hpp"
#include "bench/measure.hpp"

namespace varve::bench {
namespace {

constexpr std::uint64_t kBatchCount = 1000;   // Puts of one batch.
constexpr std::size_t kMultiGetCount = 32;    // Keys of one multi_get.
constexpr std::uint64_t kSeekCount = 1 + 10;  // Entries of one seek: the first and ten more.
constexpr std::uint64_t kOpenCount = 5;
constexpr std::uint64_t kVerifyCount = 2000;
constexpr std::uint64_t kLapCount = 16;  // Overwrites between two looks at the clock.

// About `wanted`, and such that its multiples visit every number below `count`.
std::uint64_t coprime_step(std::uint64_t wanted, std::uint64_t count) {
  std::uint64_t step = wanted % count | 1;
  while (std::gcd(step, count) != 1) step += 2;
  return step;
}

}  // namespace

Session::Session(const EngineKind& kind, const Settings& settings, Plan plan,
                 std::filesystem::path directory)
    : settings_(settings),
      plan_(std::move(plan)),
      directory_(std::move(directory)),
      keys_(settings.key_shape, settings.entry_count),
      values_(settings.value_size),
      order_(settings.entry_count),
      change_step_(coprime_step(40'503ULL, settings.entry_count)),
      engine_name_(kind.name) {
  std::iota(order_.begin(), order_.end(), 0U);
  Random random(settings.seed);
  for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
  if (plan_.thread_count > 0) versions_ = std::make_unique<KeyVersions>(settings.entry_count);
  anonymous_base_ = process_figures().anonymous_size;
  std::filesystem::create_directories(directory_);
  engine_ = kind.make({.directory = directory_ / "store",
                       .data_size = settings.entry_count * entry_size(),
                       .access = settings.access});
}

Session::~Session() {
  engine_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Session::run(const Report& report) {
  if (plan_.thread_count > 1 && !engine_->takes_threads()) {
    std::fprintf(stderr, "%s: one thread only, nothing with %u\n", engine_name_.c_str(),
                 plan_.thread_count);
    return;
  }
  const auto& names = plan_.workloads;
  for (const Workload& workload : workload_list()) {
    if (std::find(names.begin(), names.end(), workload.name) != names.end()) {
      report(workload.name, workload.run(*this));
    }
  }
  if (open_) engine_->close();
}

void Session::start_empty() {
  if (open_) engine_->close();
  std::filesystem::remove_all(directory_ / "store");
  engine_->open();
  open_ = true;
  loaded_ = warm_ = false;
  version_ = 0;
  erased_count_ = 0;
}

void Session::require_loaded() {
  if (!loaded_) load_random();
}

// Reads measure a warm store: files in the page cache, every block once through the engine, so
// that caches are filled, mappings faulted in and checksums verified at first touch.
void Session::require_warm() {
  require_loaded();
  if (warm_) return;
  warm_files(directory_);
  const std::uint64_t count = count_entries();
  if (engine_->is_real() && count != settings_.entry_count - erased_count_) {
    throw std::runtime_error(engine_name_ + ": the scan gave " + std::to_string(count) +
                             " entries");
  }
  engine_->settle();  // LevelDB compacts for reads, too.
  warm_ = true;
}

Measurement Session::measure(std::uint64_t operation_count, std::uint64_t user_size,
                             const std::function<void()>& operations) {
  const ProcessFigures before = process_figures();
  const Stopwatch time;
  operations();
  Measurement result{.operation_count = operation_count, .foreground_seconds = time.wall_seconds()};
  if (user_size > 0) engine_->settle();
  result.wall_seconds = time.wall_seconds();
  result.cpu_seconds = time.cpu_seconds();
  const ProcessFigures after = process_figures();
  result.user_size = user_size;
  result.written_size = after.written_size - before.written_size;
  result.disk_size = allocated_size(directory_);
  result.anonymous_size = after.anonymous_size - std::min(after.anonymous_size, anonymous_base_);
  result.resident_size = after.resident_size;
  return result;
}

void Session::expect(std::uint64_t wrong_count, const char* what) const {
  if (wrong_count == 0 || !engine_->is_real()) return;
  throw std::runtime_error(engine_name_ + ": " + what + ": " + std::to_string(wrong_count) +
                           " wrong answers");
}

Measurement Session::load_ascending() {
  start_empty();
  const std::uint64_t count = settings_.entry_count;
  const Measurement result = measure(count, count * entry_size(), [&] {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string_view key = keys_.ascending(i);
      engine_->put(key, values_.make(key, 0));
    }
  });
  const std::uint64_t found = count_entries();
  expect(found > count ? found - count : count - found, "scan after load_seq");
  return result;
}

Measurement Session::load_random() {
  start_empty();
  const std::uint64_t count = settings_.entry_count;
  loaded_ = true;
  return measure(count, count * entry_size(), [&] {
    for (const std::uint32_t number : order_) {
      const std::string_view key = keys_.present(number);
      engine_->put(key, values_.make(key, 0));
    }
  });
}

Measurement Session::load_random_batches() {
  start_empty();
  const std::uint64_t count = settings_.entry_count;
  const Measurement result = measure(count, count * entry_size(), [&] {
    for (std::uint64_t i = 0; i < count; i += kBatchCount) {
      engine_->begin_batch();
      for (std::uint64_t j = i; j < std::min(i + kBatchCount, count); ++j) {
        const std::string_view key = keys_.present(order_[j]);
        engine_->batch_put(key, values_.make(key, 0));
      }
      engine_->commit_batch();
    }
  });
  const std::uint64_t found = count_entries();
  expect(found > count ? found - count : count - found, "scan after load_random_batch1000");
  return result;
}

Measurement Session::read_hits() {
  require_warm();
  Random random(settings_.seed + 1);
  std::uint64_t wrong_count = 0;
  const Measurement result = measure(settings_.read_count, 0, [&] {
    for (std::uint64_t i = 0; i < settings_.read_count; ++i) {
      const std::string_view key = keys_.present(random.below(settings_.entry_count));
      std::string_view value;
      wrong_count += !engine_->get(key, value) || !values_.matches(key, version_, value);
    }
  });
  expect(wrong_count, "read_hit");
  return result;
}

Measurement Session::read_misses() {
  require_warm();
  Random random(settings_.seed + 2);
  std::uint64_t wrong_count = 0;
  const Measurement result = measure(settings_.read_count, 0, [&] {
    for (std::uint64_t i = 0; i < settings_.read_count; ++i) {
      std::string_view value;
      wrong_count += engine_->get(keys_.absent(random.below(settings_.entry_count)), value);
    }
  });
  expect(wrong_count, "read_miss");
  return result;
}

Measurement Session::read_skewed() {
  require_warm();
  // The popular fifth is scattered over the keys by a multiplication that is coprime to the count.
  const std::uint64_t count = settings_.entry_count, popular_count = std::max(count / 5, 1UL);
  const std::uint64_t step = coprime_step(2'654'435'761ULL, count);
  Random random(settings_.seed + 3);
  std::uint64_t wrong_count = 0;
  const Measurement result = measure(settings_.read_count, 0, [&] {
    for (std::uint64_t i = 0; i < settings_.read_count; ++i) {
      const bool popular = random.below(10) < 8;
      const std::uint64_t rank = random.below(popular ? popular_count : count);
      const std::string_view key = keys_.present(rank * step % count);
      std::string_view value;
      wrong_count += !engine_->get(key, value) || !values_.matches(key, version_, value);
    }
  });
  expect(wrong_count, "read_8020");
  return result;
}

Measurement Session::multi_get() {
  require_warm();
  Random random(settings_.seed + 4);
  std::array<char[KeyMaker::kSizeMax + 1], kMultiGetCount> buffers;
  std::array<std::string_view, kMultiGetCount> keys;
  MultiGetCheck check(values_);
  const std::uint64_t call_count = std::max(settings_.read_count / kMultiGetCount, 1UL);
  const Measurement result = measure(call_count * kMultiGetCount, 0, [&] {
    for (std::uint64_t i = 0; i < call_count; ++i) {
      for (std::size_t j = 0; j < kMultiGetCount; ++j) {
        keys[j] = keys_.present_into(random.below(settings_.entry_count), buffers[j]);
      }
      check.expect(keys.data(), version_);
      engine_->multi_get(keys, check);
    }
  });
  expect(check.wrong_count() + (call_count * kMultiGetCount - check.count()), "multi_get");
  return result;
}

Measurement Session::seek() {
  require_warm();
  Random random(settings_.seed + 5);
  EntryCheck check(values_);
  const std::uint64_t seek_count = std::max(settings_.read_count / 5, 1UL);
  const Measurement result = measure(seek_count, 0, [&] {
    for (std::uint64_t i = 0; i < seek_count; ++i) {
      check.restart();
      engine_->scan(keys_.present(random.below(settings_.entry_count)), kSeekCount, check);
    }
  });
  // Seeks near the end give fewer entries; with random keys that is rare.
  const bool few = check.count() + check.count() / 100 < seek_count * kSeekCount &&
                   settings_.entry_count > 100 * kSeekCount;
  expect(check.wrong_count() + few, "seek10");
  return result;
}

Measurement Session::scan() {
  require_warm();
  EntryCheck check(values_);
  const std::uint64_t count = settings_.entry_count - erased_count_;
  const Measurement result =
      measure(count, 0, [&] { engine_->scan({}, ~std::uint64_t{0}, check); });
  expect(check.wrong_count() + (check.count() != count), "scan");
  return result;
}

Measurement Session::scan_compacted() {
  require_loaded();
  engine_->compact();
  warm_ = false;
  return scan();
}

Measurement Session::open_clean() {
  require_warm();
  engine_->close();
  bool first = true;
  const Measurement result = measure(kOpenCount, 0, [&] {
    for (std::uint64_t i = 0; i < kOpenCount; ++i) {
      if (!std::exchange(first, false)) engine_->close();
      engine_->open();
      expect_hit(order_[erased_count_]);
    }
  });
  warm_ = false;
  return result;
}

Measurement Session::overwrite() {
  require_loaded();
  const std::uint64_t count = settings_.entry_count;
  const std::uint8_t version = ++version_;
  erased_count_ = 0;
  const std::uint64_t step = change_step_;
  std::uint64_t longest_ns = 0;
  Measurement result = measure(count, count * entry_size(), [&] {
    LapTimer timer;
    for (std::uint64_t i = 0, at = 0; i < count; ++i, at = (at + step) % count) {
      const std::string_view key = keys_.present(order_[at]);
      engine_->put(key, values_.make(key, version));
      if (i % kLapCount == kLapCount - 1) longest_ns = std::max(longest_ns, timer.lap());
    }
    longest_ns = std::max(longest_ns, timer.lap());
  });
  result.writes = {.count = count, .seconds = result.wall_seconds, .longest_ns = longest_ns};
  warm_ = false;
  verify_changes();
  return result;
}

Measurement Session::erase() {
  require_loaded();
  const std::uint64_t count = settings_.entry_count / 2;
  const Measurement result = measure(count, count * keys_.size(), [&] {
    for (std::uint64_t i = 0; i < count; ++i) engine_->erase(keys_.present(order_[i]));
  });
  erased_count_ = count;
  warm_ = false;
  verify_changes();
  return result;
}

Measurement Session::synced_puts() {
  require_loaded();
  // Existing keys with their value, so that the store stays as it is.
  const auto put = [&](std::uint64_t i) {
    const std::string_view key = keys_.present(order_[order_.size() - 1 - i % (order_.size() / 2)]);
    engine_->put_synced(key, values_.make(key, version_));
  };
  engine_->begin_synced();
  put(0);  // Pays for whatever was left unsynced.
  const std::uint64_t count = settings_.synced_count;
  const Measurement result = measure(count, count * entry_size(), [&] {
    for (std::uint64_t i = 1; i <= count; ++i) put(i);
  });
  engine_->end_synced();
  warm_ = false;
  return result;
}

void Session::expect_hit(std::uint64_t number) {
  const std::string_view key = keys_.present(number);
  std::string_view value;
  const bool right = engine_->get(key, value) && values_.matches(key, version_, value);
  expect(!right, "get");
}

std::uint64_t Session::count_entries() {
  EntryCheck check(values_);
  engine_->scan({}, ~std::uint64_t{0}, check);
  expect(check.wrong_count(), "scan");
  return check.count();
}

void Session::verify_changes() {
  if (!engine_->is_real()) return;
  const std::uint64_t count = settings_.entry_count;
  expect(count_entries() != count - erased_count_, "entry count after changes");
  Random random(settings_.seed + 6);
  std::uint64_t wrong_count = 0;
  for (std::uint64_t i = 0; i < kVerifyCount; ++i) {
    const std::uint64_t rank = random.below(count);
    const std::string_view key = keys_.present(order_[rank]);
    std::string_view value;
    const bool found = engine_->get(key, value);
    wrong_count += rank < erased_count_ ? found : !found || !values_.matches(key, version_, value);
  }
  expect(wrong_count, "gets after changes");
  engine_->settle();
}

}  // namespace varve::bench
