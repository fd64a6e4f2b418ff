// SPDX-License-Identifier: Apache-2.0
// Configuration:
// - NOSYNC and WRITEMAP: a commit is stores into a shared mapping, which survive the death of the
//   process and not a power loss: the promise of the other engines' unsynced writes, at LMDB's
//   lowest price. The synced writes take NOSYNC away.
// - One write transaction per put, one per batch. No MDB_APPEND for ascending keys: the other
//   engines are not told of the order either, and LMDB detects it by itself.
// - Gets and scans use one read transaction and cursor that are kept, and reset by the next write,
//   so that its old pages can be reused; values are looked at in the map, without a copy.
// - With several threads each has a read transaction of its own, which it keeps until some thread
//   has written: it then begins anew, and sees what was written. LMDB admits one writer at a time.
// - A map of many times the data, so that growth is never the limit; readahead as by default,
//   since the data fits in memory. With a memory limit there is nothing to divide, as all memory is
//   the operating system's; readahead is off then, which random reads of a larger store want.
#include <lmdb.h>

#include <atomic>
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

// What the clients share.
struct LmdbStore {
  MDB_env* env = nullptr;
  MDB_dbi dbi = 0;
  std::atomic<std::uint64_t> write_count = 0;

  bool get(MDB_txn* read, std::string_view key, std::string_view& value) const {
    MDB_val key_val = to_val(key), value_val;
    const int result = mdb_get(read, dbi, &key_val, &value_val);
    if (result == MDB_NOTFOUND) return false;
    require(result, "get");
    value = to_view(value_val);
    return true;
  }
};

class LmdbClient final : public Client {
 public:
  explicit LmdbClient(LmdbStore& store) : store_(store) {}
  ~LmdbClient() override {
    if (read_ != nullptr) mdb_txn_abort(read_);
  }
  LmdbClient(const LmdbClient&) = delete;
  LmdbClient& operator=(const LmdbClient&) = delete;

  void put(std::string_view key, std::string_view value) override {
    if (reading_) mdb_txn_reset(read_);
    reading_ = false;
    MDB_txn* write = nullptr;
    require(mdb_txn_begin(store_.env, nullptr, 0, &write), "txn_begin");
    MDB_val key_val = to_val(key), value_val = to_val(value);
    const int result = mdb_put(write, store_.dbi, &key_val, &value_val, 0);
    if (result != MDB_SUCCESS) mdb_txn_abort(write);
    require(result, "put");
    require(mdb_txn_commit(write), "txn_commit");
    store_.write_count.fetch_add(1, std::memory_order_release);
  }
  void put_synced(std::string_view key, std::string_view value) override { put(key, value); }
  bool get(std::string_view key, std::string_view& value) override {
    begin_reading();
    return store_.get(read_, key, value);
  }

 private:
  void begin_reading() {
    const std::uint64_t write_count = store_.write_count.load(std::memory_order_acquire);
    if (reading_ && write_count == write_count_) return;
    if (read_ == nullptr) {
      require(mdb_txn_begin(store_.env, nullptr, MDB_RDONLY, &read_), "txn_begin");
    } else {
      if (reading_) mdb_txn_reset(read_);
      require(mdb_txn_renew(read_), "txn_renew");
    }
    reading_ = true;
    write_count_ = write_count;
  }

  LmdbStore& store_;
  MDB_txn* read_ = nullptr;
  std::uint64_t write_count_ = 0;  // Of the store, before the read transaction began.
  bool reading_ = false;           // read_ is active, not reset.
};

class LmdbEngine final : public Engine {
 public:
  explicit LmdbEngine(const EngineSettings& settings)
      : directory_(settings.directory),
        map_size_(settings.data_size * 8 + (1ULL << 30)),
        flags_(MDB_NOSYNC | MDB_WRITEMAP | MDB_NOMEMINIT | MDB_NOTLS |
               (settings.memory_limit > 0 ? MDB_NORDAHEAD : 0)) {}
  ~LmdbEngine() override { release(); }

