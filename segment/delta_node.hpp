// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "segment/delta_record.hpp"
#include "segment/key_bytes.hpp"

// The nodes of a delta:
//
//   root (directory node) -> inner nodes (directory nodes) -> leaves -> records
//
// Keys are spread over the leaves by separators: the smallest key a leaf had when it was made.
// A separator is never taken back, so the range between two of them can only be cut further.
namespace varve::segment::delta_detail {

inline constexpr std::size_t kLeafCapacity = 62;
inline constexpr std::size_t kInnerCapacity = 32;  // Children of an inner node.

// Bit i: byte i of `words` (byte i % 8 of word i / 8, low byte first) equals `byte`.
[[nodiscard]] inline std::uint64_t match_bytes_scalar(const std::array<std::uint64_t, 8>& words,
                                                      std::uint8_t byte) noexcept {
  constexpr std::uint64_t kLow7 = 0x7f7f7f7f7f7f7f7fULL;
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint64_t x = words[i] ^ (byte * 0x0101010101010101ULL);
    const std::uint64_t zero_bytes = ~(((x & kLow7) + kLow7) | x | kLow7);
    mask |= ((zero_bytes >> 7) * 0x0102040810204080ULL >> 56) << (8 * i);
  }
  return mask;
}

[[nodiscard]] inline std::uint64_t match_bytes(const std::array<std::uint64_t, 8>& words,
                                               std::uint8_t byte) noexcept {
#if defined(__SSE2__)
  const __m128i wanted = _mm_set1_epi8(static_cast<char>(byte));
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_set_epi64x(static_cast<long long>(words[2 * i + 1]),
                                         static_cast<long long>(words[2 * i]));
    const int equal = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted));
    mask |= std::uint64_t{static_cast<std::uint32_t>(equal)} << (16 * i);
  }
  return mask;
#else
  return match_bytes_scalar(words, byte);
#endif
}

// Never 0, which marks an empty slot.
[[nodiscard]] inline std::uint8_t fingerprint_of(std::uint64_t hash) noexcept {
  const auto byte = static_cast<std::uint8_t>(hash);
  return byte == 0 ? std::uint8_t{1} : byte;
}

// Up to 62 keys in order of arrival.
//
//   fingerprints[62], prefix size (2 bytes) | heads[62] | slots[62]
//
// All keys that can come here share a prefix, which the separators on both sides of a new leaf
// have in common; heads are the 4 bytes behind it. A seek orders a leaf by its heads, so that it
// touches the records that it shows and no others.
//
// Invariant: the slots with a fingerprint are [0, count); their records have different keys.
// Thread-safety: one writer, any number of readers. A fingerprint is published with release after
// its slot and head, so whoever sees the fingerprint sees the record; the number of fingerprints is
// the count. They are words so that readers can load them while the writer adds one.
class Leaf {
 public:
  static constexpr std::size_t kAlignment = 64;  // Fingerprints in one cache line.
  static constexpr std::size_t kPrefixSizeMax = 0xFFFF;

