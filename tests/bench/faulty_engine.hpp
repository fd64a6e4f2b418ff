// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "bench/engine.hpp"

namespace varve::test {

// What an engine may do wrong, for the workloads to notice.
enum class Fault : std::uint8_t {
  None,
  WrongValue,        // Some gets give a value with one bit changed.
  LosesPuts,         // Some keys are never stored.
  FindsAbsentKeys,   // Some gets of absent keys find something.
  IgnoresOverwrite,  // Some keys keep their first value.
  IgnoresErase,      // Some keys stay.
  LosesAtClose,      // Some keys are gone after a reopening.
  ScanStartsLate,    // A scan from a key begins behind it.
  ScanEndsEarly,     // A scan leaves out its last entry.
  ReverseScanSkips,  // The scan downwards leaves one out.
  CompactLoses,      // Some keys are gone after a compaction.
};

// A map in memory, which a killed process takes with it.
// Thread-safety: that of Engine; its clients share one lock.
class FaultyEngine final : public bench::Engine {
 public:
  FaultyEngine(Fault fault, std::filesystem::path directory)
      : fault_(fault), directory_(std::move(directory)) {}

  // The directory stands for the store: what was in it is gone with it.
  void open() override {
    if (std::filesystem::create_directories(directory_)) entries_.clear();
  }
  void close() override {
    if (fault_ == Fault::LosesAtClose) entries_.clear();
  }
  void put(std::string_view key, std::string_view value) override {
    const std::lock_guard lock(mutex_);
    if (fault_ == Fault::LosesPuts && chosen(key)) return;
    const bool kept = fault_ == Fault::IgnoresOverwrite && chosen(key);
    const auto [entry, inserted] = entries_.try_emplace(std::string(key), value);
    if (!inserted && !kept) entry->second = value;
  }
  void erase(std::string_view key) override {
    if (fault_ == Fault::IgnoresErase && chosen(key)) return;
    entries_.erase(std::string(key));
  }
  void put_synced(std::string_view key, std::string_view value) override { put(key, value); }
  void begin_batch() override {}
  void batch_put(std::string_view key, std::string_view value) override { put(key, value); }
  void commit_batch() override {}

  bool get(std::string_view key, std::string_view& value) override {
    const bool found = copy(key, value_);
    value = value_;
    return found;
  }
  void scan(std::string_view from, std::uint64_t limit, bench::EntryCheck& check) override {
    auto entry = entries_.lower_bound(std::string(from));
    if (fault_ == Fault::ScanStartsLate && !from.empty() && entry != entries_.end()) ++entry;
    auto end = entries_.end();
    if (fault_ == Fault::ScanEndsEarly && end != entry) --end;
    for (; entry != end && limit > 0; ++entry, --limit) check(entry->first, entry->second);
  }
  void scan_reverse(bench::EntryCheck& check) override {
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
      if (fault_ == Fault::ReverseScanSkips && std::next(entry) == entries_.rend()) continue;
      check(entry->first, entry->second);
    }
  }
  std::unique_ptr<bench::Client> make_client(std::uint32_t) override {
    return std::make_unique<FaultyClient>(*this);
  }
  bool compact() override {
    if (fault_ == Fault::CompactLoses) entries_.erase(entries_.begin());
    return true;
  }

 private:
  class FaultyClient final : public bench::Client {
   public:
    explicit FaultyClient(FaultyEngine& engine) : engine_(engine) {}
    void put(std::string_view key, std::string_view value) override { engine_.put(key, value); }
    void put_synced(std::string_view key, std::string_view value) override { put(key, value); }
    bool get(std::string_view key, std::string_view& value) override {
      const bool found = engine_.copy(key, value_);
      value = value_;
      return found;
    }

   private:
    FaultyEngine& engine_;
    std::string value_;
  };

  // One key in twenty.
  static bool chosen(std::string_view key) { return bench::hash_key(key) % 20 == 0; }

  bool copy(std::string_view key, std::string& value) {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(std::string(key));
    if (entry == entries_.end()) {
      value = entries_.empty() ? "" : entries_.begin()->second;
      return fault_ == Fault::FindsAbsentKeys && chosen(key);
    }
    value = entry->second;
    if (fault_ == Fault::WrongValue && chosen(key))
      value.back() = static_cast<char>(value.back() ^ 1);
    return true;
  }

  const Fault fault_;
  const std::filesystem::path directory_;
  std::mutex mutex_;
  std::map<std::string, std::string> entries_;
  std::string value_;
};

inline bench::EngineKind faulty_engine(Fault fault) {
  return {.name = "faulty",
          .version = "",
          .configuration = "a map",
          .make = [fault](const bench::EngineSettings& settings) {
            return std::make_unique<FaultyEngine>(fault, settings.directory);
          }};
}

}  // namespace varve::test
