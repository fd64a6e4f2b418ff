// SPDX-License-Identifier: Apache-2.0
#include "segment/delta_cursor.hpp"

#include <algorithm>
#include <utility>

#include "directory/check.hpp"
#include "directory/mutant.hpp"

namespace varve::segment::delta_detail {

void DeltaCursor::show(const Record* record) noexcept {
  at_ = record;
  entry_ = {.key = record->key(),
            .value = record->value(),
            .sequence = record->sequence(delta_.base_sequence_),
            .kind = record->kind()};
  valid_ = true;
}

void DeltaCursor::load(const DirectoryNode& root, std::size_t root_index,
                       const DirectoryNode& inner, std::size_t inner_index) noexcept {
  lower_ = separator_before(root, root_index, inner, inner_index);
  upper_ = separator_behind(root, root_index, inner, inner_index);
  const auto* const leaf = static_cast<const Leaf*>(inner.child(inner_index));
  leaf->prefetch();
  const Leaf::Fingerprints fingerprints = leaf->fingerprints();
  count_ = fingerprints.count();
  prefix_size_ = fingerprints.prefix_size();
  for (std::size_t i = 0; i < count_; ++i) {
    values_[i] = head_and_slot(leaf->head(i), i);
    slots_[i] = leaf->record(i);
  }
  if (selected_count_ >= kSelectedMax && inner_index + 1 < inner.count()) {
    static_cast<const Leaf*>(inner.child(inner_index + 1))->prefetch();
  }
}

// Puts the records below `key` in front and returns how many they are.
std::size_t DeltaCursor::split_at(std::string_view key) noexcept {
  const std::uint64_t wanted = Leaf::head_of(key, prefix_size_);
  std::array<std::uint64_t, kLeafCapacity> split;
  std::size_t front = 0, back = count_, tie_count = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    const std::uint64_t value = values_[i], head = value >> kSlotBits;
    bool below = head < wanted;
    if (head == wanted) [[unlikely]] {
      if (++tie_count > kTiesMax) return lower_bound(key);
      below = record_of(value)->key() < key;
    }
    split[below ? front : back - 1] = value;
    front += below ? 1 : 0;
    back -= below ? 0 : 1;
  }
  std::copy_n(split.begin(), count_, values_.begin());
  ordered_begin_ = ordered_end_ = front;
  return front;
}

std::size_t DeltaCursor::lower_bound(std::string_view key) noexcept {
  order_all();
  const auto* const begin = values_.data();
  return static_cast<std::size_t>(
      std::lower_bound(begin, begin + count_, key,
                       [this](std::uint64_t value, std::string_view wanted) {
                         return record_of(value)->key() < wanted;
                       }) -
      begin);
}

void DeltaCursor::order_all() noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    __builtin_prefetch(slots_[i]);
    __builtin_prefetch(reinterpret_cast<const char*>(slots_[i]) + 64);
  }
  std::array<std::uint64_t, kLeafCapacity> by_slot;
  for (std::size_t i = 0; i < count_; ++i) by_slot[slot_of(values_[i])] = values_[i];
  std::array<std::uint8_t, kLeafCapacity> order;
  sort_records(slots_.data(), count_, order.data());
  for (std::size_t i = 0; i < count_; ++i) values_[i] = by_slot[order[i]];
  ordered_begin_ = 0;
  ordered_end_ = count_;
  selected_count_ = kSelectedMax;
}

// One whole side of what is in order already.
void DeltaCursor::order_between(std::size_t begin, std::size_t end) noexcept {
  if (!sort_by_heads(values_.data() + begin, end - begin, slots_.data())) return order_all();
  ordered_begin_ = std::min(ordered_begin_, begin);
  ordered_end_ = std::max(ordered_end_, end);
}

// The position of the smallest (First) or greatest record among positions [begin, end).
template <DeltaCursor::Edge edge>
std::size_t DeltaCursor::select(std::size_t begin, std::size_t end) const noexcept {
  std::size_t best = begin;
  for (std::size_t i = begin + 1; i < end; ++i) {
    const std::uint64_t head = values_[i] >> kSlotBits, best_head = values_[best] >> kSlotBits;
    bool less = head < best_head;
    if (head == best_head) [[unlikely]] {
      less = record_of(values_[i])->key() < record_of(values_[best])->key();
    }
    best = less == (edge == Edge::First) ? i : best;
  }
  return best;
}

// Puts the right record at `position`.
void DeltaCursor::order(std::size_t position) noexcept {
  if (position >= ordered_begin_ && position < ordered_end_) [[likely]]
    return;
  const bool forward = position >= ordered_end_;
  if (selected_count_ == kSelectedMax) {
    if (forward) {
      order_between(ordered_end_, count_);
      for (std::size_t i = 1; i < kFetchedAhead && position + i < count_; ++i) fetch(position + i);
    } else {
      order_between(0, ordered_begin_);
      for (std::size_t i = 1; i < kFetchedAhead && position >= i; ++i) fetch(position - i);
    }
    return;
  }
  ++selected_count_;
  if (forward) {
    VARVE_DCHECK(position == ordered_end_);
    std::swap(values_[position], values_[select<Edge::First>(position, count_)]);
    ++ordered_end_;
  } else {
    VARVE_DCHECK(position + 1 == ordered_begin_);
    std::swap(values_[position], values_[select<Edge::Last>(0, ordered_begin_)]);
    --ordered_begin_;
  }
}

bool DeltaCursor::load_leaf_of(std::string_view key, Side side) {
  const DirectoryNode* const root = delta_.root_.load(std::memory_order_acquire);
  if (root == nullptr) return false;
  const std::size_t root_index = root->find_child(key, side);
  const auto* const inner = static_cast<const DirectoryNode*>(root->child(root_index));
  load(*root, root_index, *inner, inner->find_child(key, side));
  return true;
}