  struct Fingerprints {
    std::array<std::uint64_t, 8> words;
    [[nodiscard]] std::uint64_t matches(std::uint8_t fingerprint) const noexcept {
      return match_bytes(words, fingerprint) & kSlots;
    }
    [[nodiscard]] std::size_t count() const noexcept {
      return static_cast<std::size_t>(std::countr_zero(match_bytes(words, 0) | ~kSlots));
    }
    [[nodiscard]] std::uint8_t at(std::size_t slot) const noexcept {
      return static_cast<std::uint8_t>(words[slot / 8] >> (8 * (slot % 8)));
    }
    [[nodiscard]] std::size_t prefix_size() const noexcept {
      return static_cast<std::size_t>(words[7] >> kPrefixShift);
    }
  };
  // Requires: prefix_size <= kPrefixSizeMax.
  explicit Leaf(std::size_t prefix_size) noexcept {
    words_[7].store(std::uint64_t{prefix_size} << kPrefixShift, std::memory_order_relaxed);
  }
  // What slots hold as the head of `key`.
  [[nodiscard]] static std::uint32_t head_of(std::string_view key,
                                             std::size_t prefix_size) noexcept {
    return static_cast<std::uint32_t>(key_head8(key, prefix_size) >> 32);
  }
  [[nodiscard]] Fingerprints fingerprints() const noexcept {
    Fingerprints copy;
    for (std::size_t i = 0; i < copy.words.size(); ++i) {
      copy.words[i] = words_[i].load(std::memory_order_acquire);
    }
    return copy;
  }
  [[nodiscard]] const Record* record(std::size_t slot) const noexcept {
    return slots_[slot].load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint32_t head(std::size_t slot) const noexcept {
    return heads_[slot].load(std::memory_order_relaxed);
  }
  // The slot among `candidates` that holds `key`, kLeafCapacity when none does.
  [[nodiscard]] std::size_t find_among(std::uint64_t candidates,
                                       std::string_view key) const noexcept {
    for (; candidates != 0; candidates &= candidates - 1) {
      const auto slot = static_cast<std::size_t>(std::countr_zero(candidates));
      if (record(slot)->key() == key) return slot;
    }
    return kLeafCapacity;
  }
  // For the writer, who is about to touch the heads anyway: where they differ, so do the keys.
  [[nodiscard]] std::size_t find_among(std::uint64_t candidates, std::uint32_t head,
                                       std::string_view key) const noexcept {
    for (; candidates != 0; candidates &= candidates - 1) {
      const auto slot = static_cast<std::size_t>(std::countr_zero(candidates));
      if (this->head(slot) == head && record(slot)->key() == key) return slot;
    }
    return kLeafCapacity;
  }
  // Requires: `slot` == count; `head` is that of the record's key behind this leaf's prefix.
  void append(std::size_t slot, std::uint8_t fingerprint, std::uint32_t head,
              const Record* record) noexcept {
    heads_[slot].store(head, std::memory_order_relaxed);
    slots_[slot].store(record, std::memory_order_release);
    std::atomic<std::uint64_t>& word = words_[slot / 8];
    word.store(
        word.load(std::memory_order_relaxed) | std::uint64_t{fingerprint} << (8 * (slot % 8)),
        std::memory_order_release);
  }
  void replace(std::size_t slot, const Record* record) noexcept {
    slots_[slot].store(record, std::memory_order_release);
  }
  // What a writer looks at, and will store to.
  void prefetch_for_insert() const noexcept {
    const char* const line = reinterpret_cast<const char*>(this);
    for (std::size_t offset = 0; offset < sizeof words_ + sizeof heads_; offset += 64) {
      __builtin_prefetch(line + offset, 1);
    }
  }
  void prefetch_slot(std::size_t slot) const noexcept {
    if (slot < kLeafCapacity) __builtin_prefetch(&slots_[slot], 1);
  }
  void prefetch() const noexcept {
    for (std::size_t offset = 0; offset < sizeof *this; offset += 64) {
      __builtin_prefetch(reinterpret_cast<const char*>(this) + offset);
    }
  }

 private:
  static constexpr std::uint64_t kSlots = (std::uint64_t{1} << kLeafCapacity) - 1;
  static constexpr unsigned kPrefixShift = 48;

  std::array<std::atomic<std::uint64_t>, 8> words_{};
  std::array<std::atomic<std::uint32_t>, kLeafCapacity> heads_;
  std::array<std::atomic<const Record*>, kLeafCapacity> slots_;
};

// A leaf's slot and its head: such values sort by the heads.
inline constexpr unsigned kSlotBits = 6;
static_assert(kLeafCapacity <= std::size_t{1} << kSlotBits);
[[nodiscard]] constexpr std::uint64_t head_and_slot(std::uint32_t head, std::size_t slot) noexcept {
  return std::uint64_t{head} << kSlotBits | slot;
}
[[nodiscard]] constexpr std::size_t slot_of(std::uint64_t value) noexcept {
  return value & ((std::uint64_t{1} << kSlotBits) - 1);
}
// Puts such values into the order of the keys in those slots; records are touched only where heads
// are equal. False: so many are that the records had better be compared by more (sort_records());
// the values are there still. Requires: count <= kLeafCapacity; the slots' keys are different.
[[nodiscard]] bool sort_by_heads(std::uint64_t* values, std::size_t count,
                                 const Record* const* slots) noexcept;
// Sorts records with different keys: order[i] is the position of the i-th smallest.
// Requires: count <= kLeafCapacity.
void sort_records(const Record* const* records, std::size_t count, std::uint8_t* order) noexcept;

// Which child to take for a key that is itself a separator.
enum class Side : std::uint8_t { Right, Left };

// Children in key order: child i has the keys from separator i - 1 to before separator i.
//
//   header | heads[capacity] | children[capacity] | separators[capacity]
//
// heads[i] are the 8 bytes of separator i after the prefix that all separators share.
// Invariant: immutable once published, but for the children of a root, which a split replaces.
class DirectoryNode {
 public:
  [[nodiscard]] static std::size_t size_of(std::size_t capacity) noexcept {
    return sizeof(DirectoryNode) + capacity * (2 * sizeof(std::uint64_t) + sizeof(void*));
  }
  explicit DirectoryNode(std::size_t capacity) noexcept;

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] void* child(std::size_t index) const noexcept {
    return children()[index].load(std::memory_order_acquire);
  }
  [[nodiscard]] const Record* separator(std::size_t index) const noexcept {
    return separators()[index];
  }
  void replace_child(std::size_t index, void* child) noexcept {
    children()[index].store(child, std::memory_order_release);
  }
  [[nodiscard]] std::size_t find_child(std::string_view key, Side side) const noexcept;

