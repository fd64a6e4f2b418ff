// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/data.hpp"
#include "varve/options.hpp"

namespace varve::bench {

struct EngineSettings {
  std::filesystem::path directory;
  std::uint64_t data_size = 0;         // Bytes of all keys and values: sizes caches and maps.
  Access access = Access::Concurrent;  // Of the engine `varve`; the peers are thread-safe.
  Reads reads = Reads::Mapped;         // Of the engines `varve*`.
  std::uint64_t segment_size = 0;      // Likewise; 0: the default.
  std::uint64_t memory_limit = 0;      // For caches and buffers together; 0: as much as is useful.

  // What the log-structured peers take: a quarter of a limit for two write buffers, half of it for
  // the blocks that they cache, which leaves the rest for files that the operating system caches.
  [[nodiscard]] std::size_t write_buffer_size() const {
    return memory_limit == 0 ? std::size_t{64} << 20 : memory_limit / 8;
  }
  [[nodiscard]] std::size_t block_cache_size() const {
    return memory_limit == 0 ? data_size * 2 + (std::size_t{64} << 20) : memory_limit / 2;
  }
};

// What one thread uses of an open engine, for the workloads with several: its transactions, cursors
// and buffers. It ends before the engine closes.
//
// Errors: as Engine.
// Thread-safety: none; one per thread.
class Client {
 public:
  virtual ~Client() = default;
  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void put_synced(std::string_view key, std::string_view value) = 0;
  // Sees every write that had returned, to whichever thread, when it was called.
  // `value` is valid until the next call.
  [[nodiscard]] virtual bool get(std::string_view key, std::string_view& value) = 0;
};

// One store behind the calls that the workloads make. Every adapter gives the same promise: a
// returned write survives the death of the process; one by put_synced() also survives power loss.
//
// Errors: what the store refuses is thrown as std::exception with its message; the run then ends.
// Thread-safety: none, except that clients may be used while nothing else is called.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual void open() = 0;  // Creates what is absent.
  virtual void close() = 0;

  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void erase(std::string_view key) = 0;
  virtual void put_synced(std::string_view key, std::string_view value) = 0;
  // Called before the first and after the last put_synced().
  virtual void begin_synced() {}
  virtual void end_synced() {}
  // Operations between the two take effect together.
  virtual void begin_batch() = 0;
  virtual void batch_put(std::string_view key, std::string_view value) = 0;
  virtual void commit_batch() = 0;

  // `value` is valid until the next call.
  [[nodiscard]] virtual bool get(std::string_view key, std::string_view& value) = 0;
  // Tells `check` each answer. Stores without such a call answer one by one.
  virtual void multi_get(std::span<const std::string_view> keys, MultiGetCheck& check) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      std::string_view value;
      const bool found = get(keys[i], value);
      check(i, found, value);
    }
  }
  // Shows `check` up to `limit` entries in order, from the first one >= `from` (empty: all).
  virtual void scan(std::string_view from, std::uint64_t limit, EntryCheck& check) = 0;
  virtual void scan_reverse(EntryCheck& check) = 0;  // All, from the last one down.

  // One of several clients, of which `writer_count` will write at the same time. The engine's own
  // reads end here, so that none keeps old data alive while clients write.
  [[nodiscard]] virtual std::unique_ptr<Client> make_client(std::uint32_t writer_count) = 0;
  // False: one client at a time, in one thread.
  [[nodiscard]] virtual bool takes_threads() const { return true; }

  // Returns when no background work is due or running.
  virtual void settle() {}
  // Rewrites everything into the form that reads best; returns false where there is no such call.
  virtual bool compact() { return false; }

  [[nodiscard]] virtual std::uint64_t segment_count() { return 0; }  // 0: it has none.
  // False for the engine that stores nothing, whose answers are not checked.
  [[nodiscard]] virtual bool is_real() const { return true; }
};

struct EngineKind {
  std::string name;
  std::string version;
  std::string configuration;  // One line, for the report.
  std::string caution = {};   // What forbids conclusions from its figures; empty: nothing.
  std::function<std::unique_ptr<Engine>(const EngineSettings&)> make;
  bool by_default = true;  // Runs when no engines are named.
};

// One maker per adapter; those of absent libraries are not compiled.
[[nodiscard]] EngineKind null_engine();
[[nodiscard]] EngineKind varve_engine();  // In the access mode that the settings name.
// varve-bare, varve-sync, varve-concurrent: one access mode each, to compare within one run.
[[nodiscard]] std::vector<EngineKind> varve_mode_engines();
[[nodiscard]] EngineKind lmdb_engine();
[[nodiscard]] EngineKind leveldb_engine();
[[nodiscard]] std::vector<EngineKind> rocksdb_engines();  // rocksdb, rocksdb-mmap.
[[nodiscard]] EngineKind wiredtiger_engine();

// Those that this build has, the null engine first, Varve second.
[[nodiscard]] std::vector<EngineKind> available_engines();

}  // namespace varve::bench
