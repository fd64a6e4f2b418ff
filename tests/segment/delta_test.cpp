// SPDX-License-Identifier: Apache-2.0
#include "segment/delta.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "directory/checksum.hpp"
#include "segment/delta_node.hpp"
#include "tests/support/catch.hpp"
#include "varve/concurrent/epoch.hpp"

namespace varve::segment {
namespace {

struct Version {
  std::string key;
  std::string value;
  Sequence sequence;
  Kind kind;
  friend bool operator==(const Version&, const Version&) = default;
};
using Versions = std::vector<Version>;

Version version_of(const EntryView& entry) {
  return {std::string(entry.key), std::string(entry.value), entry.sequence, entry.kind};
}

// A delta beside a std::map that does the same: per key its versions, newest first.
class Checked {
 public:
  explicit Checked(Delta::ReaderMode mode) : delta(pool, mode) {}

  void insert(const std::string& key, const std::string& value, Sequence sequence,
              Kind kind = Kind::Value, bool keep_older = false) {
    insert(delta.find_place(key, directory::hash64(key)), key, value, sequence, kind, keep_older);
  }
  void insert(const Delta::Place& place, const std::string& key, const std::string& value,
              Sequence sequence, Kind kind, bool keep_older) {
    delta.insert(place, key, directory::hash64(key), kind, value, sequence, keep_older);
    Versions& versions = model[key];
    if (!versions.empty() && (!keep_older || versions.front().sequence == sequence)) {
      versions.erase(versions.begin());
    }
    versions.insert(versions.begin(), {key, value, sequence, kind});
    ++entry_count;
    data_size += key.size() + value.size();
  }
  [[nodiscard]] Versions expected() const {
    Versions all;
    for (const auto& [key, versions] : model)
      all.insert(all.end(), versions.begin(), versions.end());
    return all;
  }
  [[nodiscard]] Versions forward() const {
    Versions all;
    const auto cursor = delta.cursor();
    for (cursor->seek_to_first(); cursor->valid(); cursor->next()) {
      REQUIRE(all.size() < entry_count);  // A cursor that goes round must not hang the test.
      all.push_back(version_of(cursor->entry()));
    }
    return all;
  }
  [[nodiscard]] Versions backward() const {
    Versions all;
    const auto cursor = delta.cursor();
    for (cursor->seek_to_last(); cursor->valid(); cursor->prev()) {
      REQUIRE(all.size() < entry_count);
      all.push_back(version_of(cursor->entry()));
    }
    std::reverse(all.begin(), all.end());
    return all;
  }
  [[nodiscard]] FoundEntry find(const std::string& key, Sequence at = kSequenceMax) const {
    return delta.find(key, directory::hash64(key), at);
  }
  // Finds every version at its own sequence and just before, and keys that are not there.
  [[nodiscard]] bool finds_are_right() const {
    const auto is = [](const FoundEntry& found, const Version& version) {
      return found.found && found.sequence == version.sequence && found.kind == version.kind &&
             found.value == version.value;
    };
    for (const auto& [key, versions] : model) {
      if (!is(find(key), versions.front())) return false;
      for (std::size_t i = 0; i < versions.size(); ++i) {
        if (!is(find(key, versions[i].sequence), versions[i])) return false;
        const FoundEntry before = find(key, versions[i].sequence - 1);
        if (i + 1 < versions.size() ? !is(before, versions[i + 1]) : before.found) return false;
      }
      for (const std::string& other : {key + '\0', key + "x", key.substr(0, key.size() / 2)}) {
        if (find(other).found != model.contains(other)) return false;
      }
    }
    return true;
  }
  void check_all() const {
    const Versions all = expected();
    CHECK(delta.entry_count() == entry_count);
    CHECK(delta.data_size() == data_size);
    CHECK((forward() == all));
    CHECK((backward() == all));
    CHECK(finds_are_right());
  }

