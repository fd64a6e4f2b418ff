// SPDX-License-Identifier: Apache-2.0
#include "segment/delta_cursor.hpp"

#include <algorithm>

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
  lower_ = inner_index > 0  ? inner.separator(inner_index - 1)
           : root_index > 0 ? root.separator(root_index - 1)
                            : nullptr;
  upper_ = inner_index + 1 < inner.count() ? inner.separator(inner_index)
           : root_index + 1 < root.count() ? root.separator(root_index)
                                           : nullptr;
  const auto* const leaf = static_cast<const Leaf*>(inner.child(inner_index));
  count_ = leaf->fingerprints().count();
  std::array<const Record*, kLeafCapacity> records;
  for (std::size_t i = 0; i < count_; ++i) {
    records[i] = leaf->record(i);
    __builtin_prefetch(records[i]);
    __builtin_prefetch(reinterpret_cast<const char*>(records[i]) + 64);
  }
  if (inner_index + 1 < inner.count()) {
    static_cast<const Leaf*>(inner.child(inner_index + 1))->prefetch();
  }
  std::array<std::uint8_t, kLeafCapacity> order;
  sort_records(records.data(), count_, order.data());
  for (std::size_t i = 0; i < count_; ++i) records_[i] = records[order[i]];
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

std::size_t DeltaCursor::lower_bound(std::string_view key) const noexcept {
  const auto* const begin = records_.data();
  return static_cast<std::size_t>(
      std::lower_bound(
          begin, begin + count_, key,
          [](const Record* record, std::string_view wanted) { return record->key() < wanted; }) -
      begin);
}

void DeltaCursor::go_to_newest(std::size_t position) noexcept {
  newer_.clear();
  position_ = position;
  show(records_[position]);
}

void DeltaCursor::go_to_oldest(std::size_t position) {
  newer_.clear();
  valid_ = false;  // Until it is known that newer_ has room.
  const Record* record = records_[position];
  while (const Record* const older = record->older()) {
    newer_.push_back(record);
    record = older;
  }
  position_ = position;
  show(record);
}

void DeltaCursor::go_to_next_leaf() {
  if (upper_ == nullptr) {
    valid_ = false;
    return;
  }
  load_leaf_of(upper_->key(), Side::Right);
  go_to_newest(0);
}

void DeltaCursor::go_to_previous_leaf() {
  if (lower_ == nullptr) {
    valid_ = false;
    return;
  }
  load_leaf_of(lower_->key(), Side::Left);
  go_to_oldest(count_ - 1);
}

void DeltaCursor::seek_to_first() {
  valid_ = false;
  if (load_leaf_at(Edge::First)) go_to_newest(0);
}

void DeltaCursor::seek_to_last() {
  valid_ = false;
  if (load_leaf_at(Edge::Last)) go_to_oldest(count_ - 1);
}

void DeltaCursor::seek(std::string_view key) {
  valid_ = false;
  if (!load_leaf_of(key, Side::Right)) return;
  const std::size_t position = lower_bound(key);
  if (position < count_) {
    go_to_newest(position);
  } else {
    go_to_next_leaf();
  }
}

void DeltaCursor::seek_before(std::string_view key) {
  valid_ = false;
  if (!load_leaf_of(key, Side::Left)) return;
  const std::size_t position = lower_bound(key);
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

void DeltaCursor::prev() {
  if (at_ != records_[position_]) {
    if (newer_.empty()) {
      valid_ = false;
      for (const Record* record = records_[position_]; record != at_; record = record->older()) {
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