bool DeltaCursor::load_leaf_at(Edge edge) {
  const DirectoryNode* const root = delta_.root_.load(std::memory_order_acquire);
  if (root == nullptr) return false;
  const std::size_t root_index = edge == Edge::First ? 0 : root->count() - 1;
  const auto* const inner = static_cast<const DirectoryNode*>(root->child(root_index));
  load(*root, root_index, *inner, edge == Edge::First ? 0 : inner->count() - 1);
  return true;
}

// Where records are still selected one by one, the next one is, so that it comes while others of
// the merge are shown.
void DeltaCursor::fetch_ahead(std::size_t position) noexcept {
  if (position + kFetchedAhead < ordered_end_) {
    fetch(position + kFetchedAhead);
  } else if (position + 1 == ordered_end_ && position + 1 < count_) {
    order(position + 1);
    fetch(position + 1);
  }
}

void DeltaCursor::go_to_newest(std::size_t position) noexcept {
  newer_.clear();
  order(position);
  position_ = position;
  fetch_ahead(position);
  show(record_of(values_[position]));
}

void DeltaCursor::go_to_oldest(std::size_t position) {
  newer_.clear();
  valid_ = false;  // Until it is known that newer_ has room.
  order(position);
  const Record* record = record_of(values_[position]);
  while (const Record* const older = record->older()) {
    newer_.push_back(record);
    record = older;
  }
  position_ = position;
  if (position >= ordered_begin_ + kFetchedAhead) fetch(position - kFetchedAhead);
  show(record);
}

void DeltaCursor::go_to_next_leaf() {
  if (upper_ == nullptr) {
    valid_ = false;
    return;
  }
  load_leaf_of(upper_->key(), Side::Right);
  ordered_begin_ = ordered_end_ = 0;
  go_to_newest(0);
}

void DeltaCursor::go_to_previous_leaf() {
  if (lower_ == nullptr) {
    valid_ = false;
    return;
  }
  load_leaf_of(lower_->key(), Side::Left);
  ordered_begin_ = ordered_end_ = count_;
  go_to_oldest(count_ - 1);
}

void DeltaCursor::seek_to_first() {
  valid_ = false;
  selected_count_ = kSelectedMax;
  if (!load_leaf_at(Edge::First)) return;
  ordered_begin_ = ordered_end_ = 0;
  go_to_newest(0);
}

void DeltaCursor::seek_to_last() {
  valid_ = false;
  selected_count_ = kSelectedMax;
  if (!load_leaf_at(Edge::Last)) return;
  ordered_begin_ = ordered_end_ = count_;
  go_to_oldest(count_ - 1);
}

void DeltaCursor::seek(std::string_view key) {
  valid_ = false;
  selected_count_ = 0;
  if (!load_leaf_of(key, Side::Right)) return;
  const std::size_t position = split_at(key);
  if (position < count_) {
    go_to_newest(position);
  } else {
    go_to_next_leaf();
  }
}

void DeltaCursor::seek_before(std::string_view key) {
  valid_ = false;
  selected_count_ = 0;
  if (!load_leaf_of(key, Side::Left)) return;
  const std::size_t position = split_at(key);
  if (position > 0) {
    go_to_oldest(position - 1);
  } else {
    go_to_previous_leaf();
  }
}

void DeltaCursor::next() {
  if (const Record* const older = at_->older()) [[unlikely]] {
    newer_.clear();  // Found again when prev() asks for them.
    show(older);
  } else if (position_ + 1 < count_) {
    go_to_newest(position_ + 1);
  } else {
    go_to_next_leaf();
  }
}

// All keys of the leaf have the prefix, so that heads are all that must be compared with the end.
// Equal heads leave the order open: then it is up to next().
void DeltaCursor::go_straight(const StraightLimits& limits) noexcept {
  constexpr std::uint64_t kAboveAllHeads = std::uint64_t{1} << 32;
  straight_at_ = limits.at;
  straight_key_size_max_ = limits.key_size_max;
  straight_end_ = kAboveAllHeads;
  if (limits.end.empty()) return;
  const std::string_view prefix = at_->key().substr(0, prefix_size_);
  const int order = limits.end.substr(0, prefix_size_).compare(prefix);
  if (order == 0) {
    straight_end_ = Leaf::head_of(limits.end, prefix_size_);
  } else if (order < 0) {
    straight_end_ = 0;
  }
}

bool DeltaCursor::next_straight() noexcept {
  const std::size_t position = position_ + 1;
  if (position >= count_) return false;
  order(position);
  if (values_[position] >> kSlotBits >= straight_end_) return false;
  const Record* const record = record_of(values_[position]);
  if (record->kind() != Kind::Value || record->key().size() > straight_key_size_max_) return false;
  if (record->sequence(delta_.base_sequence_) > straight_at_ &&
      !VARVE_MUTANT("scan.straight_to_newer_version")) {
    return false;
  }
  newer_.clear();
  position_ = position;
  fetch_ahead(position);
  show(record);
  return true;
}

void DeltaCursor::prev() {
  const Record* const newest = record_of(values_[position_]);
  if (at_ != newest) {
    if (newer_.empty()) {
      valid_ = false;
      for (const Record* record = newest; record != at_; record = record->older()) {
        newer_.push_back(record);
      }
    }
    show(newer_.back());
    newer_.pop_back();
  } else if (position_ > 0) {
    go_to_oldest(position_ - 1);
  } else {
    go_to_previous_leaf();
  }
}

}  // namespace varve::segment::delta_detail
