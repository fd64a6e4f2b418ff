// SPDX-License-Identifier: Apache-2.0
// Configuration: the defaults (128 MiB of deltas, 12 filter bits a key, mapped reads), with the
// access mode that --access or the engine's name says. Where maintenance runs inside the writes,
// most background work is foreground; settle() does what is still due. As with the peers, the
// newest writes may stay in memory (and in the log) when a load has ended.
#include "bench/engine.hpp"
#include "varve/varve.hpp"

namespace varve::bench {
namespace {

class VarveClient final : public Client {
 public:
  explicit VarveClient(SegmentIndex& index) : index_(index) {}
  void put(std::string_view key, std::string_view value) override { index_.put(key, value); }
  void put_synced(std::string_view key, std::string_view value) override {
    index_.put(key, value, {.durability = Durability::Synced});
  }
  bool get(std::string_view key, std::string_view& value) override {
    const bool found = index_.get(key, value_);
    value = value_;
    return found;
  }

 private:
  SegmentIndex& index_;
  std::string value_;
};

class VarveEngine final : public Engine {
 public:
  VarveEngine(const EngineSettings& settings, Access access) : directory_(settings.directory) {
    options_.access = access;
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
  std::unique_ptr<Client> make_client(std::uint32_t) override {
    return std::make_unique<VarveClient>(index_);
  }
  bool takes_threads() const override { return options_.access != Access::Bare; }
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

constexpr const char* kConfiguration =
    "defaults: 128 MiB of deltas, 12 filter bits a key, mapped reads; access ";

EngineKind mode_engine(const char* name, Access access) {
  return {name, kConfiguration + std::string(to_string(access)),
          [access](const EngineSettings& settings) {
            return std::make_unique<VarveEngine>(settings, access);
          },
          false};
}

}  // namespace

EngineKind varve_engine() {
  return {"varve", kConfiguration + std::string("by --access"), [](const EngineSettings& settings) {
            return std::make_unique<VarveEngine>(settings, settings.access);
          }};
}

std::vector<EngineKind> varve_mode_engines() {
  return {mode_engine("varve-bare", Access::Bare), mode_engine("varve-sync", Access::Synchronized),
          mode_engine("varve-concurrent", Access::Concurrent)};
}

}  // namespace varve::bench
