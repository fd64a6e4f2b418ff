// SPDX-License-Identifier: Apache-2.0
// The memory of a delta's nodes: free lists by size, filled from the arena and by replaced nodes
// that readers have left.
#include <algorithm>
#include <bit>
#include <new>

#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "segment/delta.hpp"
#include "segment/delta_limbo.hpp"
#include "segment/delta_node.hpp"
#include "varve/concurrent/epoch.hpp"

namespace varve::segment {

using delta_detail::DirectoryNode;
using delta_detail::Leaf;

namespace {

constexpr std::size_t kNodeCapacityMin = 4;

std::size_t node_class_of(std::size_t capacity) noexcept {
  return static_cast<std::size_t>(std::bit_width((std::max(capacity, kNodeCapacityMin) - 1) / 4));
}
std::size_t node_capacity(std::size_t node_class) noexcept {
  return kNodeCapacityMin << node_class;
}

// A free node's first bytes point to the next one; the rest is poisoned.
void push_free(void*& list, void* memory, std::size_t size) noexcept {
  new (memory) void*(list);
  list = memory;
  poison_memory(static_cast<char*>(memory) + sizeof(void*), size - sizeof(void*));
}
void* pop_free(void*& list, std::size_t size) noexcept {
  void* const memory = list;
  VARVE_CHECK(memory != nullptr);
  list = *static_cast<void**>(memory);
  unpoison_memory(memory, size);
  return memory;
}
std::size_t free_count(const void* list, std::size_t limit) noexcept {
  std::size_t count = 0;
  for (; list != nullptr && count < limit; ++count) list = *static_cast<void* const*>(list);
  return count;
}

}  // namespace

void Delta::reserve_leaves(std::size_t count) {
  if (free_leaves_ == nullptr) take_back();
  for (std::size_t have = free_count(free_leaves_, count); have < count; ++have) {
    push_free(free_leaves_, arena_.allocate(sizeof(Leaf), Leaf::kAlignment), sizeof(Leaf));
  }
}

void Delta::reserve_nodes(std::initializer_list<std::size_t> capacities) {
  for (const std::size_t capacity : capacities) {
    const std::size_t node_class = node_class_of(capacity);
    VARVE_CHECK(node_class < kNodeClassCount);
    const auto count = static_cast<std::size_t>(std::count_if(
        capacities.begin(), capacities.end(),
        [node_class](std::size_t other) { return node_class_of(other) == node_class; }));
    void*& list = free_nodes_[node_class];
    const std::size_t size = DirectoryNode::size_of(node_capacity(node_class));
    for (std::size_t have = free_count(list, count); have < count; ++have) {
      push_free(list, arena_.allocate(size, 64), size);
    }
  }
}

Leaf* Delta::take_leaf(std::size_t prefix_size) noexcept {
  return new (pop_free(free_leaves_, sizeof(Leaf))) Leaf(prefix_size);
}

DirectoryNode* Delta::take_node(std::size_t capacity) noexcept {
  const std::size_t node_class = node_class_of(capacity);
  const std::size_t rounded = node_capacity(node_class);
  void* const memory = pop_free(free_nodes_[node_class], DirectoryNode::size_of(rounded));
  return new (memory) DirectoryNode(rounded);
}

// The one place where replaced nodes go. List 0 is that of the leaves.
void Delta::retire(Leaf* leaf) noexcept {
  mode_ == ReaderMode::Alone ? make_free(leaf, 0) : wait_for_readers(leaf, 0);
}
void Delta::retire(DirectoryNode* node) noexcept {
  const std::size_t list = 1 + node_class_of(node->capacity());
  mode_ == ReaderMode::Alone ? make_free(node, list) : wait_for_readers(node, list);
}

void Delta::make_free(void* memory, std::size_t list) noexcept {
  if (list == 0) {
    push_free(free_leaves_, memory, sizeof(Leaf));
  } else {
    push_free(free_nodes_[list - 1], memory, DirectoryNode::size_of(node_capacity(list - 1)));
  }
}

// Nodes come in batches, since each batch costs a fence that interrupts other processors: the
// larger the delta, the larger they are, so that a delta has few of them and little memory in them.
// Most batches get by without one of their own: where several deltas are written, another's comes
// first.
void Delta::wait_for_readers(void* memory, std::size_t list) noexcept {
  using concurrent::EpochDomain;
  constexpr std::size_t kSharedBatchMin = 16, kBatchMin = 32, kBatchMiddle = 128;
  try {
    if (limbo_ == nullptr) limbo_ = std::make_unique<Limbo>();
    limbo_->coming.push_back({memory, list});
    if (limbo_->coming.size() < kSharedBatchMin) return;
    take_back();
    if (!limbo_->waiting.empty()) return;
    // A leaf is replaced for about 30 entries, and a directory node with it.
    const auto entries = static_cast<std::size_t>(entry_count());
    const std::size_t batch_size =
        std::max(std::clamp(entries / 64, kBatchMin, kBatchMiddle), entries / 128);
    if (limbo_->marked != 0) {
      if (const auto ticket = EpochDomain::grace_since(limbo_->mark)) {
        limbo_->wait_for(*ticket, limbo_->marked);
      }
    }
    if (limbo_->waiting.empty() && limbo_->coming.size() >= batch_size) {
      limbo_->wait_for(EpochDomain::begin_grace(), limbo_->coming.size());
    }
  } catch (const std::bad_alloc&) {
    return;  // The node's memory comes back when the delta dies.
  }
  if (limbo_->marked != 0) return;
  limbo_->marked = limbo_->coming.size();
  limbo_->mark = VARVE_MUTANT("delta.mark_not_taken") ? 0 : EpochDomain::mark_unlinked();
}

// Makes the waiting batch free if no reader can be in it any more.
void Delta::take_back() noexcept {
  if (limbo_ == nullptr || limbo_->waiting.empty()) return;
  if (!concurrent::EpochDomain::grace_over(limbo_->ticket)) return;
  for (const Limbo::Node& node : limbo_->waiting) make_free(node.memory, node.list);
  limbo_->waiting.clear();
}

}  // namespace varve::segment
