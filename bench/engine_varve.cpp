// SPDX-License-Identifier: Apache-2.0
// Configuration: the defaults (128 MiB of deltas, 12 filter bits a key, mapped reads), with the
// access mode that --access or the engine's name says. Where maintenance runs inside the writes,
// most background work is foreground; settle() does what is still due. As with the peers, the
// newest writes may stay in memory (and in the log) when a load has ended. With a memory limit all
// that is Varve's stays within it, deltas within a quarter of it, as the peers' write buffers, and
// the files are the operating system's to cache. Scans use one cursor until the next write, as the
// peers' iterators.
#include <algorithm>
#include <optional>
#include <vector>

#include "bench/engine.hpp"
#include "varve/varve.hpp"
#include "varve/version.hpp"

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
    options_.reads = settings.reads;
    if (settings.segment_size > 0) options_.tuning.segment_size = settings.segment_size;
    if (settings.memory_limit > 0) {
      options_.memory_budget = std::max(settings.memory_limit / 4, kMemoryBudgetMin);
      options_.memory_limit = settings.memory_limit;
    }
  }

  void open() override { index_ = SegmentIndex::open(directory_, options_); }
  void close() override {
    end_scan();
    index_.close();
  }
  void put(std::string_view key, std::string_view value) override {
    end_scan();
    index_.put(key, value);
  }
  void erase(std::string_view key) override {
    end_scan();
    index_.erase(key);
  }
  void put_synced(std::string_view key, std::string_view value) override {
    end_scan();
    index_.put(key, value, {.durability = Durability::Synced});
  }
  void begin_batch() override { batch_.clear(); }
  void batch_put(std::string_view key, std::string_view value) override { batch_.put(key, value); }
  void commit_batch() override {
    end_scan();
    index_.write(batch_);
  }

  bool get(std::string_view key, std::string_view& value) override {
    const bool found = index_.get(key, value_);
    value = value_;
    return found;
  }
  void multi_get(std::span<const std::string_view> keys, MultiGetCheck& check) override {
    values_.resize(keys.size());
    index_.multi_get(keys, values_);
    for (std::size_t i = 0; i < values_.size(); ++i) {
      check(i, values_[i].has_value(), values_[i] ? std::string_view(*values_[i]) : "");
    }
  }
  void scan(std::string_view from, std::uint64_t limit, EntryCheck& check) override {
    if (!cursor_) cursor_ = index_.scan();
    cursor_->seek(from);
    for (; limit > 0 && cursor_->next(); --limit) check(cursor_->key(), cursor_->value());
  }
  void scan_reverse(EntryCheck& check) override {
    Cursor cursor = index_.scan({.reverse = true});
    while (cursor.next()) check(cursor.key(), cursor.value());
  }
  std::unique_ptr<Client> make_client(std::uint32_t) override {
    end_scan();
    return std::make_unique<VarveClient>(index_);
  }
  bool takes_threads() const override { return options_.access != Access::Bare; }
  void settle() override {
    end_scan();
    while (index_.maintain()) {
    }
  }
  bool compact() override {
    end_scan();
    index_.compact();
    return true;
  }
  std::uint64_t segment_count() override { return index_.statistics().runs.segment_count; }

 private:
  static constexpr std::uint64_t kMemoryBudgetMin = 256 << 10;

  // The next scan is to see what is written now, and what is merged now not to be kept for it.
  void end_scan() noexcept { cursor_.reset(); }

  std::filesystem::path directory_;
  Options options_;
  SegmentIndex index_;
  std::optional<Cursor> cursor_;  // Of the scans since the last write.
  WriteBatch batch_;
  std::string value_;
  std::vector<std::optional<std::string>> values_;
};

EngineKind make_kind(const char* name, const std::string& access, std::optional<Access> fixed) {
  return {.name = name,
          .version = VARVE_VERSION_STRING,
          .configuration = "defaults: 128 MiB of deltas, 12 filter bits a key; access " + access,
          .make =
              [fixed](const EngineSettings& settings) {
                return std::make_unique<VarveEngine>(settings, fixed.value_or(settings.access));
              },
          .by_default = !fixed.has_value()};
}
EngineKind make_kind(const char* name, Access access) {
  return make_kind(name, std::string(to_string(access)), access);
}

}  // namespace

EngineKind varve_engine() {
  return make_kind("varve", "by --access", std::nullopt);
}

std::vector<EngineKind> varve_mode_engines() {
  return {make_kind("varve-bare", Access::Bare), make_kind("varve-sync", Access::Synchronized),
          make_kind("varve-concurrent", Access::Concurrent)};
}

}  // namespace varve::bench