  // These fill a new node; nobody sees it yet.
  void become_parent_of(void* child) noexcept;
  // A copy of `from` in which `left`, `separator`, `right` stand for child `index`.
  void become_split(const DirectoryNode& from, std::size_t index, void* left,
                    const Record* separator, void* right) noexcept;
  // A copy of children [begin, end) of `from`.
  void become_part(const DirectoryNode& from, std::size_t begin, std::size_t end) noexcept;

 private:
  static constexpr std::size_t kInlinePrefixSize = 52;
  [[nodiscard]] std::uint64_t* heads() const noexcept {
    return reinterpret_cast<std::uint64_t*>(const_cast<DirectoryNode*>(this) + 1);
  }
  [[nodiscard]] std::atomic<void*>* children() const noexcept {
    return reinterpret_cast<std::atomic<void*>*>(heads() + capacity_);
  }
  [[nodiscard]] const Record** separators() const noexcept {
    return reinterpret_cast<const Record**>(children() + capacity_);
  }
  void set_child(std::size_t index, void* child) noexcept {
    children()[index].store(child, std::memory_order_relaxed);
  }
  [[nodiscard]] int compare_prefix(std::string_view key) const noexcept;
  void copy_separators(const DirectoryNode& from, std::size_t begin, std::size_t end,
                       std::size_t to) noexcept;
  void set_prefix(std::size_t size_of_heads) noexcept;

  std::uint32_t count_ = 0;
  std::uint32_t capacity_;
  std::uint32_t prefix_size_ = 0;
  std::array<char, kInlinePrefixSize> prefix_{};  // The first bytes of the prefix.
};
static_assert(sizeof(DirectoryNode) == 64);

// The separators in front of and behind a leaf; null at either end of the delta.
[[nodiscard]] inline const Record* separator_before(const DirectoryNode& root,
                                                    std::size_t root_index,
                                                    const DirectoryNode& inner,
                                                    std::size_t inner_index) noexcept {
  if (inner_index > 0) return inner.separator(inner_index - 1);
  return root_index > 0 ? root.separator(root_index - 1) : nullptr;
}
[[nodiscard]] inline const Record* separator_behind(const DirectoryNode& root,
                                                    std::size_t root_index,
                                                    const DirectoryNode& inner,
                                                    std::size_t inner_index) noexcept {
  if (inner_index + 1 < inner.count()) return inner.separator(inner_index);
  return root_index + 1 < root.count() ? root.separator(root_index) : nullptr;
}

}  // namespace varve::segment::delta_detail
