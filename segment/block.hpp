// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "directory/bytes.hpp"
#include "segment/entry.hpp"
#include "segment/key_heads.hpp"
#include "varve/limits.hpp"

namespace varve::segment {

// BLOCK of a run                                                all integers little-endian
//
//   offset  size  field
//        0     8  checksum      XXH3-64 of bytes [8, size), seeded by part_seed(file, offset)
//        8     4  unit_count    size of the block in units of 64 bytes
//       12     4  entry_count   >= 1
//       16     4  prefix_size   bytes that all keys of the block begin with
//       20     4  reserved      zero
//       24     -  prefix        then zeros up to a multiple of 4
//        -     -  heads         n key heads and their padding, see segment/key_heads.hpp
//        -  2*n   positions     of each entry, from the block's start; 8*n in a block > 64 KiB
//        -     -  entries       in key order, newest version first, back to back:
//                                 varint suffix_size
//                                 varint value_size << 2 | has_sequence << 1 | is_tombstone
//                                 varint sequence, when has_sequence; never 0
//                                 the suffix without the bytes that are in its head, value
//        -     -  zeros         up to the unit, fewer than 64
//
// Positions are redundant for a forward scan and there for the other accesses. All versions of a
// key lie in one block, however large it gets.
inline constexpr std::size_t kBlockUnit = 64;
inline constexpr std::size_t kBlockHeaderSize = 24;
inline constexpr std::size_t kNarrowBlockSizeMax = std::size_t{64} << 10;
// Readers may load (never use) this many bytes past the end of a block, by copies of a fixed size.
// In a file the footer follows; in memory the buffer must be that much larger.
inline constexpr std::size_t kBlockSlack = 64;

[[nodiscard]] std::size_t shared_prefix_size(std::string_view a, std::string_view b) noexcept;

// The bytes of a suffix that its head holds already are not stored again: of 116-byte entries that
// saves a thirtieth of the file.
inline constexpr std::size_t kHeadSize = sizeof(std::uint32_t);
[[nodiscard]] constexpr std::size_t rest_size(std::uint64_t suffix_size) noexcept {
  return suffix_size > kHeadSize ? static_cast<std::size_t>(suffix_size - kHeadSize) : 0;
}

// Writes the four bytes that a head stands for.
inline void store_head(char* to, std::uint32_t head) noexcept {
  if constexpr (std::endian::native == std::endian::little) head = directory::byte_swap(head);
  std::memcpy(to, &head, sizeof head);
}

// One entry as it lies in a block. Its key is the block's prefix, the first min(suffix_size, 4)
// bytes of its head, and `rest`.
struct BlockEntry {
  std::size_t suffix_size = 0;
  std::string_view rest;
  std::string_view value;
  Sequence sequence = 0;
  Kind kind = Kind::Value;
};

// A varint of bytes that check_block_structure() has accepted.
inline const char* load_varint(const char* from, std::uint64_t& value) noexcept {
  const auto first = static_cast<std::uint8_t>(from[0]);
  if (first < 0x80) [[likely]] {
    value = first;
    return from + 1;
  }
  const auto second = static_cast<std::uint8_t>(from[1]);
  if (second < 0x80) [[likely]] {
    value = std::uint64_t{first & 0x7fU} | (std::uint64_t{second} << 7);
    return from + 2;
  }
  value = std::uint64_t{first & 0x7fU} | (std::uint64_t{second & 0x7fU} << 7);
  from += 2;
  for (unsigned shift = 14;; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(*from++);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return from;
  }
}

// The low bits of the second varint; value_size is above them.
inline constexpr std::uint64_t kTombstoneTag = 1, kSequenceTag = 2;
inline constexpr unsigned kTagBits = 2;

// Requires: an accepted block. Returns the position of the entry that follows.
inline const char* load_entry(const char* from, BlockEntry& entry) noexcept {
  std::uint64_t suffix_size = 0;
  std::uint64_t tag = 0;
  from = load_varint(load_varint(from, suffix_size), tag);
  entry.sequence = 0;
  if ((tag & kSequenceTag) != 0) from = load_varint(from, entry.sequence);
  entry.kind = static_cast<Kind>(tag & kTombstoneTag);
  entry.suffix_size = static_cast<std::size_t>(suffix_size);
  entry.rest = {from, rest_size(suffix_size)};
  entry.value = {entry.rest.data() + entry.rest.size(), static_cast<std::size_t>(tag >> kTagBits)};
  return entry.value.data() + entry.value.size();
}

// A view of one block's bytes. Requires (but for the constructor of an empty view): the bytes were
// accepted by check_block_structure(), which makes every access here stay inside them.
// Thread-safety: immutable.
class BlockView {
 public:
  BlockView() = default;
  BlockView(const char* data, std::size_t size) noexcept
      : data_(data),
        entry_count_(directory::load_le<std::uint32_t>(data + 12)),
        prefix_size_(directory::load_le<std::uint32_t>(data + 16)),
        heads_(data + kBlockHeaderSize + ((prefix_size_ + 3) & ~std::size_t{3})),
        positions_(heads_ + key_heads_size(entry_count_)),
        wide_(size > kNarrowBlockSizeMax) {}

