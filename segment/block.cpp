// SPDX-License-Identifier: Apache-2.0
#include "segment/block.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "directory/check.hpp"
#include "directory/checksum.hpp"

namespace varve::segment {
namespace {

using directory::load_le;
using directory::store_le;
using directory::store_varint;
using directory::varint_size;

// A builder that held a huge value gives its memory back.
constexpr std::size_t kKeptCapacityMax = std::size_t{1} << 20;

constexpr std::size_t round_up(std::size_t size, std::size_t unit) noexcept {
  return (size + unit - 1) / unit * unit;
}
constexpr std::size_t position_size(std::size_t block_size) noexcept {
  return block_size > kNarrowBlockSizeMax ? 8 : 2;
}
constexpr std::size_t tables_end(std::size_t prefix_size, std::size_t entry_count,
                                 std::size_t position_width) noexcept {
  return kBlockHeaderSize + round_up(prefix_size, 4) + key_heads_size(entry_count) +
         entry_count * position_width;
}
constexpr std::uint64_t entry_tag(std::size_t value_size, Sequence sequence, Kind kind) noexcept {
  return std::uint64_t{value_size} << 2 | std::uint64_t{sequence != 0} << 1 |
         static_cast<std::uint64_t>(kind);
}
// Rounded size of a block with these contents; the width of positions depends on it.
std::size_t block_size(std::size_t prefix_size, std::size_t entry_count,
                       std::size_t entries_size) noexcept {
  const std::size_t narrow = tables_end(prefix_size, entry_count, 2) + entries_size;
  if (narrow <= kNarrowBlockSizeMax) return round_up(narrow, kBlockUnit);
  return round_up(tables_end(prefix_size, entry_count, 8) + entries_size, kBlockUnit);
}
bool all_zero(std::string_view bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; });
}

}  // namespace

std::size_t shared_prefix_size(std::string_view a, std::string_view b) noexcept {
  const std::size_t size = std::min(a.size(), b.size());
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    const std::uint64_t difference =
        load_le<std::uint64_t>(a.data() + i) ^ load_le<std::uint64_t>(b.data() + i);
    if (difference != 0) return i + static_cast<std::size_t>(std::countr_zero(difference)) / 8;
  }
  while (i < size && a[i] == b[i]) ++i;
  return i;
}

namespace {

// Compares suffixes whose heads are equal. A head stands for its bytes followed by zeros: when
// either suffix has fewer than four, the shorter one is the beginning of the longer.
int compare_behind_heads(const BlockEntry& entry, std::string_view suffix) noexcept {
  if (entry.suffix_size >= kHeadSize && suffix.size() >= kHeadSize) [[likely]] {
    return entry.rest.compare(suffix.substr(kHeadSize));
  }
  return entry.suffix_size < suffix.size() ? -1 : entry.suffix_size > suffix.size() ? 1 : 0;
}
bool equal_behind_heads(const BlockEntry& entry, std::string_view suffix) noexcept {
  return entry.suffix_size == suffix.size() &&
         (entry.rest.empty() ||
          std::memcmp(entry.rest.data(), suffix.data() + kHeadSize, entry.rest.size()) == 0);
}

}  // namespace

