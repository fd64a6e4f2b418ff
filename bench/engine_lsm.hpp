// SPDX-License-Identifier: Apache-2.0
// What the adapters of LevelDB and of RocksDB, which began as LevelDB, have in common. `Library`
// names the types and the few calls that differ:
//
//   DB, Options, ReadOptions, WriteOptions, Slice, Status, Iterator, WriteBatch
//   Value                                  what a get fills
//   kName                                  for messages
//   read_options()                         of scans
//   get(DB&, const Slice&, Value&)         -> Status
//   to_view(const Value&), reset(Value&)   reset: ends what a value keeps alive
//   put(WriteBatch&, const Slice&, const Slice&)  -> Status
//   close(DB&)                             -> Status; what can fail before the destruction
#pragma once

#include <stdexcept>
#include <utility>

#include "bench/engine.hpp"

namespace varve::bench {

template <typename Library>
void require(const typename Library::Status& status) {
  if (!status.ok())
    throw std::runtime_error(std::string(Library::kName) + ": " + status.ToString());
}

template <typename Library>
class LsmClient final : public Client {
 public:
  using Slice = typename Library::Slice;

  explicit LsmClient(typename Library::DB& db) : db_(db) { synced_.sync = true; }

  void put(std::string_view key, std::string_view value) override {
    require<Library>(db_.Put({}, Slice(key.data(), key.size()), Slice(value.data(), value.size())));
  }
  void put_synced(std::string_view key, std::string_view value) override {
    require<Library>(
        db_.Put(synced_, Slice(key.data(), key.size()), Slice(value.data(), value.size())));
  }
  void erase(std::string_view key) {
    require<Library>(db_.Delete({}, Slice(key.data(), key.size())));
  }
  bool get(std::string_view key, std::string_view& value) override {
    Library::reset(value_);
    const typename Library::Status status =
        Library::get(db_, Slice(key.data(), key.size()), value_);
    if (status.IsNotFound()) return false;
    require<Library>(status);
    value = Library::to_view(value_);
    return true;
  }
  void reset() { Library::reset(value_); }

 private:
  typename Library::DB& db_;
  typename Library::WriteOptions synced_;
  typename Library::Value value_;
};

// One iterator is kept for reads, and made anew after writes.
template <typename Library>
class LsmEngine : public Engine {
 public:
  using Slice = typename Library::Slice;

  void open() override {
    using DB = typename Library::DB;
    if constexpr (requires { DB::Open(options_, std::string(), &db_); }) {
      require<Library>(DB::Open(options_, directory_.string(), &db_));
    } else {  // LevelDB, and older releases of RocksDB.
      DB* db = nullptr;
      require<Library>(DB::Open(options_, directory_.string(), &db));
      db_.reset(db);
    }
    own_ = std::make_unique<LsmClient<Library>>(*db_);
  }
  void close() override {
    iterator_.reset();
    own_.reset();
    if (db_ != nullptr) require<Library>(Library::close(*db_));
    db_.reset();
  }
  void put(std::string_view key, std::string_view value) override {
    iterator_.reset();
    own_->put(key, value);
  }
  void erase(std::string_view key) override {
    iterator_.reset();
    own_->erase(key);
  }
  void put_synced(std::string_view key, std::string_view value) override {
    iterator_.reset();
    own_->put_synced(key, value);
  }
  void begin_batch() override {
    iterator_.reset();
    batch_.Clear();
  }
  void batch_put(std::string_view key, std::string_view value) override {
    require<Library>(
        Library::put(batch_, Slice(key.data(), key.size()), Slice(value.data(), value.size())));
  }
  void commit_batch() override { require<Library>(db_->Write({}, &batch_)); }

  bool get(std::string_view key, std::string_view& value) override { return own_->get(key, value); }
  void scan(std::string_view from, std::uint64_t limit, EntryCheck& check) override {
    auto& iterator = this->iterator();
    if (from.empty()) {
      iterator.SeekToFirst();
    } else {
      iterator.Seek(Slice(from.data(), from.size()));
    }
    for (; iterator.Valid() && limit > 0; --limit) {
      show(iterator, check);
      if (limit > 1) iterator.Next();
    }
    require<Library>(iterator.status());
  }
  void scan_reverse(EntryCheck& check) override {
    auto& iterator = this->iterator();
    for (iterator.SeekToLast(); iterator.Valid(); iterator.Prev()) show(iterator, check);
    require<Library>(iterator.status());
  }
  std::unique_ptr<Client> make_client(std::uint32_t) override {
    end_reads();
    return std::make_unique<LsmClient<Library>>(*db_);
  }

 protected:
  explicit LsmEngine(const EngineSettings& settings) : directory_(settings.directory) {}

  // What a read keeps would keep replaced files alive.
  void end_reads() {
    iterator_.reset();
    own_->reset();
  }
  [[nodiscard]] typename Library::DB& db() { return *db_; }
  typename Library::Options options_;

 private:
  typename Library::Iterator& iterator() {
    if (iterator_ == nullptr) iterator_.reset(db_->NewIterator(Library::read_options()));
    return *iterator_;
  }
  static void show(const typename Library::Iterator& iterator, EntryCheck& check) {
    const Slice key = iterator.key(), value = iterator.value();
    check({key.data(), key.size()}, {value.data(), value.size()});
  }

  const std::filesystem::path directory_;
  std::unique_ptr<typename Library::DB> db_;
  std::unique_ptr<LsmClient<Library>> own_;
  std::unique_ptr<typename Library::Iterator> iterator_;
  typename Library::WriteBatch batch_;
};

}  // namespace varve::bench
