// SPDX-License-Identifier: Apache-2.0
// Configuration:
// - The log is written to its file before a put returns: it survives the death of the process and
//   not a power loss, as the other engines' unsynced writes do. (By default the records stay in
//   buffers of the process.) One writer has each commit written, by method=none. Several would wait
//   for each other's turns that way, ten times as long on two cores: they commit into the buffer
//   and then call WT_SESSION::log_flush("sync=off"), where one write serves all that wait.
// - put_synced() commits into the buffer and calls log_flush("sync=on"), where one sync serves all
//   that wait. Within the variation of the device method=dsync was neither faster nor slower.
// - A B-tree with raw keys and values, no compression (the values are random); a cache that holds
//   all data, with room for what WiredTiger keeps beside each entry.
//   With a memory limit the cache, which is its write buffer as well, has three quarters of it: as
//   much as the log-structured engines have for both.
// - A checkpoint whenever 128 MiB of log have been written, so that as much as in the other engines
//   may stay in memory, and the log does not grow for ever. settle() waits for one that is running.
// - Two eviction threads for two cores; the fast statistics alone, which settle() needs.
// - A session and a cursor per thread, kept; a write ends what the cursor's last read kept alive.
#include <wiredtiger.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

#include "bench/engine.hpp"

namespace varve::bench {
namespace {

void require(int result, const char* what) {
  if (result != 0) {
    throw std::runtime_error(std::string("wiredtiger: ") + what + ": " +
                             wiredtiger_strerror(result));
  }
}
WT_ITEM to_item(std::string_view bytes) {
  WT_ITEM item{};
  item.data = bytes.data();
  item.size = bytes.size();
  return item;
}
std::string_view to_view(const WT_ITEM& item) {
  return {static_cast<const char*>(item.data), item.size};
}

// A session and its cursor: what one thread uses.
class WiredTigerClient final : public Client {
 public:
  WiredTigerClient(WT_CONNECTION* connection, bool alone) : alone_(alone) {
    require(connection->open_session(connection, nullptr, nullptr, &session_), "open_session");
    require(session_->create(session_, kTable, "key_format=u,value_format=u"), "create");
    require(session_->open_cursor(session_, kTable, nullptr, nullptr, &cursor_), "open_cursor");
  }
  ~WiredTigerClient() override { session_->close(session_, nullptr); }
  WiredTigerClient(const WiredTigerClient&) = delete;
  WiredTigerClient& operator=(const WiredTigerClient&) = delete;

  void put(std::string_view key, std::string_view value) override {
    if (alone_) {
      insert(key, value);
    } else {
      insert_into_buffer(key, value);
      require(session_->log_flush(session_, "sync=off"), "log_flush");
    }
  }
  void put_synced(std::string_view key, std::string_view value) override {
    insert_into_buffer(key, value);
    require(session_->log_flush(session_, "sync=on"), "log_flush");
  }
  void insert(std::string_view key, std::string_view value) {
    const WT_ITEM key_item = to_item(key), value_item = to_item(value);
    cursor_->set_key(cursor_, &key_item);
    cursor_->set_value(cursor_, &value_item);
    require(cursor_->insert(cursor_), "insert");
  }
  bool get(std::string_view key, std::string_view& value) override {
    reset();
    const WT_ITEM key_item = to_item(key);
    cursor_->set_key(cursor_, &key_item);
    const int result = cursor_->search(cursor_);
    if (result == WT_NOTFOUND) return false;
    require(result, "search");
    WT_ITEM value_item;
    require(cursor_->get_value(cursor_, &value_item), "get_value");
    value = to_view(value_item);
    return true;
  }
  void erase(std::string_view key) {
    const WT_ITEM key_item = to_item(key);
    cursor_->set_key(cursor_, &key_item);
    const int result = cursor_->remove(cursor_);
    if (result != WT_NOTFOUND) require(result, "remove");
    reset();
  }
  void scan(std::string_view from, std::uint64_t limit, EntryCheck& check) {
    reset();
    int result = from.empty() ? cursor_->next(cursor_) : seek(from);
    for (; result == 0 && limit > 0; --limit) {
      show(check);
      if (limit > 1) result = cursor_->next(cursor_);
    }
    if (result != WT_NOTFOUND) require(result, "next");
  }
  void scan_reverse(EntryCheck& check) {
    reset();
    int result = 0;
    while ((result = cursor_->prev(cursor_)) == 0) show(check);
    if (result != WT_NOTFOUND) require(result, "prev");
  }
  void begin() {
    reset();
    require(session_->begin_transaction(session_, nullptr), "begin_transaction");
  }
  void commit() { require(session_->commit_transaction(session_, nullptr), "commit_transaction"); }
  void reset() { require(cursor_->reset(cursor_), "reset"); }
  [[nodiscard]] WT_SESSION& session() { return *session_; }

 private:
  static constexpr const char* kTable = "table:store";

