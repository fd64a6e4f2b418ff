// SPDX-License-Identifier: Apache-2.0
#include "segment/delta_node.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>

#include "directory/check.hpp"

namespace varve::segment::delta_detail {

namespace {

constexpr std::uint64_t kIndexMask = (std::uint64_t{1} << kSlotBits) - 1;
constexpr std::size_t kTiesMax = 8;

// Merges two sorted runs without a branch that depends on the data.
void merge_runs(const std::uint64_t* from, std::size_t left_size, std::size_t size,
                std::uint64_t* to) noexcept {
  const std::uint64_t* left = from;
  const std::uint64_t* right = from + left_size;
  const std::uint64_t* const left_end = right;
  const std::uint64_t* const right_end = from + size;
  while (left != left_end && right != right_end) {
    const std::uint64_t a = *left, b = *right;
    const bool take_left = a <= b;
    *to++ = take_left ? a : b;
    left += take_left;
    right += !take_left;
  }
  to = std::copy(left, left_end, to);
  std::copy(right, right_end, to);
}

void sort_short_run(std::uint64_t* values, std::size_t size) noexcept {
  const auto exchange = [values](std::size_t a, std::size_t b) {
    const std::uint64_t x = values[a], y = values[b];
    values[a] = std::min(x, y);
    values[b] = std::max(x, y);
  };
  if (size == 4) {
    exchange(0, 1);
    exchange(2, 3);
    exchange(0, 2);
    exchange(1, 3);
    exchange(1, 2);
    return;
  }
  for (std::size_t end = size; end > 1; --end) {
    for (std::size_t i = 1; i < end; ++i) exchange(i - 1, i);
  }
}

// Bottom-up merge sort; a comparison sort's mispredicted branches would cost three times as much.
void sort_values(std::uint64_t* values, std::size_t count) noexcept {
  if (std::is_sorted(values, values + count)) return;  // As where keys came in order.
  std::array<std::uint64_t, kLeafCapacity> buffer;
  for (std::size_t begin = 0; begin < count; begin += 4) {
    sort_short_run(values + begin, std::min<std::size_t>(4, count - begin));
  }
  std::uint64_t* from = values;
  std::uint64_t* to = buffer.data();
  for (std::size_t width = 4; width < count; width *= 2) {
    for (std::size_t begin = 0; begin < count; begin += 2 * width) {
      const std::size_t size = std::min(2 * width, count - begin);
      merge_runs(from + begin, std::min(width, size), size, to + begin);
    }
    std::swap(from, to);
  }
  if (from != values) std::copy_n(from, count, values);
}

}  // namespace

bool sort_by_heads(std::uint64_t* values, std::size_t count, const Record* const* slots) noexcept {
  sort_values(values, count);
  std::size_t tie_count = 0;
  for (std::size_t i = 1; i < count; ++i) {
    tie_count += (values[i - 1] ^ values[i]) >> kSlotBits == 0 ? 1 : 0;
  }
  if (tie_count > kTiesMax) return false;
  for (std::size_t i = 0; tie_count != 0;) {
    std::size_t tied_end = i + 1;
    while (tied_end < count && (values[i] ^ values[tied_end]) >> kSlotBits == 0) ++tied_end;
    tie_count -= tied_end - i - 1;
    std::sort(values + i, values + tied_end, [slots](std::uint64_t a, std::uint64_t b) {
      return slots[slot_of(a)]->key() < slots[slot_of(b)]->key();
    });
    i = tied_end;
  }
  return true;
}

void sort_records(const Record* const* records, std::size_t count, std::uint8_t* order) noexcept {
  if (count == 0) return;
  std::iota(order, order + count, std::uint8_t{0});
  const auto less = [records](std::uint8_t a, std::uint8_t b) {
    return records[a]->key() < records[b]->key();
  };
  if (std::is_sorted(order, order + count, less)) return;  // As where keys came in order.
  const std::string_view first = records[0]->key();
  std::size_t prefix = first.size();
  for (std::size_t i = 1; i < count && prefix != 0; ++i) {
    prefix = common_prefix(first, records[i]->key(), prefix);
  }
  // The low bits of each head make room for the record's position.
  std::array<std::uint64_t, kLeafCapacity> values;
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = (key_head8(records[i]->key(), prefix) & ~kIndexMask) | i;
  }
  sort_values(values.data(), count);
  for (std::size_t i = 0; i < count; ++i) {
    order[i] = static_cast<std::uint8_t>(values[i] & kIndexMask);
  }
  for (std::size_t begin = 0; begin < count;) {
    std::size_t end = begin + 1;
    while (end < count && ((values[begin] ^ values[end]) & ~kIndexMask) == 0) ++end;
    if (end - begin > 1) {
      std::sort(order + begin, order + end, less);
    }
    begin = end;
  }
}

