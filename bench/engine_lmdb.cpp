// SPDX-License-Identifier: Apache-2.0
// Configuration:
// - NOSYNC and WRITEMAP: a commit is stores into a shared mapping, which survive the death of the
//   process and not a power loss: the promise of the other engines' unsynced writes, at LMDB's
//   lowest price. The synced writes take NOSYNC away.
// - One write transaction per put, one per batch. No MDB_APPEND for ascending keys: the other
//   engines are not told of the order either, and LMDB detects it by itself.
// - Gets and scans use one read transaction and cursor that are kept, and reset by the next write,
//   so that its old pages can be reused; values are looked at in the map, without a copy.
// - A map of many times the data, so that growth is never the limit; readahead as by default,
//   since the data fits in memory.
#include <lmdb.h>

#include <stdexcept>

#include "bench/engine.hpp"

namespace varve::bench {
namespace {

void require(int result, const char* what) {
  if (result != MDB_SUCCESS) {
    throw std::runtime_error(std::string("lmdb: ") + what + ": " + mdb_strerror(result));
  }
}
MDB_val to_val(std::string_view bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};
}
std::string_view to_view(const MDB_val& val) {
  return {static_cast<const char*>(val.mv_data), val.mv_size};
}

class LmdbEngine final : public Engine {
 public:
  explicit LmdbEngine(const EngineSettings& settings)
      : directory_(settings.directory), map_size_(settings.data_size * 8 + (1ULL << 30)) {}
  ~LmdbEngine() override { release(); }

  void open() override {
    std::filesystem::create_directories(directory_);
    require(mdb_env_create(&env_), "env_create");
    require(mdb_env_set_mapsize(env_, map_size_), "set_mapsize");
    require(mdb_env_open(env_, directory_.c_str(),
                         MDB_NOSYNC | MDB_WRITEMAP | MDB_NOMEMINIT | MDB_NOTLS, 0644),
            "env_open");
    MDB_txn* txn = nullptr;
    require(mdb_txn_begin(env_, nullptr, 0, &txn), "txn_begin");
    require(mdb_dbi_open(txn, nullptr, 0, &dbi_), "dbi_open");
    require(mdb_txn_commit(txn), "txn_commit");
  }
  void close() override { release(); }

  void put(std::string_view key, std::string_view value) override {
    begin_batch();
    batch_put(key, value);
    commit_batch();
  }
  void erase(std::string_view key) override {
    begin_batch();
    MDB_val key_val = to_val(key);
    const int result = mdb_del(write_, dbi_, &key_val, nullptr);
    if (result != MDB_NOTFOUND) require(result, "del");
    commit_batch();
  }
  void begin_synced() override {
    require(mdb_env_sync(env_, 1), "env_sync");
    require(mdb_env_set_flags(env_, MDB_NOSYNC, 0), "set_flags");
  }
  void end_synced() override { require(mdb_env_set_flags(env_, MDB_NOSYNC, 1), "set_flags"); }
  void put_synced(std::string_view key, std::string_view value) override { put(key, value); }
  void begin_batch() override {
    if (reading_) mdb_txn_reset(read_);
    reading_ = false;
    require(mdb_txn_begin(env_, nullptr, 0, &write_), "txn_begin");
  }
  void batch_put(std::string_view key, std::string_view value) override {
    MDB_val key_val = to_val(key), value_val = to_val(value);
    require(mdb_put(write_, dbi_, &key_val, &value_val, 0), "put");
  }
  void commit_batch() override { require(mdb_txn_commit(write_), "txn_commit"); }

  bool get(std::string_view key, std::string_view& value) override {
    begin_reading();
    MDB_val key_val = to_val(key), value_val;
    const int result = mdb_get(read_, dbi_, &key_val, &value_val);
    if (result == MDB_NOTFOUND) return false;
    require(result, "get");
    value = to_view(value_val);
    return true;
  }
  void scan(std::string_view from, std::uint64_t limit, EntryCheck& check) override {
    begin_reading();
    MDB_val key_val = to_val(from), value_val;
    int result =
        mdb_cursor_get(cursor_, &key_val, &value_val, from.empty() ? MDB_FIRST : MDB_SET_RANGE);
    for (; result == MDB_SUCCESS && limit > 0; --limit) {
      check(to_view(key_val), to_view(value_val));
      if (limit > 1) result = mdb_cursor_get(cursor_, &key_val, &value_val, MDB_NEXT);
    }
    if (result != MDB_NOTFOUND) require(result, "cursor_get");
  }

 private:
  void begin_reading() {
    if (reading_) return;
    if (read_ == nullptr) {
      require(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &read_), "txn_begin");
      require(mdb_cursor_open(read_, dbi_, &cursor_), "cursor_open");
    } else {
      require(mdb_txn_renew(read_), "txn_renew");
      require(mdb_cursor_renew(read_, cursor_), "cursor_renew");
    }
    reading_ = true;
  }
  void release() {
    if (env_ == nullptr) return;
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
    if (read_ != nullptr) mdb_txn_abort(read_);
    mdb_env_close(env_);
    env_ = nullptr;
    read_ = nullptr;
    cursor_ = nullptr;
    reading_ = false;
  }

  std::filesystem::path directory_;
  std::size_t map_size_;
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
  MDB_txn* write_ = nullptr;
  MDB_txn* read_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
  bool reading_ = false;  // read_ is active, not reset.
};

}  // namespace

EngineKind lmdb_engine() {
  return {"lmdb",
          std::to_string(MDB_VERSION_MAJOR) + "." + std::to_string(MDB_VERSION_MINOR) + "." +
              std::to_string(MDB_VERSION_PATCH) +
              "; NOSYNC|WRITEMAP|NOMEMINIT|NOTLS, one transaction per put, kept read transaction",
          [](const EngineSettings& settings) { return std::make_unique<LmdbEngine>(settings); }};
}

}  // namespace varve::bench
