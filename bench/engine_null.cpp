// SPDX-License-Identifier: Apache-2.0
// Stores nothing: what a workload takes with it is the cost of making keys and values and of
// checking answers, to be subtracted from the other engines' figures.
#include <algorithm>

#include "bench/engine.hpp"

namespace varve::bench {
namespace {

class NullEngine final : public Engine {
 public:
  void open() override { put_count_ = 0; }
  void close() override {}
  void put(std::string_view key, std::string_view value) override { note(key, value); }
  void erase(std::string_view key) override { note(key, {}); }
  void put_synced(std::string_view key, std::string_view value) override { note(key, value); }
  void begin_batch() override {}
  void batch_put(std::string_view key, std::string_view value) override { note(key, value); }
  void commit_batch() override {}

  // The last value that was put. Its comparison ends at the first bytes, some nanoseconds early.
  bool get(std::string_view key, std::string_view& value) override {
    note(key, {});
    value = {bytes_, value_size_};
    return true;
  }
  void scan(std::string_view from, std::uint64_t limit, EntryCheck& check) override {
    note(from, {});
    const std::uint64_t count = std::min<std::uint64_t>(limit, put_count_);
    for (std::uint64_t i = 0; i < count; ++i) check(key_, {bytes_, value_size_});
  }
  bool is_real() const override { return false; }

 private:
  void note(std::string_view key, std::string_view value) {
    key_.assign(key);
    if (value.empty()) return;
    ++put_count_;
    value_size_ = std::min(value.size(), sizeof bytes_);
    std::copy_n(value.data(), value_size_, bytes_);
  }

  std::string key_;
  char bytes_[4096] = {};
  std::size_t value_size_ = 0;
  std::uint64_t put_count_ = 0;
};

}  // namespace

EngineKind null_engine() {
  return {"null", "stores nothing: the cost of the harness",
          [](const EngineSettings&) { return std::make_unique<NullEngine>(); }};
}

}  // namespace varve::bench
