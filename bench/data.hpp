// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace varve::bench {

// A bijection of 64 bits whose results look random.
[[nodiscard]] inline std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// About `wanted`, and such that its multiples visit every number below `count`.
[[nodiscard]] std::uint64_t coprime_step(std::uint64_t wanted, std::uint64_t count) noexcept;

[[nodiscard]] inline std::uint64_t hash_key(std::string_view key) noexcept {
  constexpr std::uint64_t kMultiplier = 0x9fb21c651e98df25ULL;
  std::uint64_t hash = key.size() * kMultiplier;
  const char* next = key.data();
  std::size_t left = key.size();
  for (; left >= 8; next += 8, left -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, next, 8);
    hash = (hash ^ word) * kMultiplier;
    hash ^= hash >> 32;
  }
  std::uint64_t word = 0;
  std::memcpy(&word, next, left);
  hash = (hash ^ word) * kMultiplier;
  return hash ^ (hash >> 32);
}

// A fast sequence that a seed determines.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(mix(seed)) {}
  std::uint64_t next() noexcept { return mix(state_++); }
  // In [0, bound); bound < 2^32.
  std::uint64_t below(std::uint64_t bound) noexcept { return ((next() >> 32) * bound) >> 32; }

 private:
  std::uint64_t state_;
};

enum class KeyShape : std::uint8_t {
  Hash16,  // 16 hex digits of a mixed number: order of number and of key unrelated.
  Dec16,   // 16 decimal digits: the order of the numbers.
  Url31,   // https://w0123.example/000000042: 1,024 hosts, long common prefixes.
  Hash32,  // 32 upper-case hex digits of two mixed numbers, the look of an MD5 digest.
};

// Makes the keys of `count` entries. Number n is in the store, absent(n) never is, and lies
// between the keys that are. ascending(n) is a second set of keys of the same shape, in key order.
class KeyMaker {
 public:
  static constexpr std::size_t kSizeMax = 32;
  static constexpr std::uint64_t kCountMax = 400'000'000;  // What nine digits of a URL hold.

  KeyMaker(KeyShape shape, std::uint64_t count) noexcept;

  [[nodiscard]] std::size_t size() const noexcept {
    return shape_ == KeyShape::Url31 ? 31 : shape_ == KeyShape::Hash32 ? 32 : 16;
  }
  // The result is valid until the next call.
  [[nodiscard]] std::string_view present(std::uint64_t number) noexcept {
    return make(2 * number, buffer_);
  }
  [[nodiscard]] std::string_view absent(std::uint64_t number) noexcept {
    return make(2 * number + 1, buffer_);
  }
  [[nodiscard]] std::string_view ascending(std::uint64_t number) noexcept;
  [[nodiscard]] std::string_view present_into(std::uint64_t number, char* buffer) const noexcept {
    return make(2 * number, buffer);
  }

 private:
  [[nodiscard]] std::string_view make(std::uint64_t id, char* to) const noexcept;
  // Ascending with `number`, over the whole range.
  [[nodiscard]] std::uint64_t scattered(std::uint64_t number) const noexcept;

  KeyShape shape_;
  std::uint64_t count_;
  unsigned jitter_bits_ = 0;  // Low bits of an ascending hashed key that are random.
  char buffer_[kSizeMax + 1] = {};
};

// Values that their key and a version determine, of random and hence incompressible bytes:
//
//   OFFSET  SIZE  DESCRIPTION
//   0       8     hash of the key with its lowest byte replaced by the version
//   8       -     bytes of a fixed random pool, from an offset that the first eight bytes give
//
// Made of a text, all values are that text: one key's value is then as good as another's.
class ValueMaker {
 public:
  static constexpr std::size_t kSizeMin = 8;
  explicit ValueMaker(std::size_t size);
  explicit ValueMaker(std::string text) : size_(text.size()), is_text_(true), value_(text) {}

