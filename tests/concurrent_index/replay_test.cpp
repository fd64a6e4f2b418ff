// SPDX-License-Identifier: Apache-2.0
// What a dead process left in several logs, which an open reads side by side.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "directory/directory.hpp"
#include "directory/simulated_file_system.hpp"
#include "lib/hooks.hpp"
#include "lib/segment_index_access.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/model.hpp"
#include "varve/error.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {
namespace {

using directory::SimulatedFileSystem;
using internal::SegmentIndexAccess;

constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB;

Options replay_options(std::size_t log_file_size) {
  Options options;
  options.access = Access::Concurrent;
  options.memory_budget = 64 * kMiB;
  options.tuning.segment_size = 64 * kKiB;
  options.tuning.log_file_size = log_file_size;
  options.tuning.maintenance_threads = 2;
  options.tuning.inline_maintenance = false;  // What is in memory stays there.
  return options;
}

std::string key_of(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(6 - digits.size(), '0') + digits;
}

// An index and what it should hold; some of it is in runs, and most in logs.
class Written {
 public:
  explicit Written(const Options& options) : options_(options) {
    index_ = SegmentIndexAccess::open(directory::make_posix_directory(medium_), options);
    for (std::uint64_t i = 0; i < kKeyCount; ++i) put(i * 7919 % kKeyCount, std::string(100, 'f'));
    index_.compact();
    REQUIRE(index_.statistics().segments.size() > 4);
  }
  // Keys are written over, erased and erased by ranges again and again, in each log.
  void write(std::size_t operation_count, std::size_t value_size) {
    for (std::size_t i = 0; i < operation_count; ++i) {
      const std::uint64_t key = random_() % kKeyCount;
      switch (random_() % 64) {
        case 0:
          erase_range(key, key + random_() % 100);
          break;
        case 1:
          write_batch(key);
          break;
        case 2:
        case 3:
          index_.erase(key_of(key));
          model_.erase(key_of(key));
          break;
        default:
          put(key, std::string(value_size, 'v') + std::to_string(i));
      }
    }
  }
  [[nodiscard]] std::shared_ptr<SimulatedFileSystem> after_kill() const {
    return medium_->after_kill();
  }
  [[nodiscard]] SegmentIndex& index() { return index_; }
  [[nodiscard]] Entries expected() const { return model_.scan(); }
  [[nodiscard]] std::size_t log_count() const {
    std::size_t count = 0;
    for (const auto& file : medium_->list()) count += file.name.starts_with("log-") ? 1 : 0;
    return count;
  }

 private:
  static constexpr std::uint64_t kKeyCount = 4'000;
  void put(std::uint64_t key, const std::string& value) {
    index_.put(key_of(key), value);
    model_.put(key_of(key), value);
  }
  void erase_range(std::uint64_t from, std::uint64_t to) {
    index_.erase_range(key_of(from), key_of(to));
    model_.erase_range(key_of(from), key_of(to));
  }
  // A range erase in its middle, which has a sequence of its own.
  void write_batch(std::uint64_t key) {
    WriteBatch batch;
    batch.put(key_of(key), "before");
    batch.erase_range(key_of(key), key_of(key + 10));
    batch.put(key_of(key + 1), "behind");
    index_.write(batch);
    model_.erase_range(key_of(key), key_of(key + 10));
    model_.put(key_of(key + 1), "behind");
  }

