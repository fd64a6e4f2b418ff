// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "directory/bytes.hpp"
#include "directory/checksum.hpp"
#include "segment/delta.hpp"
#include "tests/support/catch.hpp"
#include "varve/concurrent/epoch.hpp"

namespace varve::segment {
namespace {

constexpr std::uint64_t kKeyCount = 30'000;
constexpr std::uint64_t kUpdatesPerKey = 2;

// Key number `i`, in an order of insertion that mixes random and ascending keys.
std::string key_of(std::uint64_t i) {
  const std::uint64_t high = i % 2 == 0 ? (i * 0x9e3779b97f4a7c15ULL) | 1ULL << 63 : i;
  std::string key(8, '\0');
  for (std::size_t byte = 0; byte < 8; ++byte) {
    key[byte] = static_cast<char>(high >> (56 - 8 * byte));
  }
  return key;
}

// The value proves which write it came from.
std::string value_of(std::string_view key, Sequence sequence) {
  std::string value(key);
  directory::append_le(value, sequence);
  return value + value;
}

// The writer adds key after key, each followed by updates of earlier ones; every write has its own
// sequence. Readers know which keys must be there by `key_count`, stored after the insert.
class Stress {
 public:
  void run() {
    std::vector<std::thread> readers;
    for (std::uint64_t number = 0; number < 3; ++number) {
      readers.emplace_back([this, number] { read(number); });
    }
    write();
    for (std::thread& reader : readers) reader.join();
    CHECK(failure_.load() == nullptr);
    if (const char* const failure = failure_.load()) FAIL(failure);
    CHECK(delta_.entry_count() == kKeyCount * (1 + kUpdatesPerKey));
  }

 private:
  void write() {
    std::mt19937_64 random(1);
    Sequence sequence = 0;
    const auto put = [&](std::uint64_t number) {
      const std::string key = key_of(number);
      ++sequence;
      delta_.insert(key, directory::hash64(key), Kind::Value, value_of(key, sequence), sequence,
                    random() % 4 == 0);
    };
    for (std::uint64_t number = 0; number < kKeyCount; ++number) {
      put(number);
      key_count_.store(number + 1, std::memory_order_release);
      for (std::uint64_t i = 0; i < kUpdatesPerKey; ++i) put(random() % (number + 1));
    }
    done_.store(true, std::memory_order_release);
  }
  void read(std::uint64_t reader) {
    std::mt19937_64 random(reader);
    std::vector<Sequence> last_seen(kKeyCount, 0);
    // One more round after the writer's end, so that a fast writer is seen as well.
    for (bool last = false; !last && failure_.load() == nullptr;) {
      last = done_.load(std::memory_order_acquire);
      for (int i = 0; i < 1000; ++i) {
        const std::uint64_t count = key_count_.load(std::memory_order_acquire);
        if (count != 0) find_one(random() % count, last_seen);
      }
      (random() & 1) == 0 ? scan_forward() : scan_backward();
    }
  }
  void find_one(std::uint64_t number, std::vector<Sequence>& last_seen) {
    const std::string key = key_of(number);
    const auto pinned = concurrent::EpochDomain::pin();
    const FoundEntry found = delta_.find(key, directory::hash64(key), kSequenceMax);
    if (!found.found) return fail("a key that was inserted is not found");
    if (found.value != value_of(key, found.sequence)) fail("a found value is not what was written");
    if (found.sequence < last_seen[number]) fail("a key went back to an older version");
    last_seen[number] = found.sequence;
  }
  void scan_forward() {
    const std::uint64_t count = key_count_.load(std::memory_order_acquire);
    const auto cursor = delta_.cursor();
    std::string last_key;
    Sequence last_sequence = 0;
    std::uint64_t keys = 0;
    pinned_move([&] { cursor->seek_to_first(); });
    for (; cursor->valid(); pinned_move([&] { cursor->next(); })) {
      const EntryView& entry = cursor->entry();
      if (entry.value != value_of(entry.key, entry.sequence)) fail("a scanned value is wrong");
      if (keys == 0 || entry.key != last_key) {
        if (keys != 0 && entry.key < last_key) fail("a scan is not sorted");
        last_key = entry.key;
        ++keys;
      } else if (entry.sequence >= last_sequence) {
        fail("the versions of a key are not newest first");
      }
      last_sequence = entry.sequence;
    }
    if (keys < count) fail("a scan lacks a key that was inserted before it began");
  }
  void scan_backward() {
    const std::uint64_t count = key_count_.load(std::memory_order_acquire);
    const auto cursor = delta_.cursor();
    std::string last_key;
    std::uint64_t keys = 0;
    pinned_move([&] { cursor->seek_to_last(); });
    for (; cursor->valid(); pinned_move([&] { cursor->prev(); })) {
      const EntryView& entry = cursor->entry();
      if (entry.value != value_of(entry.key, entry.sequence)) fail("a scanned value is wrong");
      if (keys != 0 && entry.key == last_key) continue;
      if (keys != 0 && entry.key > last_key) fail("a backward scan is not sorted");
      last_key = entry.key;
      ++keys;
    }
    if (keys < count) fail("a backward scan lacks a key that was inserted before it began");
  }
  // Between two moves the cursor holds no node: it need not be pinned then.
  template <typename Move>
  static void pinned_move(const Move& move) {
    const auto pinned = concurrent::EpochDomain::pin();
    move();
  }
  void fail(const char* what) { failure_.store(what); }

  ChunkPool pool_;
  Delta delta_{pool_, Delta::ReaderMode::Concurrent};
  std::atomic<std::uint64_t> key_count_ = 0;
  std::atomic<bool> done_ = false;
  std::atomic<const char*> failure_ = nullptr;
};

TEST_CASE("readers beside the writer see every finished insert, whole and in order",
          "[segment][delta][stress]") {
  Stress().run();
}

}  // namespace
}  // namespace varve::segment