std::size_t BlockView::lower_bound_between(std::size_t first, std::size_t last,
                                           std::string_view suffix, Sequence at) const noexcept {
  while (first < last) {
    const std::size_t middle = first + (last - first) / 2;
    BlockEntry entry;
    load_entry(this->entry(middle), entry);
    const int order = compare_behind_heads(entry, suffix);
    if (order < 0 || (order == 0 && entry.sequence > at)) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return first;
}

std::size_t BlockView::lower_bound(std::string_view key, Sequence at) const noexcept {
  const int order = key.substr(0, prefix_size_).compare(prefix());
  if (order != 0) return order < 0 ? 0 : entry_count_;
  const std::string_view suffix = key.substr(prefix_size_);
  const HeadRange range = equal_range(heads_, entry_count_, key_head(suffix));
  return lower_bound_between(range.first, range.last, suffix, at);
}

FoundEntry BlockView::find(std::string_view key, Sequence at) const noexcept {
  if (!key.starts_with(prefix())) {
    return {};
  }
  const std::string_view suffix(key.data() + prefix_size_, key.size() - prefix_size_);
  const HeadRange range = equal_range(heads_, entry_count_, key_head(suffix));
  std::size_t index = range.first;
  if (range.last - range.first > 1) {
    index = lower_bound_between(range.first, range.last, suffix, at);
  }
  if (index >= range.last) return {};
  BlockEntry entry;
  load_entry(this->entry(index), entry);
  if (!equal_behind_heads(entry, suffix) || entry.sequence > at) return {};
  return {.found = true, .kind = entry.kind, .sequence = entry.sequence, .value = entry.value};
}

void BlockView::prefetch_entry(std::string_view key) const noexcept {
  // Most entries lie within so many lines; the processor itself goes on along a longer value.
  constexpr std::size_t kLineCount = 3;
  if (!key.starts_with(prefix())) return;
  const HeadRange range = equal_range(heads_, entry_count_, key_head(key.substr(prefix_size_)));
  if (range.first >= range.last) return;
  const char* const from = entry(range.first);
  for (std::size_t i = 0; i < kLineCount; ++i) __builtin_prefetch(from + 64 * i);
}

namespace {

// Checks one entry of untrusted bytes; returns the position after it, or null.
const char* check_entry(const char* at, const char* end, std::size_t prefix_size,
                        std::uint32_t head) noexcept {
  std::uint64_t suffix_size = 0;
  std::uint64_t tag = 0;
  std::uint64_t sequence = 1;
  at = directory::parse_varint(at, end, suffix_size);
  if (at != nullptr) at = directory::parse_varint(at, end, tag);
  if (at != nullptr && (tag & 2) != 0) at = directory::parse_varint(at, end, sequence);
  if (at == nullptr || sequence == 0) return nullptr;
  if (suffix_size > kKeySizeMax || prefix_size + suffix_size > kKeySizeMax) return nullptr;
  const std::uint64_t value_size = tag >> 2;
  if ((tag & 1) != 0 && value_size != 0) return nullptr;
  const auto remaining = static_cast<std::uint64_t>(end - at);
  const std::size_t rest = rest_size(suffix_size);
  if (rest > remaining || value_size > remaining - rest) return nullptr;
  if (suffix_size < kHeadSize && head << (8 * suffix_size) != 0) return nullptr;
  return at + rest + value_size;
}

}  // namespace

const char* check_block_structure(std::string_view bytes) noexcept {
  const char* const data = bytes.data();
  if (bytes.size() < kBlockUnit || bytes.size() % kBlockUnit != 0 ||
      load_le<std::uint32_t>(data + 8) != bytes.size() / kBlockUnit) {
    return "size";
  }
  const std::size_t entry_count = load_le<std::uint32_t>(data + 12);
  const std::size_t prefix_size = load_le<std::uint32_t>(data + 16);
  if (load_le<std::uint32_t>(data + 20) != 0) return "reserved field";
  if (prefix_size > kKeySizeMax) return "prefix size";
  const std::size_t width = position_size(bytes.size());
  const std::size_t entries_begin = tables_end(prefix_size, entry_count, width);
  if (entry_count == 0 || entries_begin > bytes.size()) return "entry count";
  const std::size_t prefix_end = kBlockHeaderSize + prefix_size;
  if (!all_zero(bytes.substr(prefix_end, round_up(prefix_size, 4) - prefix_size))) {
    return "padding of the prefix";
  }
  const BlockView block(data, bytes.size());
  const std::size_t heads_begin = kBlockHeaderSize + round_up(prefix_size, 4);
  for (std::size_t i = heads_begin + 4 * entry_count; i < entries_begin - entry_count * width;
       ++i) {
    if (data[i] != '\xFF') return "padding of the heads";
  }
  const char* const end = data + bytes.size();
  const char* at = data + entries_begin;
  for (std::size_t i = 0; i < entry_count; ++i) {
    if (block.entry(i) != at) return "position of an entry";
    at = check_entry(at, end, prefix_size, block.head(i));
    if (at == nullptr) return "entry";
  }
  const auto rest = static_cast<std::size_t>(end - at);
  if (rest >= kBlockUnit || !all_zero({at, rest})) return "padding";
  return nullptr;
}

std::uint64_t block_checksum(std::string_view bytes, std::uint64_t part_seed) noexcept {
  return directory::hash64(bytes.substr(8), part_seed);
}

bool BlockBuilder::try_add(const EntryView& entry, std::size_t size_max) {
  const std::size_t count = entries_.size() + 1;
  std::size_t prefix = entry.key.size();
  if (count > 1) {
    const char* first = bytes_.get();
    prefix = prefix_size_;
    if (entry.key.size() < prefix || std::memcmp(first, entry.key.data(), prefix) != 0) {
      prefix = shared_prefix_size({first, prefix}, entry.key);
    }
  }
  const std::size_t fields =
      field_size_ + varint_size(entry.key.size()) +
      varint_size(entry_tag(entry.value.size(), entry.sequence, entry.kind)) +
      (entry.sequence == 0 ? 0 : varint_size(entry.sequence));
  const std::size_t staged = bytes_size_ + entry.key.size() + entry.value.size();
  // Heads take over up to 4 bytes of each suffix; at least as many as of the shortest key's.
  const std::size_t key_size_min = std::min(key_size_min_, entry.key.size());
  const std::size_t in_heads = count * std::min(kHeadSize, key_size_min - prefix);
  const std::size_t size = block_size(prefix, count, fields + staged - count * prefix - in_heads);
  if (count > 1 && size > size_max) return false;
  stage(entry);
  prefix_size_ = prefix;
  key_size_min_ = key_size_min;
  field_size_ = fields;
  size_ = size;
  return true;
}

void BlockBuilder::add(const EntryView& entry) {
  VARVE_CHECK(try_add(entry, std::numeric_limits<std::size_t>::max()));
}

std::size_t BlockBuilder::encoded_entries_size() const noexcept {
  std::size_t size = 0;
  for (const Staged& entry : entries_) {
    const std::size_t suffix_size = entry.key_size - prefix_size_;
    size += varint_size(suffix_size) + rest_size(suffix_size) + entry.value_size +
            varint_size(entry_tag(entry.value_size, entry.sequence, entry.kind));
    if (entry.sequence != 0) size += varint_size(entry.sequence);
  }
  return size;
}

void BlockBuilder::stage(const EntryView& entry) {
  const std::size_t size = bytes_size_ + entry.key.size() + entry.value.size();
  if (size > bytes_capacity_) [[unlikely]] {
    const std::size_t capacity = std::max<std::size_t>(2 * size, std::size_t{8} << 10);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (bytes_size_ != 0) std::memcpy(larger.get(), bytes_.get(), bytes_size_);
    bytes_ = std::move(larger);
    bytes_capacity_ = capacity;
  }
  entries_.push_back({.offset = bytes_size_,
                      .key_size = static_cast<std::uint32_t>(entry.key.size()),
                      .value_size = static_cast<std::uint32_t>(entry.value.size()),
                      .sequence = entry.sequence,
                      .kind = entry.kind});
  char* const to = bytes_.get() + bytes_size_;
  if (!entry.key.empty()) std::memcpy(to, entry.key.data(), entry.key.size());
  if (!entry.value.empty()) {
    std::memcpy(to + entry.key.size(), entry.value.data(), entry.value.size());
  }
  bytes_size_ = size;
}

// Writes everything behind the prefix; returns the end of the last entry.
template <typename Position>
char* BlockBuilder::encode_tables(char* data) const noexcept {
  char* head = data + kBlockHeaderSize + round_up(prefix_size_, 4);
  char* position = head + key_heads_size(entries_.size());
  char* at = position + sizeof(Position) * entries_.size();
  char* const heads_end = head + kHeadSize * entries_.size();
  std::memset(heads_end, 0xFF, static_cast<std::size_t>(position - heads_end));
  for (const Staged& entry : entries_) {
    const std::string_view suffix = key(entry).substr(prefix_size_);
    store_le(head, key_head(suffix));
    head += kHeadSize;
    store_le(position, static_cast<Position>(at - data));
    position += sizeof(Position);
    at = store_varint(at, suffix.size());
    at = store_varint(at, entry_tag(entry.value_size, entry.sequence, entry.kind));
    if (entry.sequence != 0) at = store_varint(at, entry.sequence);
    // The value follows its key in the staged bytes: they are one copy.
    const std::size_t rest = rest_size(suffix.size());
    std::memcpy(at, suffix.data() + suffix.size() - rest, rest + entry.value_size);
    at += rest + entry.value_size;
  }
  return at;
}

std::size_t BlockBuilder::encode(char* to) {
  VARVE_CHECK(!entries_.empty());
  // Only a block that may be large must know its size before it knows its entries' positions.
  const bool narrow =
      size_ <= kNarrowBlockSizeMax ||
      block_size(prefix_size_, entries_.size(), encoded_entries_size()) <= kNarrowBlockSizeMax;
  std::memset(to, 0, kBlockHeaderSize);
  std::memcpy(to + kBlockHeaderSize, bytes_.get(), prefix_size_);
  std::memset(to + kBlockHeaderSize + prefix_size_, 0, round_up(prefix_size_, 4) - prefix_size_);
  char* const end = narrow ? encode_tables<std::uint16_t>(to) : encode_tables<std::uint64_t>(to);
  const std::size_t size = round_up(static_cast<std::size_t>(end - to), kBlockUnit);
  std::memset(end, 0, static_cast<std::size_t>(to + size - end));
  store_le(to + 8, static_cast<std::uint32_t>(size / kBlockUnit));
  store_le(to + 12, static_cast<std::uint32_t>(entries_.size()));
  store_le(to + 16, static_cast<std::uint32_t>(prefix_size_));
  forget();
  return size;
}

void BlockBuilder::encode(std::string& to) {
  const std::size_t begin = to.size();
  to.resize(begin + size_);
  to.resize(begin + encode(to.data() + begin));
}

void BlockBuilder::forget() noexcept {
  if (bytes_capacity_ > kKeptCapacityMax) {
    bytes_.reset();
    bytes_capacity_ = 0;
  }
  entries_.clear();
  bytes_size_ = prefix_size_ = field_size_ = size_ = 0;
  key_size_min_ = kKeySizeMax;
}

}  // namespace varve::segment