  void insert_into_buffer(std::string_view key, std::string_view value) {
    begin();
    insert(key, value);
    require(session_->commit_transaction(session_, "sync=off"), "commit_transaction");
  }
  void show(EntryCheck& check) {
    WT_ITEM key_item, value_item;
    require(cursor_->get_key(cursor_, &key_item), "get_key");
    require(cursor_->get_value(cursor_, &value_item), "get_value");
    check(to_view(key_item), to_view(value_item));
  }
  // The first entry >= `from`.
  int seek(std::string_view from) {
    const WT_ITEM key_item = to_item(from);
    cursor_->set_key(cursor_, &key_item);
    int order = 0;
    const int result = cursor_->search_near(cursor_, &order);
    return result == 0 && order < 0 ? cursor_->next(cursor_) : result;
  }

  const bool alone_;  // No other thread writes.
  WT_SESSION* session_ = nullptr;
  WT_CURSOR* cursor_ = nullptr;
};

class WiredTigerEngine final : public Engine {
 public:
  explicit WiredTigerEngine(const EngineSettings& settings)
      : directory_(settings.directory),
        configuration_(
            "create,session_max=200,statistics=(fast),eviction=(threads_max=2),"
            "log=(enabled=true),transaction_sync=(enabled=true,method=none),"
            "checkpoint=(log_size=128MB),cache_size=" +
            std::to_string(cache_size(settings) >> 20) + "MB") {}
  ~WiredTigerEngine() override {
    own_.reset();
    if (connection_ != nullptr) connection_->close(connection_, nullptr);
  }
  WiredTigerEngine(const WiredTigerEngine&) = delete;
  WiredTigerEngine& operator=(const WiredTigerEngine&) = delete;

  void open() override {
    std::filesystem::create_directories(directory_);
    require(wiredtiger_open(directory_.c_str(), nullptr, configuration_.c_str(), &connection_),
            "open");
    own_ = std::make_unique<WiredTigerClient>(connection_, true);
  }
  void close() override {
    own_.reset();
    WT_CONNECTION* connection = std::exchange(connection_, nullptr);
    if (connection != nullptr) require(connection->close(connection, nullptr), "close");
  }
  void put(std::string_view key, std::string_view value) override { own_->put(key, value); }
  void erase(std::string_view key) override { own_->erase(key); }
  void put_synced(std::string_view key, std::string_view value) override {
    own_->put_synced(key, value);
  }
  void begin_batch() override { own_->begin(); }
  void batch_put(std::string_view key, std::string_view value) override {
    own_->insert(key, value);
  }
  void commit_batch() override { own_->commit(); }
  bool get(std::string_view key, std::string_view& value) override { return own_->get(key, value); }
  void scan(std::string_view from, std::uint64_t limit, EntryCheck& check) override {
    own_->scan(from, limit, check);
  }
  void scan_reverse(EntryCheck& check) override { own_->scan_reverse(check); }
  std::unique_ptr<Client> make_client(std::uint32_t writer_count) override {
    own_->reset();
    return std::make_unique<WiredTigerClient>(connection_, writer_count == 1);
  }
  void settle() override {
    own_->reset();
    // A checkpoint that is due begins a moment later, hence several looks.
    for (int idle_count = 0; idle_count < 5;) {
      idle_count = checkpoint_runs() ? 0 : idle_count + 1;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  bool compact() override {
    own_->reset();
    require(own_->session().checkpoint(&own_->session(), nullptr), "checkpoint");
    require(own_->session().compact(&own_->session(), "table:store", nullptr), "compact");
    return true;
  }

 private:
  static std::uint64_t cache_size(const EngineSettings& settings) {
    if (settings.memory_limit == 0) return settings.data_size * 4 + (256ULL << 20);
    return std::max<std::uint64_t>(settings.memory_limit / 4 * 3, 1 << 20);
  }
  bool checkpoint_runs() {
    WT_SESSION& session = own_->session();
    WT_CURSOR* statistics = nullptr;
    require(session.open_cursor(&session, "statistics:", nullptr, "statistics=(fast)", &statistics),
            "statistics");
    statistics->set_key(statistics, WT_STAT_CONN_TXN_CHECKPOINT_RUNNING);
    const char *description = nullptr, *text = nullptr;
    std::int64_t number = 0;
    int result = statistics->search(statistics);
    if (result == 0) result = statistics->get_value(statistics, &description, &text, &number);
    statistics->close(statistics);
    require(result, "statistics");
    return number != 0;
  }

  std::filesystem::path directory_;
  std::string configuration_;
  WT_CONNECTION* connection_ = nullptr;
  std::unique_ptr<WiredTigerClient> own_;
};

}  // namespace

EngineKind wiredtiger_engine() {
  return {.name = "wiredtiger",
          .version = std::to_string(WIREDTIGER_VERSION_MAJOR) + "." +
                     std::to_string(WIREDTIGER_VERSION_MINOR) + "." +
                     std::to_string(WIREDTIGER_VERSION_PATCH),
          .configuration =
              "B-tree, log written at each commit, checkpoint per 128 MB of log, no compression, "
              "cache of four times the data",
          .make = [](const EngineSettings& settings) {
            return std::make_unique<WiredTigerEngine>(settings);
          }};
}

}  // namespace varve::bench
