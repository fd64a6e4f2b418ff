// SPDX-License-Identifier: Apache-2.0
// Configuration: write buffer 64 MiB (two of them at most, as much memory as Varve's deltas), Bloom
// filter of 10 bits a key, no compression (the values are random), a block cache that holds all
// data, files never closed. Every put is in the operating system's hands when it returns: it
// survives the death of the process. One iterator is kept for reads and made anew after writes.
// Debian's libleveldb carries its assertions, which a release build does not: its figures are an
// upper bound of the times.
// LevelDB has no call that waits for its compactions, so its Env counts the scheduled ones.
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <condition_variable>
#include <mutex>
#include <stdexcept>

#include "bench/engine.hpp"

namespace varve::bench {
namespace {

void require(const leveldb::Status& status) {
  if (!status.ok()) throw std::runtime_error("leveldb: " + status.ToString());
}
leveldb::Slice to_slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
std::string_view to_view(const leveldb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// Knows whether background work is scheduled or running: a compaction schedules its successor
// before it returns, so that the count does not fall to zero in between.
class CountingEnv final : public leveldb::EnvWrapper {
 public:
  CountingEnv() : EnvWrapper(leveldb::Env::Default()) {}

  void Schedule(void (*function)(void*), void* argument) override {
    {
      const std::lock_guard lock(mutex_);
      ++count_;
    }
    target()->Schedule(
        [](void* raw) {
          const std::unique_ptr<Job> job(static_cast<Job*>(raw));
          job->function(job->argument);
          const std::lock_guard lock(job->env->mutex_);
          if (--job->env->count_ == 0) job->env->idle_.notify_all();
        },
        new Job{this, function, argument});
  }
  void wait_until_idle() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  struct Job {
    CountingEnv* env;
    void (*function)(void*);
    void* argument;
  };
  std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t count_ = 0;
};

class LevelDbClient final : public Client {
 public:
  explicit LevelDbClient(leveldb::DB& db) : db_(db) { synced_.sync = true; }
  void put(std::string_view key, std::string_view value) override {
    require(db_.Put({}, to_slice(key), to_slice(value)));
  }
  void put_synced(std::string_view key, std::string_view value) override {
    require(db_.Put(synced_, to_slice(key), to_slice(value)));
  }
  bool get(std::string_view key, std::string_view& value) override {
    const leveldb::Status status = db_.Get({}, to_slice(key), &value_);
    if (status.IsNotFound()) return false;
    require(status);
    value = value_;
    return true;
  }

 private:
  leveldb::DB& db_;
  leveldb::WriteOptions synced_;
  std::string value_;
};

class LevelDbEngine final : public Engine {
 public:
  explicit LevelDbEngine(const EngineSettings& settings)
      : directory_(settings.directory),
        filter_(leveldb::NewBloomFilterPolicy(10)),
        cache_(leveldb::NewLRUCache(settings.data_size * 2 + (64 << 20))) {
    options_.env = &env_;
    options_.create_if_missing = true;
    options_.write_buffer_size = 64 << 20;
    options_.max_open_files = 50'000;
    options_.compression = leveldb::kNoCompression;
    options_.filter_policy = filter_.get();
    options_.block_cache = cache_.get();
  }

  void open() override {
    leveldb::DB* db = nullptr;
    require(leveldb::DB::Open(options_, directory_.string(), &db));
    db_.reset(db);
  }
  void close() override {
    iterator_.reset();
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
    leveldb::WriteOptions options;
    options.sync = true;
    require(db_->Put(options, to_slice(key), to_slice(value)));
  }
  void begin_batch() override {
    iterator_.reset();
    batch_.Clear();
  }
  void batch_put(std::string_view key, std::string_view value) override {
    batch_.Put(to_slice(key), to_slice(value));
  }
  void commit_batch() override { require(db_->Write({}, &batch_)); }

  bool get(std::string_view key, std::string_view& value) override {
    const leveldb::Status status = db_->Get({}, to_slice(key), &value_);
    if (status.IsNotFound()) return false;
    require(status);
    value = value_;
    return true;
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
    return std::make_unique<LevelDbClient>(*db_);
  }
  void settle() override {
    iterator_.reset();  // It would keep replaced files alive.
    env_.wait_until_idle();
  }
  bool compact() override {
    iterator_.reset();
    db_->CompactRange(nullptr, nullptr);
    return true;
  }

 private:
  std::filesystem::path directory_;
  CountingEnv env_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::Cache> cache_;
  leveldb::Options options_;
  std::unique_ptr<leveldb::DB> db_;
  std::unique_ptr<leveldb::Iterator> iterator_;
  leveldb::WriteBatch batch_;
  std::string value_;
};

}  // namespace

EngineKind leveldb_engine() {
  std::string configuration =
      std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion) +
      "; write buffer 64 MiB, Bloom 10, no compression, cache of twice the data";
#ifdef VARVE_BENCH_LIBRARY_ASSERTS
  configuration += "; THIS LIBRARY HAS ASSERTIONS COMPILED IN: a release build is faster";
#endif
  return {"leveldb", configuration,
          [](const EngineSettings& settings) { return std::make_unique<LevelDbEngine>(settings); }};
}

}  // namespace varve::bench