  // The result is valid until the next call.
  [[nodiscard]] std::string_view make(std::string_view key, std::uint8_t version) noexcept;
  [[nodiscard]] bool matches(std::string_view key, std::uint8_t version,
                             std::string_view value) const noexcept {
    return matches_tag((hash_key(key) & ~0xffULL) | version, value);
  }
  [[nodiscard]] bool matches_any_version(std::string_view key,
                                         std::string_view value) const noexcept {
    if (value.size() != size_) return false;
    return matches_tag((hash_key(key) & ~0xffULL) | version_of(value), value);
  }
  // Requires: a value that matches and is no text.
  [[nodiscard]] static std::uint8_t version_of(std::string_view value) noexcept {
    return static_cast<unsigned char>(value[0]);
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t kPoolSize = 64 << 10;
  [[nodiscard]] const char* pool_at(std::uint64_t tag) const noexcept {
    return pool_data_ + ((tag >> 8) & (kPoolSize - 1));
  }
  [[nodiscard]] bool matches_tag(std::uint64_t tag, std::string_view value) const noexcept {
    if (is_text_) return value == value_;
    return value.size() == size_ && std::memcmp(value.data(), &tag, 8) == 0 &&
           std::memcmp(value.data() + 8, pool_at(tag), size_ - 8) == 0;
  }

  std::size_t size_;
  bool is_text_ = false;
  std::shared_ptr<const std::string> pool_;  // Copies share it, so that threads share its cache.
  const char* pool_data_ = nullptr;
  std::string value_;
};

// The order in which a scan gives its keys.
enum class ScanOrder : std::uint8_t { Ascending, Descending };

// Checks the entries of scans: keys in order, values that belong to them, and the ends where they
// are known.
class EntryCheck {
 public:
  explicit EntryCheck(const ValueMaker& values, ScanOrder order = ScanOrder::Ascending) noexcept
      : values_(values), order_(order) {}
  void operator()(std::string_view key, std::string_view value) noexcept {
    if (key.size() >= sizeof previous_) {
      ++wrong_count_;
      return;
    }
    if (scan_count_ > 0) {
      wrong_count_ += order_ == ScanOrder::Ascending ? last() >= key : last() <= key;
    } else if (!first_.empty()) {
      wrong_count_ += key != first_;
    }
    wrong_count_ += !values_.matches_any_version(key, value);
    std::memcpy(previous_, key.data(), key.size());
    previous_size_ = key.size();
    ++scan_count_;
    ++count_;
  }
  // Before the next scan. `first`: the key that it must begin with; empty: not known.
  void restart(std::string_view first = {}) noexcept {
    first_ = first;
    scan_count_ = 0;
  }
  // After a scan that may have given `limit` entries: fewer are right where it came to the end.
  void finish(std::uint64_t limit, std::string_view greatest) noexcept {
    wrong_count_ += scan_count_ > limit;
    if (scan_count_ < limit) wrong_count_ += scan_count_ == 0 || last() != greatest;
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t wrong_count() const noexcept { return wrong_count_; }

 private:
  [[nodiscard]] std::string_view last() const noexcept { return {previous_, previous_size_}; }

  const ValueMaker& values_;
  const ScanOrder order_;
  char previous_[64] = {};
  std::size_t previous_size_ = 0;
  std::string_view first_;
  std::uint64_t scan_count_ = 0;  // Entries of this scan.
  std::uint64_t count_ = 0, wrong_count_ = 0;
};

// Checks the answers of a multi_get() whose keys are all present.
class MultiGetCheck {
 public:
  explicit MultiGetCheck(const ValueMaker& values) noexcept : values_(values) {}
  void expect(const std::string_view* keys, std::uint8_t version) noexcept {
    keys_ = keys;
    version_ = version;
  }
  void operator()(std::size_t i, bool found, std::string_view value) noexcept {
    wrong_count_ += !found || !values_.matches(keys_[i], version_, value);
    ++count_;
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t wrong_count() const noexcept { return wrong_count_; }

 private:
  const ValueMaker& values_;
  const std::string_view* keys_ = nullptr;
  std::uint8_t version_ = 0;
  std::uint64_t count_ = 0, wrong_count_ = 0;
};

}  // namespace varve::bench
