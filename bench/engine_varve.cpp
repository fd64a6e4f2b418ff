// SPDX-License-Identifier: Apache-2.0
// Configuration: the defaults (128 MiB of deltas, 12 filter bits a key, mapped reads), with the
// access mode that --access names. Maintenance runs inside the writes, so that most background
// work is foreground here; settle() does what is still due. As with the peers, the newest writes
// may stay in memory (and in the log) when a load has ended.
#include "bench/engine.hpp"
#include "varve/varve.hpp"

namespace varve::bench {
namespace {

class VarveEngine final : public Engine {
 public:
  explicit VarveEngine(const EngineSettings& settings) : directory_(settings.directory) {
    options_.access = settings.bare ? Access::Bare : Access::Synchronized;
    options_.durability = Durability::Process;
  }

  void open() override { index_ = SegmentIndex::open(directory_, options_); }
  void close() override { index_.close(); }
  void put(std::string_view key, std::string_view value) override { index_.put(key, value); }
  void erase(std::string_view key) override { index_.erase(key); }
  void put_synced(std::string_view key, std::string_view value) override {
    index_.put(key, value, {.durability = Durability::Synced});
  }
  void begin_batch() override { batch_.clear(); }
  void batch_put(std::string_view key, std::string_view value) override { batch_.put(key, value); }
  void commit_batch() override { index_.write(batch_); }

  bool get(std::string_view key, std::string_view& value) override {
    const bool found = index_.get(key, value_);
    value = value_;
    return found;
  }
  void multi_get(std::span<const std::string_view> keys, MultiGetCheck& check) override {
    const auto values = index_.multi_get(keys);
    for (std::size_t i = 0; i < values.size(); ++i) {
      check(i, values[i].has_value(), values[i] ? std::string_view(*values[i]) : "");
    }
  }
  void scan(std::string_view from, std::uint64_t limit, EntryCheck& check) override {
    Cursor cursor = index_.scan({.from = from, .limit = limit});
    while (cursor.next()) check(cursor.key(), cursor.value());
  }
  void settle() override {
    while (index_.maintain()) {
    }
  }
  bool compact() override {
    index_.compact();
    return true;
  }

 private:
  std::filesystem::path directory_;
  Options options_;
  SegmentIndex index_;
  WriteBatch batch_;
  std::string value_;
};

}  // namespace

EngineKind varve_engine() {
  return {"varve", "defaults: 128 MiB of deltas, 12 filter bits a key, mapped reads",
          [](const EngineSettings& settings) { return std::make_unique<VarveEngine>(settings); }};
}

}  // namespace varve::bench