DirectoryNode::DirectoryNode(std::size_t capacity) noexcept
    : capacity_(static_cast<std::uint32_t>(capacity)) {
  for (std::size_t i = 0; i < capacity; ++i) new (&children()[i]) std::atomic<void*>(nullptr);
}

int DirectoryNode::compare_prefix(std::string_view key) const noexcept {
  const std::size_t inline_size = std::min<std::size_t>(prefix_size_, kInlinePrefixSize);
  const std::size_t size = std::min(key.size(), inline_size);
  const int result = size == 0 ? 0 : std::memcmp(key.data(), prefix_.data(), size);
  if (result != 0) return result;
  if (key.size() < inline_size) return -1;
  if (prefix_size_ <= kInlinePrefixSize) return 0;
  return key.substr(inline_size, prefix_size_ - inline_size)
      .compare(separators()[0]->key().substr(inline_size, prefix_size_ - inline_size));
}

std::size_t DirectoryNode::find_child(std::string_view key, Side side) const noexcept {
  const std::size_t separator_count = count_ - 1;
  if (separator_count == 0) return 0;
  if (prefix_size_ != 0) {
    const int result = compare_prefix(key);
    if (result != 0) return result < 0 ? 0 : separator_count;
  }
  const std::uint64_t head = key_head8(key, prefix_size_);
  const std::uint64_t* from = heads();
  // By a mask: the branch that a compiler makes of a condition here is mistaken every other time.
  for (std::size_t size = separator_count; size > 1;) {
    const std::size_t half = size / 2;
    from += half & -static_cast<std::size_t>(from[half - 1] < head);
    size -= half;
  }
  auto low = static_cast<std::size_t>(from - heads());
  low += *from < head;
  if (low == separator_count || heads()[low] != head) [[likely]]
    return low;
  // Equal heads: only the whole keys decide.
  std::size_t high = static_cast<std::size_t>(
      std::upper_bound(heads() + low, heads() + separator_count, head) - heads());
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const int result = separators()[middle]->key().compare(key);
    if (result < 0 || (result == 0 && side == Side::Right)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void DirectoryNode::become_parent_of(void* child) noexcept {
  count_ = 1;
  set_child(0, child);
}

void DirectoryNode::copy_separators(const DirectoryNode& from, std::size_t begin, std::size_t end,
                                    std::size_t to) noexcept {
  std::copy(from.separators() + begin, from.separators() + end, separators() + to);
  std::copy(from.heads() + begin, from.heads() + end, heads() + to);
}

void DirectoryNode::become_split(const DirectoryNode& from, std::size_t index, void* left,
                                 const Record* separator, void* right) noexcept {
  VARVE_DCHECK(from.count_ < capacity_);
  count_ = from.count_ + 1;
  for (std::size_t i = 0; i < index; ++i) set_child(i, from.child(i));
  set_child(index, left);
  set_child(index + 1, right);
  for (std::size_t i = index + 1; i < from.count_; ++i) set_child(i + 1, from.child(i));
  copy_separators(from, 0, index, 0);
  separators()[index] = separator;
  heads()[index] = key_head8(separator->key(), from.prefix_size_);
  copy_separators(from, index, from.count_ - 1, index + 1);
  set_prefix(from.prefix_size_);
}

void DirectoryNode::become_part(const DirectoryNode& from, std::size_t begin,
                                std::size_t end) noexcept {
  VARVE_DCHECK(end - begin <= capacity_);
  count_ = static_cast<std::uint32_t>(end - begin);
  for (std::size_t i = begin; i < end; ++i) set_child(i - begin, from.child(i));
  copy_separators(from, begin, end - 1, 0);
  set_prefix(from.prefix_size_);
}

// The heads there are begin after `size_of_heads` bytes; made anew when the separators share more
// or fewer bytes than that.
void DirectoryNode::set_prefix(std::size_t size_of_heads) noexcept {
  const std::size_t separator_count = count_ - 1;
  if (separator_count == 0) {
    prefix_size_ = 0;
    return;
  }
  const std::string_view first = separators()[0]->key();
  // Of a single separator, or of one that is the prefix of all others, leave some for the head.
  const std::size_t limit = first.size() - std::min<std::size_t>(first.size(), 8);
  const std::size_t size = common_prefix(first, separators()[separator_count - 1]->key(), limit);
  prefix_size_ = static_cast<std::uint32_t>(size);
  std::copy_n(first.data(), std::min(size, kInlinePrefixSize), prefix_.data());
  if (size == size_of_heads) return;
  for (std::size_t i = 0; i < separator_count; ++i) {
    heads()[i] = key_head8(separators()[i]->key(), size);
  }
}

}  // namespace varve::segment::delta_detail