  [[nodiscard]] std::size_t entry_count() const noexcept { return entry_count_; }
  [[nodiscard]] std::string_view prefix() const noexcept {
    return {data_ + kBlockHeaderSize, prefix_size_};
  }
  [[nodiscard]] std::uint32_t head(std::size_t index) const noexcept {
    return directory::load_le<std::uint32_t>(heads_ + 4 * index);
  }
  // Where entry `index` lies, for load_entry().
  [[nodiscard]] const char* entry(std::size_t index) const noexcept {
    return data_ + (wide_ ? directory::load_le<std::uint64_t>(positions_ + 8 * index)
                          : directory::load_le<std::uint16_t>(positions_ + 2 * index));
  }
  // The first entry at or after version `at` of `key` in the order of a run; entry_count() when
  // there is none. With kSequenceMax: the first entry with a key >= `key`.
  [[nodiscard]] std::size_t lower_bound(std::string_view key, Sequence at) const noexcept;
  // The newest version of `key` with a sequence <= `at`.
  [[nodiscard]] FoundEntry find(std::string_view key, Sequence at) const noexcept;
  // Fetches what find() reads last: the first entry whose head is the key's, if there is one.
  void prefetch_entry(std::string_view key) const noexcept;

 private:
  [[nodiscard]] std::size_t lower_bound_between(std::size_t first, std::size_t last,
                                                std::string_view suffix,
                                                Sequence at) const noexcept;
  const char* data_ = nullptr;
  std::size_t entry_count_ = 0;
  std::size_t prefix_size_ = 0;
  const char* heads_ = nullptr;
  const char* positions_ = nullptr;
  bool wide_ = false;
};

// What is wrong with the form of untrusted block bytes, as a static string; null when they may be
// given to a BlockView: every position, size and head is right and the padding is zero. The order
// of keys is not looked at, nor the checksum. kBlockSlack bytes after `bytes` are not needed.
[[nodiscard]] const char* check_block_structure(std::string_view bytes) noexcept;

[[nodiscard]] std::uint64_t block_checksum(std::string_view bytes,
                                           std::uint64_t part_seed) noexcept;

// Collects the entries of one block, then encodes it. The prefix is only known with the last key,
// so that entries are staged first.
// Thread-safety: one thread.
class BlockBuilder {
 public:
  // Adds `entry` unless the block has entries and would be larger than `size_max`; false: not
  // added. Requires: entries in the order of a run.
  [[nodiscard]] bool try_add(const EntryView& entry, std::size_t size_max);
  void add(const EntryView& entry);  // However large the block gets.
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t entry_count() const noexcept { return entries_.size(); }
  [[nodiscard]] std::string_view first_key() const noexcept { return key(entries_.front()); }
  [[nodiscard]] std::string_view last_key() const noexcept { return key(entries_.back()); }
  [[nodiscard]] Sequence last_sequence() const noexcept { return entries_.back().sequence; }
  // Bytes that encode() will write, or a few more.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // Writes the block, without its checksum, to where size() bytes have room; returns its size and
  // forgets the entries. Requires: !empty().
  std::size_t encode(char* to);
  void encode(std::string& to);  // Appends it.
  [[nodiscard]] std::size_t memory_size() const noexcept {
    return bytes_capacity_ + entries_.capacity() * sizeof(Staged);
  }

 private:
  struct Staged {
    std::size_t offset;  // Of key and value in bytes_.
    std::uint32_t key_size;
    std::uint32_t value_size;
    Sequence sequence;
    Kind kind;
  };
  [[nodiscard]] std::string_view key(const Staged& entry) const noexcept {
    return {bytes_.get() + entry.offset, entry.key_size};
  }
  [[nodiscard]] std::size_t encoded_entries_size() const noexcept;
  template <typename Position>
  char* encode_tables(char* data) const noexcept;
  void stage(const EntryView& entry);
  void forget() noexcept;

  std::unique_ptr<char[]> bytes_;  // Keys and values, one after the other.
  std::size_t bytes_size_ = 0, bytes_capacity_ = 0;
  std::vector<Staged> entries_;
  std::size_t prefix_size_ = 0;
  std::size_t key_size_min_ = kKeySizeMax;
  std::size_t field_size_ = 0;  // Of the varints, or a few bytes more.
  std::size_t size_ = 0;
};

}  // namespace varve::segment
