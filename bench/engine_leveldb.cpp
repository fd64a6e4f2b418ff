// SPDX-License-Identifier: Apache-2.0
// Configuration: write buffer 64 MiB (two of them at most, as much memory as Varve's deltas), Bloom
// filter of 10 bits a key, no compression (the values are random), a block cache that holds all
// data, files never closed; tables are mapped, as LevelDB does by itself. Every put is in the
// operating system's hands when it returns: it survives the death of the process. With a memory
// limit the write buffers have a quarter of it together, the block cache half, and the operating
// system the rest for the files.
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

#include "bench/engine_lsm.hpp"

namespace varve::bench {
namespace {

struct LevelDbLibrary {
  using DB = leveldb::DB;
  using Options = leveldb::Options;
  using ReadOptions = leveldb::ReadOptions;
  using WriteOptions = leveldb::WriteOptions;
  using Slice = leveldb::Slice;
  using Status = leveldb::Status;
  using Iterator = leveldb::Iterator;
  using WriteBatch = leveldb::WriteBatch;
  using Value = std::string;
  static constexpr const char* kName = "leveldb";
  static Status get(DB& db, const Slice& key, Value& value) { return db.Get({}, key, &value); }
  static std::string_view to_view(const Value& value) { return value; }
  static void reset(Value&) {}
  static ReadOptions read_options() { return {}; }
  static Status put(WriteBatch& batch, const Slice& key, const Slice& value) {
    batch.Put(key, value);
    return Status::OK();
  }
  static Status close(DB&) { return Status::OK(); }
};

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

class LevelDbEngine final : public LsmEngine<LevelDbLibrary> {
 public:
  explicit LevelDbEngine(const EngineSettings& settings)
      : LsmEngine(settings),
        filter_(leveldb::NewBloomFilterPolicy(10)),
        cache_(leveldb::NewLRUCache(settings.block_cache_size())) {
    options_.env = &env_;
    options_.create_if_missing = true;
    options_.write_buffer_size = settings.write_buffer_size();
    options_.max_open_files = 50'000;
    options_.compression = leveldb::kNoCompression;
    options_.filter_policy = filter_.get();
    options_.block_cache = cache_.get();
  }
  ~LevelDbEngine() override { close(); }  // Before what the store uses.
  LevelDbEngine(const LevelDbEngine&) = delete;
  LevelDbEngine& operator=(const LevelDbEngine&) = delete;

  void settle() override {
    end_reads();
    env_.wait_until_idle();
  }
  bool compact() override {
    end_reads();
    db().CompactRange(nullptr, nullptr);
    return true;
  }

 private:
  CountingEnv env_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::Cache> cache_;
};

}  // namespace

EngineKind leveldb_engine() {
  EngineKind kind{
      .name = "leveldb",
      .version =
          std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion),
      .configuration = "write buffer 64 MiB, Bloom 10, no compression, cache of twice the data",
      .make = [](const EngineSettings& settings) {
        return std::make_unique<LevelDbEngine>(settings);
      }};
#ifdef VARVE_BENCH_LIBRARY_ASSERTS
  kind.caution = "THIS LIBRARY HAS ASSERTIONS COMPILED IN: a release build is faster";
#endif
  return kind;
}

}  // namespace varve::bench
