// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "segment/arena.hpp"

namespace varve::segment::delta_detail {

// Says of most keys that a delta does not have them, so that a read of them does not walk it: a
// Bloom filter of 64-bit words, each key with four bits of one word, that grows with the delta.
//
// It grows by laying copies of itself side by side, as a key's word is chosen by the low bits of
// its place: no key is hashed again, and what was there before is as dense in the copies as it was.
// At 4 to 8 keys a word and one growth that is 1 to 4 % false positives; more where the table grows
// often. Its first growth goes straight to the size for the keys that its owner expects.
//
// Thread-safety: add() by one writer at a time; may_contain() and prefetch() by any number of
// readers beside it. A reader to whom the writer has published a key (by anything that it acquires
// before it asks) is never told that the key is not there.
// Memory: of the arena, where outgrown tables stay: 1 to 5 bytes a key together.
class DeltaFilter {
 public:
  // How full it is. The writer's, who keeps it where no reader looks: always the same for a filter.
  struct Fill {
    std::uint64_t key_count = 0;
    std::uint64_t key_limit = 0;
  };
  [[nodiscard]] bool may_contain(std::uint64_t hash) const noexcept {
    const Table table(table_.load(std::memory_order_acquire));
    const std::uint64_t bits = bits_of(hash);
    return table.words() == nullptr ||
           (table.word_of(hash).load(std::memory_order_relaxed) & bits) == bits;
  }
  void prefetch(std::uint64_t hash) const noexcept {
    const Table table(table_.load(std::memory_order_acquire));
    if (table.words() != nullptr) __builtin_prefetch(&table.word_of(hash));
  }

  // Makes room for one key more. `expected_count`: how many there may be in the end; 0: unknown.
  // Errors: std::bad_alloc, without effect.
  void reserve(Arena& arena, std::uint64_t expected_count, Fill& fill) {
    if (fill.key_count >= fill.key_limit) [[unlikely]]
      grow(arena, expected_count, fill);
  }
  // Requires: reserve() since the last add().
  void add(std::uint64_t hash, Fill& fill) noexcept;

 private:
  using Word = std::atomic<std::uint64_t>;
  // An address and, in its low bits, the binary logarithm of the number of words there.
  class Table {
   public:
    static constexpr std::uintptr_t kAlignment = 64;
    explicit Table(std::uintptr_t packed) noexcept : packed_(packed) {}
    [[nodiscard]] Word* words() const noexcept {
      return reinterpret_cast<Word*>(packed_ & ~(kAlignment - 1));
    }
    [[nodiscard]] std::uint64_t size() const noexcept {  // Words.
      return std::uint64_t{1} << (packed_ & (kAlignment - 1));
    }
    [[nodiscard]] Word& word_of(std::uint64_t hash) const noexcept {
      return words()[(hash >> 32) & (size() - 1)];
    }

   private:
    std::uintptr_t packed_;
  };
  // Bits 8 to 31: the lowest ones are the leaves' fingerprints.
  [[nodiscard]] static std::uint64_t bits_of(std::uint64_t hash) noexcept {
    return std::uint64_t{1} << (hash >> 8 & 63) | std::uint64_t{1} << (hash >> 14 & 63) |
           std::uint64_t{1} << (hash >> 20 & 63) | std::uint64_t{1} << (hash >> 26 & 63);
  }
  void grow(Arena& arena, std::uint64_t expected_count, Fill& fill);

  std::atomic<std::uintptr_t> table_ = 0;
};

}  // namespace varve::segment::delta_detail