  void open() override {
    std::filesystem::create_directories(directory_);
    require(mdb_env_create(&store_.env), "env_create");
    require(mdb_env_set_mapsize(store_.env, map_size_), "set_mapsize");
    require(mdb_env_open(store_.env, directory_.c_str(), flags_, 0644), "env_open");
    MDB_txn* txn = nullptr;
    require(mdb_txn_begin(store_.env, nullptr, 0, &txn), "txn_begin");
    require(mdb_dbi_open(txn, nullptr, 0, &store_.dbi), "dbi_open");
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
    const int result = mdb_del(write_, store_.dbi, &key_val, nullptr);
    if (result != MDB_NOTFOUND) require(result, "del");
    commit_batch();
  }
  void begin_synced() override {
    require(mdb_env_sync(store_.env, 1), "env_sync");
    require(mdb_env_set_flags(store_.env, MDB_NOSYNC, 0), "set_flags");
  }
  void end_synced() override { require(mdb_env_set_flags(store_.env, MDB_NOSYNC, 1), "set_flags"); }
  void put_synced(std::string_view key, std::string_view value) override { put(key, value); }
  void begin_batch() override {
    if (reading_) mdb_txn_reset(read_);
    reading_ = false;
    require(mdb_txn_begin(store_.env, nullptr, 0, &write_), "txn_begin");
  }
  void batch_put(std::string_view key, std::string_view value) override {
    MDB_val key_val = to_val(key), value_val = to_val(value);
    require(mdb_put(write_, store_.dbi, &key_val, &value_val, 0), "put");
  }
  void commit_batch() override { require(mdb_txn_commit(write_), "txn_commit"); }

  bool get(std::string_view key, std::string_view& value) override {
    begin_reading();
    return store_.get(read_, key, value);
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
  void scan_reverse(EntryCheck& check) override {
    begin_reading();
    MDB_val key_val, value_val;
    int result = mdb_cursor_get(cursor_, &key_val, &value_val, MDB_LAST);
    for (; result == MDB_SUCCESS;
         result = mdb_cursor_get(cursor_, &key_val, &value_val, MDB_PREV)) {
      check(to_view(key_val), to_view(value_val));
    }
    if (result != MDB_NOTFOUND) require(result, "cursor_get");
  }
  std::unique_ptr<Client> make_client(std::uint32_t) override {
    if (reading_) mdb_txn_reset(read_);
    reading_ = false;
    return std::make_unique<LmdbClient>(store_);
  }

 private:
  void begin_reading() {
    if (reading_) return;
    if (read_ == nullptr) {
      require(mdb_txn_begin(store_.env, nullptr, MDB_RDONLY, &read_), "txn_begin");
      require(mdb_cursor_open(read_, store_.dbi, &cursor_), "cursor_open");
    } else {
      require(mdb_txn_renew(read_), "txn_renew");
      require(mdb_cursor_renew(read_, cursor_), "cursor_renew");
    }
    reading_ = true;
  }
  void release() {
    if (store_.env == nullptr) return;
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
    if (read_ != nullptr) mdb_txn_abort(read_);
    mdb_env_close(store_.env);
    store_.env = nullptr;
    read_ = nullptr;
    cursor_ = nullptr;
    reading_ = false;
  }

  std::filesystem::path directory_;
  const std::size_t map_size_;
  const unsigned flags_;
  LmdbStore store_;
  MDB_txn* write_ = nullptr;
  MDB_txn* read_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
  bool reading_ = false;  // read_ is active, not reset.
};

}  // namespace

EngineKind lmdb_engine() {
  return {.name = "lmdb",
          .version = std::to_string(MDB_VERSION_MAJOR) + "." + std::to_string(MDB_VERSION_MINOR) +
                     "." + std::to_string(MDB_VERSION_PATCH),
          .configuration =
              "NOSYNC|WRITEMAP|NOMEMINIT|NOTLS, one transaction per put, kept read transaction",
          .make = [](const EngineSettings& settings) {
            return std::make_unique<LmdbEngine>(settings);
          }};
}

}  // namespace varve::bench