  const Options options_;
  const std::shared_ptr<SimulatedFileSystem> medium_ = std::make_shared<SimulatedFileSystem>();
  SegmentIndex index_;
  Model model_;
  std::mt19937_64 random_{20261127};
};

SegmentIndex open_on(const std::shared_ptr<SimulatedFileSystem>& medium, const Options& options) {
  return SegmentIndexAccess::open(directory::make_posix_directory(medium), options);
}

TEST_CASE("logs that are read side by side give what they held, in their order", "[replay]") {
  const bool with_threads = GENERATE(false, true);  // Small logs are read by one thread.
  CAPTURE(with_threads);
  const Options options = replay_options(with_threads ? 2 * kMiB : 64 * kKiB);
  Written written(options);
  written.write(with_threads ? 16'000 : 6'000, with_threads ? 900 : 100);
  REQUIRE(written.log_count() >= 5);
  const std::uint64_t sequence = written.index().statistics().last_sequence;
  const auto left = written.after_kill();
  {
    SegmentIndex index = open_on(left, options);
    CHECK(difference(scan_all(index), written.expected()) == "");
    CHECK(index.statistics().last_sequence == sequence);
    CHECK(index.statistics().flush_count == 0);
    for (const auto& [key, value] : written.expected()) REQUIRE(index.get(key) == value);
    index.put("one more", "value");
    CHECK(index.statistics().last_sequence == sequence + 1);
    index.flush();
    CHECK(difference(scan_all(index, {.to = "one"}), written.expected()) == "");
    index.close();
  }
  const SegmentIndex index = open_on(left, options);
  CHECK(difference(scan_all(index, {.to = "one"}), written.expected()) == "");
}

TEST_CASE("logs that hold more than memory takes are replayed up to their end", "[replay]") {
  const std::size_t memory_budget = GENERATE(256 * kKiB, 1 * kMiB, 2 * kMiB);
  CAPTURE(memory_budget);
  Options options = replay_options(256 * kKiB);
  Written written(options);
  written.write(6'000, 400);
  const auto left = written.after_kill();
  options.memory_budget = memory_budget;
  SegmentIndex index = open_on(left, options);
  CHECK(index.statistics().flush_count > 0);
  CHECK(index.statistics().memory_size < memory_budget + memory_budget / 4);
  CHECK(difference(scan_all(index), written.expected()) == "");
  const auto left_again = left->after_kill();
  index.close();
  const SegmentIndex other = open_on(left_again, options);
  CHECK(difference(scan_all(other), written.expected()) == "");
}

TEST_CASE("what logs held is got before it is in order, and while it is put in order", "[replay]") {
  Options options = replay_options(256 * kKiB);
  Written written(options);
  written.write(6'000, 400);
  const auto left = written.after_kill();
  options.tuning.inline_maintenance = GENERATE(false, true);  // With threads that see to it.
  options.reads = GENERATE(Reads::Mapped, Reads::Buffered);
  CAPTURE(options.tuning.inline_maintenance);
  {
    SegmentIndex index = open_on(left, options);
    const Entries expected = written.expected();
    std::atomic<int> wrong_count = 0;
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        for (std::size_t j = i; j < expected.size(); j += 3) {
          if (index.get(expected[j].first) != expected[j].second) ++wrong_count;
          if (index.get(expected[j].first + "-")) ++wrong_count;
        }
        if (i == 0 && difference(scan_all(index), expected) != "") ++wrong_count;
      });
    }
    threads.clear();
    CHECK(wrong_count == 0);
    CHECK(difference(scan_all(index), expected) == "");
    index.compact();
    CHECK(difference(scan_all(index), expected) == "");
    index.close();
  }
  const SegmentIndex index = open_on(left, options);
  CHECK(difference(scan_all(index), written.expected()) == "");
}

// Counts the deltas that were put in order.
class FillCount final : public internal::HookListener {
 public:
  FillCount() { internal::hooks::listen(this); }
  FillCount(const FillCount&) = delete;
  FillCount& operator=(const FillCount&) = delete;
  ~FillCount() override { internal::hooks::listen(nullptr); }
  void reached(std::string_view hook) noexcept override {
    if (hook != "delta.filled") return;
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  // False: there are not so many even after a long time.
  [[nodiscard]] bool await(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] { return count_ >= count; });
  }

 private:
  static constexpr std::chrono::seconds kLimit{20};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;  // Guarded by mutex_.
};

TEST_CASE("what logs held is put in order by threads of the index, if nobody asks", "[replay]") {
  Options options = replay_options(256 * kKiB);
  Written written(options);
  written.write(6'000, 400);
  const auto left = written.after_kill();
  options.tuning.inline_maintenance = true;
  FillCount filled;
  const SegmentIndex index = open_on(left, options);
  std::size_t count = 0;
  for (const auto& segment : index.statistics().segments) {
    count += segment.memory_entry_count > 0 ? 1 : 0;
  }
  REQUIRE(count > 4);
  CHECK(filled.await(count));
}

TEST_CASE("an index that was only opened may die again, or be closed", "[replay]") {
  Options options = replay_options(256 * kKiB);
  Written written(options);
  written.write(6'000, 400);
  const auto left = written.after_kill();
  std::shared_ptr<SimulatedFileSystem> left_again;
  {
    SegmentIndex index = open_on(left, options);
    left_again = left->after_kill();
    index.close();  // Flushes what nobody has asked for.
  }
  for (const auto& medium : {left, left_again}) {
    const SegmentIndex index = open_on(medium, options);
    CHECK(difference(scan_all(index), written.expected()) == "");
  }
}

TEST_CASE("a read-only open takes all that the logs hold", "[replay]") {
  Options options = replay_options(256 * kKiB);
  Written written(options);
  written.write(6'000, 400);
  const auto left = written.after_kill();
  options.memory_budget = 256 * kKiB;
  options.read_only = true;
  const SegmentIndex index = open_on(left, options);
  CHECK(difference(scan_all(index), written.expected()) == "");
}

}  // namespace
}  // namespace varve::test
