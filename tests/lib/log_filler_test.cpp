// SPDX-License-Identifier: Apache-2.0
// Deltas that are filled from logs when somebody asks for them.
#include "lib/log_filler.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "directory/checksum.hpp"
#include "directory/lock_class.hpp"
#include "directory/memory_directory.hpp"
#include "lib/lock_rank.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "varve/error.hpp"

namespace varve::internal {
namespace {

using segment::ChunkPool;
using segment::Delta;
using segment::FoundEntry;
using segment::Kind;
using segment::kSequenceMax;

const directory::LockClass kFillingClass{"filling", LockRank::kFilling};

std::string key_of(std::uint64_t number) {
  return "key" + std::to_string(number);
}

// Logs of operations, and what is left of these in the end.
class Logs {
 public:
  explicit Logs(std::size_t log_count) : texts_(log_count) {
    const auto directory = directory::make_memory_directory("logs");
    for (std::size_t i = 0; i < log_count; ++i) {
      const std::string name = "log-" + std::to_string(i + 1) + ".varve";
      directory->put_immutable(name, [](directory::Sink& sink) { sink.append("-"); });
      logs_.push_back(std::make_shared<LogBytes>());
      logs_.back()->file = directory->open(name);
    }
  }
  void write(std::size_t log, const std::string& key, const std::string& value, Kind kind) {
    ++sequence_;
    const auto operation = kind == Kind::Value ? OperationKind::Put : OperationKind::Erase;
    noted_.push_back({log, texts_[log].size(), sequence_});
    append_operation(texts_[log], operation, key, value);
    data_size_ += key.size() + value.size();
    newest_[key] = {kind, sequence_, value};
  }
  void write_some(std::size_t operation_count, std::uint64_t key_count) {
    for (std::size_t i = 0; i < operation_count; ++i) {
      const std::string key = key_of(random_() % key_count);
      const bool erase = random_() % 8 == 0;
      write(i * texts_.size() / operation_count, key,
            erase ? "" : std::string(random_() % 200, static_cast<char>('a' + i % 26)),
            erase ? Kind::Tombstone : Kind::Value);
    }
  }
  [[nodiscard]] std::unique_ptr<LogFiller> filler(ChunkPool& pool) {
    for (std::size_t i = 0; i < logs_.size(); ++i) logs_[i]->bytes = texts_[i];
    auto filler = std::make_unique<LogFiller>(pool);
    for (const Noted& noted : noted_) {
      OperationReader reader(logs_[noted.log]->bytes.substr(noted.from));
      Operation operation;
      REQUIRE(reader.next(operation));
      filler->add(logs_[noted.log], noted.from, operation, noted.sequence);
    }
    return filler;
  }
  // What does not answer as it should, or nothing. From any thread.
  [[nodiscard]] std::string wrong_find(const Delta& delta) const {
    for (const auto& [key, newest] : newest_) {
      const std::uint64_t hash = directory::hash64(key);
      const FoundEntry found = delta.find(key, hash, kSequenceMax);
      if (!found.found || found.kind != newest.kind || found.sequence != newest.sequence ||
          found.value != newest.value) {
        return key;
      }
      if (delta.find(key + "x", directory::hash64(key + "x"), kSequenceMax).found) return key + "x";
    }
    return "";
  }
  [[nodiscard]] std::string wrong_scan(const Delta& delta) const {
    const auto cursor = delta.cursor();
    cursor->seek_to_first();
    for (const auto& [key, newest] : newest_) {
      if (!cursor->valid() || cursor->entry().key != key || cursor->entry().value != newest.value ||
          cursor->entry().sequence != newest.sequence || cursor->entry().kind != newest.kind) {
        return key;
      }
      cursor->next();
    }
    return cursor->valid() ? "more" : "";
  }
  // Overwrites what was noted.
  void spoil() {
    for (std::string& text : texts_) text.assign(text.size(), '\x7f');
  }
  [[nodiscard]] std::uint64_t entry_count() const noexcept { return noted_.size(); }
  [[nodiscard]] std::uint64_t data_size() const noexcept { return data_size_; }
  [[nodiscard]] Sequence last_sequence() const noexcept { return sequence_; }

