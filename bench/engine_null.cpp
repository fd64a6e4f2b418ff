// SPDX-License-Identifier: Apache-2.0
// Stores nothing: what a workload takes with it is the cost of making keys and values and of
// checking answers, to be subtracted from the other engines' figures.
#include <algorithm>

#include "bench/engine.hpp"

namespace varve::bench {
namespace {

// Notes the last key and value, which a get gives back.
class Note {
 public:
  void note(std::string_view key, std::string_view value) {
    key_.assign(key);
    if (value.empty()) return;
    ++put_count_;
    value_size_ = std::min(value.size(), sizeof bytes_);
    std::copy_n(value.data(), value_size_, bytes_);
  }
  [[nodiscard]] std::string_view key() const { return key_; }
  [[nodiscard]] std::string_view value() const { return {bytes_, value_size_}; }
  [[nodiscard]] std::uint64_t put_count() const { return put_count_; }
  void restart() { put_count_ = 0; }

 private:
  std::string key_;
  char bytes_[4096] = {};
  std::size_t value_size_ = 0;
  std::uint64_t put_count_ = 0;
};

class NullClient final : public Client {
 public:
  explicit NullClient(const Note& note) : note_(note) {}
  void put(std::string_view key, std::string_view value) override { note_.note(key, value); }
  void put_synced(std::string_view key, std::string_view value) override { note_.note(key, value); }
  bool get(std::string_view key, std::string_view& value) override {
    note_.note(key, {});
    value = note_.value();
    return true;
  }

 private:
  Note note_;
};

class NullEngine final : public Engine {
 public:
  void open() override { note_.restart(); }
  void close() override {}
  void put(std::string_view key, std::string_view value) override { note_.note(key, value); }
  void erase(std::string_view key) override { note_.note(key, {}); }
  void put_synced(std::string_view key, std::string_view value) override { note_.note(key, value); }
  void begin_batch() override {}
  void batch_put(std::string_view key, std::string_view value) override { note_.note(key, value); }
  void commit_batch() override {}

  // The last value that was put. Its comparison ends at the first bytes, some nanoseconds early.
  bool get(std::string_view key, std::string_view& value) override {
    note_.note(key, {});
    value = note_.value();
    return true;
  }
  void scan(std::string_view from, std::uint64_t limit, EntryCheck& check) override {
    note_.note(from, {});
    const std::uint64_t count = std::min<std::uint64_t>(limit, note_.put_count());
    for (std::uint64_t i = 0; i < count; ++i) check(note_.key(), note_.value());
  }
  void scan_reverse(EntryCheck& check) override { scan({}, note_.put_count(), check); }
  std::unique_ptr<Client> make_client(std::uint32_t) override {
    return std::make_unique<NullClient>(note_);
  }
  bool is_real() const override { return false; }

 private:
  Note note_;
};

}  // namespace

EngineKind null_engine() {
  return {.name = "null",
          .version = "",
          .configuration = "stores nothing: the cost of the harness",
          .make = [](const EngineSettings&) { return std::make_unique<NullEngine>(); }};
}

}  // namespace varve::bench
