// SPDX-License-Identifier: Apache-2.0
#include "bench/session.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <stdexcept>

#include "bench/measure.hpp"

namespace varve::bench {
namespace {

constexpr std::uint64_t kVerifyCount = 2000;

// HestiaStore's published benchmarks: an MD5 digest as the key, one text for all values.
Settings adapted(Settings settings, Family family) {
  if (family == Family::Hestia) {
    settings.key_shape = KeyShape::Hash32;
    settings.value_text = "opice skace po stromech";
  }
  return settings;
}

ValueMaker make_values(const Settings& settings) {
  return settings.value_text.empty() ? ValueMaker(settings.value_size)
                                     : ValueMaker(settings.value_text);
}

}  // namespace

Session::Session(const EngineKind& kind, const Settings& settings, Plan plan,
                 std::filesystem::path directory)
    : settings_(adapted(settings, plan.family)),
      plan_(std::move(plan)),
      directory_(std::move(directory)),
      keys_(settings_.key_shape, settings_.entry_count),
      values_(make_values(settings_)),
      order_(settings_.entry_count),
      change_step_(coprime_step(40'503ULL, settings_.entry_count)),
      engine_name_(kind.name) {
  std::iota(order_.begin(), order_.end(), 0U);
  Random random(settings_.seed);
  for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
  if (plan_.thread_count > 0) versions_ = std::make_unique<KeyVersions>(settings_.entry_count);
  anonymous_base_ = process_figures().anonymous_size;
  std::filesystem::create_directories(directory_);
  engine_ = kind.make({.directory = directory_ / "store",
                       .data_size = settings_.entry_count * entry_size(),
                       .access = settings_.access,
                       .reads = settings_.reads,
                       .segment_size = settings_.segment_size,
                       .memory_limit = settings_.memory_limit});
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
  if (std::find(names.begin(), names.end(), "open_killed") != names.end()) start_loader();
  for (const Workload& workload : workload_list()) {
    if (std::find(names.begin(), names.end(), workload.name) == names.end()) continue;
    if (const auto measurement = workload.run(*this)) {
      report(workload.name, *measurement);
    } else {
      std::fprintf(stderr, "%s: has no %s\n", engine_name_.c_str(), workload.name.c_str());
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
  number_count_ = settings_.entry_count;
  erased_count_ = 0;
  greatest_key_.clear();
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
  expect_count(count_entries(), live_count(), "the scan that warms");
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
  result.raw_size = live_count() * entry_size();
  result.anonymous_size = after.anonymous_size - std::min(after.anonymous_size, anonymous_base_);
  result.mapped_size = after.mapped_size;
  result.segment_count = engine_->segment_count();
  return result;
}

void Session::expect(std::uint64_t wrong_count, const char* what) const {
  if (wrong_count == 0 || !engine_->is_real()) return;
  throw std::runtime_error(engine_name_ + ": " + what + ": " + std::to_string(wrong_count) +
                           " wrong answers");
}

void Session::expect_count(std::uint64_t found, std::uint64_t wanted, const char* what) const {
  if (found == wanted || !engine_->is_real()) return;
  throw std::runtime_error(engine_name_ + ": " + what + ": " + std::to_string(found) +
                           " entries instead of " + std::to_string(wanted));
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

// Of all keys that were ever put. Requires: it has not been erased.
const std::string& Session::greatest_key() {
  if (greatest_key_.empty()) {
    for (std::uint64_t i = 0; i < number_count_; ++i) {
      const std::string_view key = keys_.present(i);
      if (key > greatest_key_) greatest_key_ = key;
    }
  }
  return greatest_key_;
}

void Session::verify_changes() {
  if (!engine_->is_real()) return;
  expect_count(count_entries(), live_count(), "the scan after changes");
  Random random(settings_.seed + 6);
  std::uint64_t wrong_count = 0;
  for (std::uint64_t i = 0; i < kVerifyCount; ++i) {
    const std::uint64_t rank = random.below(settings_.entry_count);
    const std::string_view key = keys_.present(order_[rank]);
    std::string_view value;
    const bool found = engine_->get(key, value);
    wrong_count += rank < erased_count_ ? found : !found || !values_.matches(key, version_, value);
  }
  expect(wrong_count, "gets after changes");
  engine_->settle();
}

}  // namespace varve::bench