 private:
  struct Noted {
    std::size_t log, from;
    Sequence sequence;
  };
  struct Newest {
    Kind kind;
    Sequence sequence;
    std::string value;
  };
  std::vector<std::string> texts_;
  std::vector<std::shared_ptr<LogBytes>> logs_;
  std::vector<Noted> noted_;
  std::map<std::string, Newest> newest_;
  std::uint64_t data_size_ = 0;
  Sequence sequence_ = 41;
  std::mt19937_64 random_{20261127};
};

TEST_CASE("a delta that is filled later answers at once, and for good", "[lib][filling]") {
  const std::size_t operation_count = GENERATE(1, 60, 3'000, 40'000);
  const std::uint64_t key_count = GENERATE(50, 20'000);
  CAPTURE(operation_count, key_count);
  Logs logs(3);
  logs.write_some(operation_count, key_count);
  ChunkPool pool;
  Delta delta(pool, Delta::ReaderMode::Alone);
  CHECK(delta.first_sequence() == 0);
  delta.fill_later(logs.filler(pool), kFillingClass);
  const std::size_t memory_before = delta.memory_size();
  const auto check_totals = [&] {
    CHECK(delta.entry_count() == logs.entry_count());
    CHECK(delta.data_size() == logs.data_size());
    CHECK(delta.first_sequence() == 42);
    CHECK(delta.last_sequence() == logs.last_sequence());
    CHECK(delta.memory_size() == pool.size_in_use());
  };
  check_totals();
  const bool scans_first = GENERATE(false, true);
  if (!scans_first) CHECK(logs.wrong_find(delta) == "");
  CHECK(logs.wrong_scan(delta) == "");
  check_totals();
  CHECK(logs.wrong_find(delta) == "");
  CHECK(delta.try_fill());  // Nothing is left to be done.
  CHECK(delta.memory_size() <= memory_before + memory_before / 8);
  CHECK(delta.memory_size() >= memory_before / 2);
}

TEST_CASE("a delta that is searched often is filled", "[lib][filling]") {
  Logs logs(2);
  logs.write_some(2'000, 500);
  ChunkPool pool;
  Delta delta(pool, Delta::ReaderMode::Alone);
  delta.fill_later(logs.filler(pool), kFillingClass);
  CHECK(logs.wrong_find(delta) == "");
  logs.spoil();
  CHECK(logs.wrong_find(delta) == "");  // Of the delta by now.
  CHECK(logs.wrong_scan(delta) == "");
}

TEST_CASE("a delta that finds no memory is filled from where it ended", "[lib][filling]") {
  Logs logs(3);
  for (int i = 0; i < 6; ++i) {
    logs.write_some(500, 1'000);
    logs.write(2, "large " + std::to_string(i), std::string(100'000, 'l'), Kind::Value);
  }
  ChunkPool pool;
  Delta delta(pool, Delta::ReaderMode::Alone);
  auto filler = logs.filler(pool);
  pool.set_size_limit(pool.size_in_use() + ChunkPool::kChunkSize);
  CHECK_THROWS_AS(delta.fill_later(std::move(filler), kFillingClass), std::bad_alloc);
  CHECK(delta.empty());
  CHECK(pool.size_in_use() == 0);

  pool.set_size_limit(std::size_t{1} << 30);
  delta.fill_later(logs.filler(pool), kFillingClass);
  int failure_count = 0;
  for (bool filled = false; !filled;) {
    REQUIRE(failure_count <= 20);
    // A large value has a chunk of its own, which is not set aside.
    pool.set_size_limit(pool.size_in_use() + (failure_count % 2 == 0 ? 0 : 110'000));
    try {
      delta.fill();
      filled = true;
    } catch (const std::bad_alloc&) {
      ++failure_count;
      CHECK(delta.entry_count() == logs.entry_count());
    }
  }
  CHECK(failure_count > 3);
  pool.set_size_limit(std::size_t{1} << 30);
  CHECK(logs.wrong_find(delta) == "");
  CHECK(logs.wrong_scan(delta) == "");
}

TEST_CASE("keys with the same part of their hash are told apart", "[lib][filling]") {
  std::unordered_map<std::uint32_t, std::string> by_tag;
  std::string one, other;
  for (std::uint64_t i = 0; one.empty(); ++i) {
    const std::string key = key_of(i);
    const auto tag = static_cast<std::uint32_t>(directory::hash64(key) >> 32);
    const auto [at, is_new] = by_tag.try_emplace(tag, key);
    if (is_new) continue;
    one = at->second;
    other = key;
  }
  Logs logs(1);
  logs.write(0, one, "one", Kind::Value);
  logs.write(0, other, "other", Kind::Value);
  ChunkPool pool;
  Delta delta(pool, Delta::ReaderMode::Alone);
  delta.fill_later(logs.filler(pool), kFillingClass);
  CHECK(delta.find(one, directory::hash64(one), kSequenceMax).value == "one");
  CHECK(delta.find(other, directory::hash64(other), kSequenceMax).value == "other");
  CHECK_FALSE(delta.find(one, directory::hash64(one), 41).found);
  CHECK(delta.find(one, directory::hash64(one), 42).found);
}

TEST_CASE("a log that is not what it was is not believed", "[lib][filling]") {
  Logs logs(2);
  logs.write_some(100, 50);
  logs.write(1, "a key", "value", Kind::Value);
  ChunkPool pool;
  Delta delta(pool, Delta::ReaderMode::Alone);
  delta.fill_later(logs.filler(pool), kFillingClass);
  logs.spoil();
  const Error found = test::thrown_by(
      [&] { static_cast<void>(delta.find("a key", directory::hash64("a key"), kSequenceMax)); });
  CHECK(found.code() == ErrorCode::Corruption);
  CHECK(std::string(found.what()).find("log-2.varve at byte ") != std::string::npos);
  CHECK(test::error_of([&] { delta.fill(); }) == ErrorCode::Corruption);
  CHECK(test::error_of([&] { delta.fill(); }) == ErrorCode::Corruption);
}

TEST_CASE("many threads may ask for a delta that is not filled yet", "[lib][filling]") {
  for (int round = 0; round < 20; ++round) {
    Logs logs(3);
    logs.write_some(2'000, 300);
    ChunkPool pool;
    Delta delta(pool, Delta::ReaderMode::Alone);
    delta.fill_later(logs.filler(pool), kFillingClass);
    std::atomic<int> wrong_count = 0;
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        if (i == 0) static_cast<void>(delta.try_fill());
        if (i == 1 && logs.wrong_scan(delta) != "") ++wrong_count;
        if (logs.wrong_find(delta) != "") ++wrong_count;
        if (delta.entry_count() != logs.entry_count() || delta.first_sequence() != 42)
          ++wrong_count;
      });
    }
    threads.clear();
    CHECK(wrong_count == 0);
  }
}

}  // namespace
}  // namespace varve::internal
