// SPDX-License-Identifier: Apache-2.0
// Configuration: write buffers 64 MiB (two, the default; writers fill them side by side, the
// default, too), Bloom filter of 10 bits a key, hash index in the data blocks, no compression (the
// values are random), an LRU block cache that holds all data, all files open, a background job per
// core and two at least. Every put is in the operating system's hands when it returns: it survives
// the death of the process. With a memory limit the write buffers have a quarter of it together,
// the block cache half, and the operating system the rest for the files.
// `rocksdb-mmap` maps its tables instead of caching their blocks, and does not verify a block's
// checksum at each read, which it would without a cache; Varve verifies at the first touch.
// Debian's librocksdb carries its assertions, which make it two to three times slower than a
// release build: its figures show that this harness works, nothing about RocksDB.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "bench/engine_lsm.hpp"

namespace varve::bench {
namespace {

enum class TableReads : std::uint8_t { Cached, Mapped };

template <TableReads kReads>
struct RocksDbLibrary {
  using DB = rocksdb::DB;
  using Options = rocksdb::Options;
  using ReadOptions = rocksdb::ReadOptions;
  using WriteOptions = rocksdb::WriteOptions;
  using Slice = rocksdb::Slice;
  using Status = rocksdb::Status;
  using Iterator = rocksdb::Iterator;
  using WriteBatch = rocksdb::WriteBatch;
  using Value = rocksdb::PinnableSlice;
  static constexpr const char* kName = "rocksdb";
  static const ReadOptions& read_options() {
    static const ReadOptions options(kReads == TableReads::Cached, true);
    return options;
  }
  static Status get(DB& db, const Slice& key, Value& value) {
    return db.Get(read_options(), db.DefaultColumnFamily(), key, &value);
  }
  static std::string_view to_view(const Value& value) { return {value.data(), value.size()}; }
  static void reset(Value& value) { value.Reset(); }
  static Status put(WriteBatch& batch, const Slice& key, const Slice& value) {
    return batch.Put(key, value);
  }
  static Status close(DB& db) { return db.Close(); }
};

template <TableReads kReads>
class RocksDbEngine final : public LsmEngine<RocksDbLibrary<kReads>> {
  using Library = RocksDbLibrary<kReads>;

 public:
  explicit RocksDbEngine(const EngineSettings& settings) : LsmEngine<Library>(settings) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(settings.block_cache_size());
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    table.format_version = 5;
    rocksdb::Options& options = this->options_;
    options.create_if_missing = true;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.write_buffer_size = settings.write_buffer_size();
    options.compression = rocksdb::kNoCompression;
    options.max_open_files = -1;
    options.max_background_jobs =
        std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
    options.allow_mmap_reads = kReads == TableReads::Mapped;
  }

  void multi_get(std::span<const std::string_view> keys, MultiGetCheck& check) override {
    std::vector<rocksdb::Slice> slices;
    for (const std::string_view key : keys) slices.emplace_back(key.data(), key.size());
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    this->db().MultiGet(Library::read_options(), this->db().DefaultColumnFamily(), keys.size(),
                        slices.data(), values.data(), statuses.data());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!statuses[i].IsNotFound()) require<Library>(statuses[i]);
      check(i, statuses[i].ok(), Library::to_view(values[i]));
    }
  }
  void settle() override {
    this->end_reads();
    // Between two jobs all four may be zero for a moment, hence several looks.
    for (int idle_count = 0; idle_count < 5;) {
      idle_count = busy() ? 0 : idle_count + 1;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  bool compact() override {
    this->end_reads();
    require<Library>(this->db().CompactRange({}, nullptr, nullptr));
    return true;
  }

 private:
  bool busy() {
    for (const std::string* property : {&rocksdb::DB::Properties::kMemTableFlushPending,
                                        &rocksdb::DB::Properties::kNumRunningFlushes,
                                        &rocksdb::DB::Properties::kCompactionPending,
                                        &rocksdb::DB::Properties::kNumRunningCompactions}) {
      std::uint64_t count = 0;
      if (!this->db().GetIntProperty(*property, &count)) {
        throw std::runtime_error("rocksdb: no property " + *property);
      }
      if (count != 0) return true;
    }
    return false;
  }
};

template <TableReads kReads>
EngineKind make_kind(const char* name, const char* configuration, bool by_default) {
  EngineKind kind{
      .name = name,
      .version = std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
                 std::to_string(ROCKSDB_PATCH),
      .configuration = std::string("write buffers 64 MiB, Bloom 10, hash index, no compression, ") +
                       configuration,
      .make =
          [](const EngineSettings& settings) {
            return std::make_unique<RocksDbEngine<kReads>>(settings);
          },
      .by_default = by_default};
#ifdef VARVE_BENCH_LIBRARY_ASSERTS
  kind.caution =
      "THIS LIBRARY HAS ASSERTIONS COMPILED IN: 2-3 times slower than a release build, conclude "
      "nothing from it";
#endif
  return kind;
}

}  // namespace

std::vector<EngineKind> rocksdb_engines() {
  return {make_kind<TableReads::Cached>("rocksdb", "cache of twice the data", true),
          make_kind<TableReads::Mapped>(
              "rocksdb-mmap", "mapped tables, whose checksums reads do not verify", false)};
}

}  // namespace varve::bench