  ChunkPool pool;
  Delta delta;
  std::map<std::string, Versions> model;
  std::uint64_t entry_count = 0;
  std::uint64_t data_size = 0;
};

// Keys in different orders and of different likeness.
enum class Shape {
  Ascending,
  Descending,
  Random,
  LongPrefix,     // Longer than what a node holds of it.
  TwoPrefixes,    // Heads tie within each half.
  FewBytes,       // Of 0x00, 0x01 and 0xff; many are prefixes of others.
  Streams,        // Several ascending streams at once.
  ShortThenLong,  // The separators' common prefix shrinks late.
};
constexpr Shape kShapes[] = {Shape::Ascending,  Shape::Descending,   Shape::Random,
                             Shape::LongPrefix, Shape::TwoPrefixes,  Shape::FewBytes,
                             Shape::Streams,    Shape::ShortThenLong};

std::string digits(std::uint64_t number) {
  std::string text = std::to_string(number);
  return std::string(8 - std::min<std::size_t>(8, text.size()), '0') + text;
}

std::string make_key(Shape shape, std::uint64_t i, std::mt19937_64& random) {
  switch (shape) {
    case Shape::Ascending:
      return "k" + digits(i);
    case Shape::Descending:
      return "k" + digits(90'000'000 - i);
    case Shape::Random: {
      std::string key(1 + random() % 20, '\0');
      for (char& byte : key) byte = static_cast<char>(random());
      return key;
    }
    case Shape::LongPrefix:
      return std::string(70, 'p') + digits(random() % 100'000);
    case Shape::TwoPrefixes:
      return std::string(20, random() % 2 == 0 ? 'a' : 'b') + digits(random() % 100'000);
    case Shape::FewBytes: {
      std::string key(1 + random() % 14, '\0');
      for (char& byte : key) byte = "\x00\x01\xff"[random() % 3];
      return key;
    }
    case Shape::Streams:
      return "tenant" + std::to_string(i % 7) + "/" + digits(i);
    case Shape::ShortThenLong:
      return i < 2000 ? "common/prefix/" + digits(random() % 100'000) : digits(random());
  }
  return {};
}

TEST_CASE("a place that was found before other insertions serves still", "[segment][delta]") {
  const auto mode = GENERATE(Delta::ReaderMode::Alone, Delta::ReaderMode::Concurrent);
  const std::size_t depth = GENERATE(1, 8, 300);  // More than a leaf holds.
  const bool keep_older = GENERATE(false, true);
  CAPTURE(depth, keep_older);
  struct Waiting {
    Delta::Place place;
    std::string key;
  };
  Checked checked(mode);
  std::mt19937_64 random(depth);
  std::vector<Waiting> waiting;
  Sequence sequence = 0;
  for (int i = 0; i < 6000; i += static_cast<int>(depth)) {
    for (std::size_t k = 0; k < depth; ++k) {
      const std::string key = "key" + std::to_string(random() % 4000);
      waiting.push_back({checked.delta.find_place(key, directory::hash64(key)), key});
    }
    for (const auto& [place, key] : waiting) {
      ++sequence;
      checked.insert(place, key, std::to_string(sequence), sequence, Kind::Value, keep_older);
    }
    waiting.clear();
  }
  checked.check_all();
}

TEST_CASE("a delta answers as a map does, whatever the order and the likeness of the keys",
          "[segment][delta][model]") {
  const auto mode = GENERATE(Delta::ReaderMode::Alone, Delta::ReaderMode::Concurrent);
  for (const Shape shape : kShapes) {
    const std::uint64_t seed = 1000 + static_cast<std::uint64_t>(shape);
    CAPTURE(static_cast<int>(mode), static_cast<int>(shape), seed);
    std::mt19937_64 random(seed);
    Checked checked(mode);
    constexpr std::uint64_t kCount = 6000;
    for (std::uint64_t i = 0; i < kCount; ++i) {
      const std::string key = make_key(shape, i, random);
      const Kind kind = random() % 8 == 0 ? Kind::Tombstone : Kind::Value;
      const std::string value = kind == Kind::Tombstone ? "" : std::string(random() % 30, 'v');
      checked.insert(key, value, 10 + i / 2, kind, random() % 2 == 0);
      if (i == 0 || i == 70 || i == 2100) checked.check_all();
    }
    checked.check_all();
    CHECK(checked.delta.first_sequence() == 10);
    CHECK(checked.delta.last_sequence() == 10 + (kCount - 1) / 2);
  }
}

TEST_CASE("a delta of many inner nodes keeps every key", "[segment][delta][model]") {
  for (const Shape shape :
       {Shape::Random, Shape::Ascending, Shape::Descending, Shape::FewBytes, Shape::Streams}) {
    const std::uint64_t seed = 2000 + static_cast<std::uint64_t>(shape);
    CAPTURE(static_cast<int>(shape), seed);
    std::mt19937_64 random(seed);
    Checked checked(Delta::ReaderMode::Alone);
    for (std::uint64_t i = 0; i < 40'000; ++i) {
      checked.insert(make_key(shape, i, random), "v", 1 + i);
    }
    checked.check_all();
  }
}

TEST_CASE("an empty delta holds no memory and answers nothing", "[segment][delta]") {
  Checked checked(Delta::ReaderMode::Concurrent);
  CHECK(checked.delta.empty());
  CHECK(checked.delta.memory_size() == 0);
  CHECK(checked.pool.size_in_use() == 0);
  CHECK(checked.delta.first_sequence() == 0);
  CHECK(checked.delta.last_sequence() == 0);
  CHECK(sizeof(Delta) <= 512);
  CHECK_FALSE(checked.find("a").found);
  const auto cursor = checked.delta.cursor();
  CHECK(cursor->values_are_stable());
  cursor->seek_to_first();
  CHECK_FALSE(cursor->valid());
  cursor->seek_to_last();
  CHECK_FALSE(cursor->valid());
  cursor->seek("a");
  CHECK_FALSE(cursor->valid());
  cursor->seek_before("a");
  CHECK_FALSE(cursor->valid());
  checked.insert("a", "1", 5);
  CHECK_FALSE(checked.delta.empty());
  CHECK(checked.delta.memory_size() == ChunkPool::kSmallChunkSize);
  cursor->seek("a");
  CHECK(cursor->valid());
}

TEST_CASE("a snapshot sees the version of its time, as long as it was asked to be kept",
          "[segment][delta][versions]") {
  Checked checked(Delta::ReaderMode::Alone);
  checked.insert("k", "one", 10);
  checked.insert("k", "two", 20, Kind::Value, true);
  checked.insert("k", "", 30, Kind::Tombstone, true);
  CHECK_FALSE(checked.find("k", 9).found);
  CHECK(checked.find("k", 10).value == "one");
  CHECK(checked.find("k", 19).value == "one");
  CHECK(checked.find("k", 29).value == "two");
  CHECK(checked.find("k").kind == Kind::Tombstone);

  checked.insert("k", "four", 40, Kind::Value, false);  // Drops the tombstone, not what is older.
  CHECK(checked.find("k", 39).value == "two");
  checked.insert("k", "again", 40, Kind::Value, true);  // The same sequence is replaced.
  CHECK(checked.find("k", 40).value == "again");
  CHECK(checked.find("k", 39).value == "two");
  checked.check_all();
}

TEST_CASE("sequences far from the first one are kept whole", "[segment][delta][versions]") {
  Checked checked(Delta::ReaderMode::Alone);
  const Sequence first = 1000;
  const Sequence far = first + (Sequence{1} << 32);
  checked.insert("a", "near", first);
  checked.insert("a", "last near", far - 1, Kind::Value, true);
  checked.insert("a", "far", far, Kind::Value, true);
  checked.insert("a", std::string(5000, 'x'), far + 1, Kind::Value, true);
  checked.insert("b", "", kSequenceMax - 1, Kind::Tombstone, true);
  checked.check_all();
}

TEST_CASE("keys and values of every size come back", "[segment][delta][sizes]") {
  Checked checked(Delta::ReaderMode::Alone);
  Sequence sequence = 0;
  for (const std::size_t size : {1, 7, 8, 9, 63, 64, 65, 1000, 65'535, 65'536}) {
    for (const char end : {'a', 'b', '\0', '\xff'}) {
      std::string key(size, 'k');
      key.back() = end;
      for (const std::size_t value_size : {0, 1, 2046, 2047, 2048, 16'000, 17'000, 70'000}) {
        checked.insert(key, std::string(value_size, end), ++sequence, Kind::Value, true);
      }
    }
  }
  checked.insert("large", std::string(10 << 20, 'L'), ++sequence);
  checked.insert("large", std::string(10 << 20, 'M'), ++sequence, Kind::Value, true);
  checked.check_all();
  CHECK(checked.delta.memory_size() == checked.pool.size_in_use());
}

TEST_CASE("long keys that differ only at their end are told apart", "[segment][delta][sizes]") {
  Checked checked(Delta::ReaderMode::Alone);
  std::mt19937_64 random(5);
  for (Sequence i = 1; i <= 400; ++i) {
    checked.insert(std::string(60'000, 'k') + digits(random() % 10'000), "v", i);
  }
  checked.check_all();
}

TEST_CASE("ascending and descending keys fill their leaves", "[segment][delta][memory]") {
  for (const Shape shape : {Shape::Ascending, Shape::Descending, Shape::Streams}) {
    CAPTURE(static_cast<int>(shape));
    std::mt19937_64 random(1);
    ChunkPool pool;
    Delta delta(pool, Delta::ReaderMode::Alone);
    constexpr std::uint64_t kCount = 100'000;
    for (std::uint64_t i = 0; i < kCount; ++i) {
      const std::string key = make_key(shape, i, random);
      delta.insert(key, directory::hash64(key), Kind::Value, "0123456789abcdef", i + 1, false);
    }
    CHECK(delta.memory_size() - delta.data_size() < 30 * kCount);
  }
}

// Memory beyond keys and values after 100,000 random inserts.
std::size_t overhead_of_random_inserts(Delta& delta) {
  std::mt19937_64 random(3);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const std::uint64_t number = random();
    const std::string_view key(reinterpret_cast<const char*>(&number), sizeof number);
    delta.insert(key, directory::hash64(key), Kind::Value, "0123456789abcdef", i + 1, false);
  }
  return delta.memory_size() - delta.data_size();
}

TEST_CASE("replaced nodes are used again", "[segment][delta][memory]") {
  ChunkPool pool;
  SECTION("at once without concurrent readers") {
    Delta delta(pool, Delta::ReaderMode::Alone);
    CHECK(overhead_of_random_inserts(delta) < 34 * 100'000);
  }
  SECTION("beside readers that come and go, the writer's own pin among them") {
    Delta delta(pool, Delta::ReaderMode::Concurrent);
    const auto pinned = concurrent::EpochDomain::pin();
    CHECK(overhead_of_random_inserts(delta) < 50 * 100'000);
  }
  SECTION("but not while a reader may be in them") {
    Delta delta(pool, Delta::ReaderMode::Concurrent);
    std::atomic<bool> is_pinned = false, done = false;
    std::thread reader([&] {
      const auto pinned = concurrent::EpochDomain::pin();
      is_pinned = true;
      is_pinned.notify_one();
      done.wait(false);
    });
    is_pinned.wait(false);
    const std::size_t overhead = overhead_of_random_inserts(delta);
    done = true;
    done.notify_one();
    reader.join();
    CHECK(overhead > 60 * 100'000);
  }
}

TEST_CASE("a cursor seeks to every position and walks on in both directions",
          "[segment][delta][cursor]") {
  const Shape shape = GENERATE(Shape::FewBytes, Shape::TwoPrefixes, Shape::Streams);
  const std::uint64_t seed = 77;
  CAPTURE(static_cast<int>(shape), seed);
  std::mt19937_64 random(seed);
  Checked checked(Delta::ReaderMode::Alone);
  for (std::uint64_t i = 0; i < 1500; ++i) {
    checked.insert(make_key(shape, i, random), "v", 1 + i, Kind::Value, true);
    if (i % 3 == 0) checked.insert(make_key(shape, i / 2, random), "w", 1 + i, Kind::Value, true);
  }
  const Versions all = checked.expected();
  const auto cursor = checked.delta.cursor();
  std::set<std::string> targets = {"",
                                   "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
  for (const Version& version : all) {
    targets.insert(
        {version.key, version.key + '\0', version.key.substr(0, version.key.size() - 1)});
  }
  for (const std::string& target : targets) {
    const auto at = static_cast<std::size_t>(
        std::lower_bound(all.begin(), all.end(), target,
                         [](const Version& v, const std::string& key) { return v.key < key; }) -
        all.begin());
    cursor->seek(target);
    REQUIRE(cursor->valid() == (at < all.size()));
    for (std::size_t i = at; i < std::min(at + 3, all.size()); ++i, cursor->next()) {
      REQUIRE((version_of(cursor->entry()) == all[i]));
    }
    cursor->seek_before(target);
    REQUIRE(cursor->valid() == (at > 0));
    for (std::size_t i = at; i > at - std::min<std::size_t>(at, 3); --i, cursor->prev()) {
      REQUIRE((version_of(cursor->entry()) == all[i - 1]));
    }
  }
  // A walk that turns often, within chains of versions and over the borders of leaves.
  cursor->seek_to_first();
  std::size_t at = 0;
  for (int step = 0; step < 40'000; ++step) {
    const bool forward = random() % 100 < (step / 4000 % 2 == 0 ? 70 : 30);
    if (forward && at + 1 < all.size()) {
      cursor->next();
      ++at;
    } else if (!forward && at > 0) {
      cursor->prev();
      --at;
    }
    REQUIRE(cursor->valid());
    REQUIRE((version_of(cursor->entry()) == all[at]));
  }
}

TEST_CASE("a cursor shows all of its snapshot while the writer splits the leaves under it",
          "[segment][delta][cursor]") {
  const auto mode = GENERATE(Delta::ReaderMode::Alone, Delta::ReaderMode::Concurrent);
  const bool forward = GENERATE(true, false);
  const std::uint64_t seed = 99;
  CAPTURE(static_cast<int>(mode), forward, seed);
  std::mt19937_64 random(seed);
  Checked checked(mode);
  Sequence sequence = 0;
  for (int i = 0; i < 3000; ++i) {
    checked.insert(make_key(Shape::TwoPrefixes, 0, random), "old", ++sequence);
  }
  const Versions snapshot = checked.expected();
  const Sequence snapshot_sequence = sequence;

  Versions seen;
  const auto cursor = checked.delta.cursor();
  std::string last_key;
  forward ? cursor->seek_to_first() : cursor->seek_to_last();
  while (cursor->valid()) {
    const Version version = version_of(cursor->entry());
    if (!last_key.empty()) {
      REQUIRE((forward ? last_key <= version.key : last_key >= version.key));
    }
    last_key = version.key;
    if (version.sequence <= snapshot_sequence) seen.push_back(version);
    for (int i = 0; i < 4; ++i) {
      checked.insert(make_key(Shape::TwoPrefixes, 0, random), "new", ++sequence, Kind::Value, true);
    }
    REQUIRE((version_of(cursor->entry()) == version));  // Stable, whatever was written.
    forward ? cursor->next() : cursor->prev();
  }
  if (!forward) std::reverse(seen.begin(), seen.end());
  CHECK((seen == snapshot));
  checked.check_all();
}

TEST_CASE("an insert that runs out of memory leaves the delta as it was",
          "[segment][delta][memory]") {
  const auto mode = GENERATE(Delta::ReaderMode::Alone, Delta::ReaderMode::Concurrent);
  const std::uint64_t seed = 123;
  CAPTURE(static_cast<int>(mode), seed);
  std::mt19937_64 random(seed);
  Checked checked(mode);
  checked.pool.set_size_limit(0);
  int failure_count = 0;
  for (std::uint64_t i = 0; i < 6000; ++i) {
    const std::string key = make_key(Shape::Random, i, random);
    const std::string value(random() % 50 == 0 ? 40'000 : random() % 400, 'v');
    for (;;) {
      const std::size_t size_before = checked.delta.memory_size();
      const FoundEntry before = checked.find(key);
      try {
        checked.insert(key, value, i + 1, Kind::Value, i % 2 == 0);
        break;
      } catch (const std::bad_alloc&) {
        ++failure_count;
      }
      REQUIRE(checked.delta.memory_size() == size_before);
      REQUIRE(checked.delta.entry_count() == checked.entry_count);
      REQUIRE(checked.delta.last_sequence() == i);
      REQUIRE(checked.find(key).sequence == before.sequence);
      if (failure_count % 16 == 0) checked.check_all();
      checked.pool.set_size_limit(checked.pool.size_in_use() + 2 * ChunkPool::kChunkSize);
    }
    checked.pool.set_size_limit(checked.pool.size_in_use());
  }
  CHECK(failure_count > 50);
  checked.check_all();
}

TEST_CASE("matching bytes by words agrees with comparing one by one", "[segment][delta]") {
  std::mt19937_64 random(9);
  for (int round = 0; round < 2000; ++round) {
    std::array<std::uint64_t, 8> words{};
    const std::size_t count = random() % 65;
    std::uint64_t expected = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t byte = "\x00\x01\x7f\x80\x81\xff"[random() % 6] & 0xff;
      words[i / 8] |= byte << (8 * (i % 8));
    }
    const auto wanted = static_cast<std::uint8_t>("\x00\x01\x7f\x80\x81\xff"[random() % 6]);
    for (std::size_t i = 0; i < 64; ++i) {
      if ((words[i / 8] >> (8 * (i % 8)) & 0xff) == wanted) expected |= std::uint64_t{1} << i;
    }
    REQUIRE(delta_detail::match_bytes_scalar(words, wanted) == expected);
    REQUIRE(delta_detail::match_bytes(words, wanted) == expected);
  }
}

}  // namespace
}  // namespace varve::segment
