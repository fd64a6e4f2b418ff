// SPDX-License-Identifier: Apache-2.0
// Configuration: write buffers 64 MiB (two, the default), Bloom filter of 10 bits a key, hash index
// in the data blocks, no compression (the values are random), an LRU block cache that holds all
// data, all files open, two background jobs for two cores. Every put is in the operating system's
// hands when it returns: it survives the death of the process.
// Debian's librocksdb carries its assertions, which make it two to three times slower than a
// release build: its figures show that this harness works, nothing about RocksDB.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "bench/engine.hpp"

namespace varve::bench {
namespace {

void require(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error("rocksdb: " + status.ToString());
}
rocksdb::Slice to_slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
std::string_view to_view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

class RocksDbClient final : public Client {
 public:
  explicit RocksDbClient(rocksdb::DB& db) : db_(db) { synced_.sync = true; }
  void put(std::string_view key, std::string_view value) override {
    require(db_.Put({}, to_slice(key), to_slice(value)));
  }
  void put_synced(std::string_view key, std::string_view value) override {
    require(db_.Put(synced_, to_slice(key), to_slice(value)));
  }
  bool get(std::string_view key, std::string_view& value) override {
    value_.Reset();
    const rocksdb::Status status = db_.Get({}, db_.DefaultColumnFamily(), to_slice(key), &value_);
    if (status.IsNotFound()) return false;
    require(status);
    value = to_view(value_);
    return true;
  }

 private:
  rocksdb::DB& db_;
  rocksdb::WriteOptions synced_;
  rocksdb::PinnableSlice value_;
};

class RocksDbEngine final : public Engine {
 public:
  explicit RocksDbEngine(const EngineSettings& settings) : directory_(settings.directory) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(settings.data_size * 2 + (64 << 20));
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    table.format_version = 5;
    options_.create_if_missing = true;
    options_.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options_.write_buffer_size = 64 << 20;
    options_.compression = rocksdb::kNoCompression;
    options_.max_open_files = -1;
    options_.max_background_jobs = 2;
  }

  void open() override {
    rocksdb::DB* db = nullptr;
    require(rocksdb::DB::Open(options_, directory_.string(), &db));
    db_.reset(db);
  }
  void close() override {
    iterator_.reset();
    value_.Reset();
    if (db_ != nullptr) require(db_->Close());
    db_.reset();
  }
  void put(std::string_view key, std::string_view value) override {
    iterator_.reset();
    require(db_->Put({}, to_slice(key), to_slice(value)));
  }
  void erase(std::string_view key) override {
    iterator_.reset();
    require(db_->Delete({}, to_slice(key)));
  }
  void put_synced(std::string_view key, std::string_view value) override {
    rocksdb::WriteOptions options;
    options.sync = true;
    require(db_->Put(options, to_slice(key), to_slice(value)));
  }
  void begin_batch() override {
    iterator_.reset();
    batch_.Clear();
  }
  void batch_put(std::string_view key, std::string_view value) override {
    require(batch_.Put(to_slice(key), to_slice(value)));
  }
  void commit_batch() override { require(db_->Write({}, &batch_)); }

  bool get(std::string_view key, std::string_view& value) override {
    value_.Reset();
    const rocksdb::Status status = db_->Get({}, db_->DefaultColumnFamily(), to_slice(key), &value_);
    if (status.IsNotFound()) return false;
    require(status);
    value = to_view(value_);
    return true;
  }
  void multi_get(std::span<const std::string_view> keys, MultiGetCheck& check) override {
    std::vector<rocksdb::Slice> slices;
    for (const std::string_view key : keys) slices.push_back(to_slice(key));
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db_->MultiGet({}, db_->DefaultColumnFamily(), keys.size(), slices.data(), values.data(),
                  statuses.data());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!statuses[i].IsNotFound()) require(statuses[i]);
      check(i, statuses[i].ok(), to_view(values[i]));
    }
  }
  void scan(std::string_view from, std::uint64_t limit, EntryCheck& check) override {
    if (iterator_ == nullptr) iterator_.reset(db_->NewIterator({}));
    if (from.empty()) {
      iterator_->SeekToFirst();
    } else {
      iterator_->Seek(to_slice(from));
    }
    for (; iterator_->Valid() && limit > 0; --limit) {
      check(to_view(iterator_->key()), to_view(iterator_->value()));
      if (limit > 1) iterator_->Next();
    }
    require(iterator_->status());
  }
  std::unique_ptr<Client> make_client(std::uint32_t) override {
    iterator_.reset();
    value_.Reset();
    return std::make_unique<RocksDbClient>(*db_);
  }
  void settle() override {
    iterator_.reset();  // It would keep replaced files alive.
    // Between two jobs all four may be zero for a moment, hence several looks.
    for (int idle_count = 0; idle_count < 5;) {
      idle_count = busy() ? 0 : idle_count + 1;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  bool compact() override {
    iterator_.reset();
    require(db_->CompactRange({}, nullptr, nullptr));
    return true;
  }

 private:
  bool busy() const {
    for (const std::string* property : {&rocksdb::DB::Properties::kMemTableFlushPending,
                                        &rocksdb::DB::Properties::kNumRunningFlushes,
                                        &rocksdb::DB::Properties::kCompactionPending,
                                        &rocksdb::DB::Properties::kNumRunningCompactions}) {
      std::uint64_t count = 0;
      if (!db_->GetIntProperty(*property, &count)) {
        throw std::runtime_error("rocksdb: no property " + *property);
      }
      if (count != 0) return true;
    }
    return false;
  }

  std::filesystem::path directory_;
  rocksdb::Options options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  rocksdb::WriteBatch batch_;
  rocksdb::PinnableSlice value_;
};

}  // namespace

EngineKind rocksdb_engine() {
  std::string configuration =
      std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
      std::to_string(ROCKSDB_PATCH) +
      "; write buffers 64 MiB, Bloom 10, hash index, no compression, cache of twice the data";
#ifdef VARVE_BENCH_LIBRARY_ASSERTS
  configuration +=
      "; THIS LIBRARY HAS ASSERTIONS COMPILED IN: 2-3 times slower than a release "
      "build, conclude nothing from it";
#endif
  return {"rocksdb", configuration,
          [](const EngineSettings& settings) { return std::make_unique<RocksDbEngine>(settings); }};
}

}  // namespace varve::bench
