// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "segment/cpu.hpp"
#include "segment/huge_buffer.hpp"

namespace varve::segment {

// A static B+-tree over ascending fence keys, for "which of them is the last one <= key": a run's
// sparse index and the route map. In memory only.
//
// Child c of a node holds the keys from fence c of the node on; the first child needs no fence, so
// a node of 32 children has 31 separators. A node keeps 8 bytes of each, its heads, behind a prefix
// that the node's separators share; it compares them all at once, and asks the fences themselves
// only where a head equals the key's.
//
// Memory: about 12.5 bytes a fence and the fences' own bytes, in one piece.
// Thread-safety: immutable once built.
class FenceTree {
 public:
  FenceTree() = default;
  // Requires: `fences` strictly ascending by unsigned bytes; fences[0] may be empty (minus
  // infinity). Out of order they give wrong answers, but valid ones. The bytes are copied. `pool`:
  // where its memory is from, see HugeBuffer.
  // Errors: std::bad_alloc.
  explicit FenceTree(std::span<const std::string_view> fences,
                     std::shared_ptr<ChunkPool> pool = nullptr);
  FenceTree(FenceTree&& other) noexcept { swap(other); }
  FenceTree& operator=(FenceTree&& other) noexcept {
    FenceTree(std::move(other)).swap(*this);
    return *this;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // The index of the last fence <= key; 0 when key is below fences[0]. Requires: size() > 0.
  [[nodiscard]] std::size_t find(std::string_view key) const noexcept;
  // The same by the instructions of one level, for tests. Requires: level <= simd_level().
  [[nodiscard]] std::size_t find(SimdLevel level, std::string_view key) const noexcept;
  // The two halves of find(): goes to the leaf of `key` and fetches it, which is most of the wait;
  // looks there. Leaf i leads to the fences from i * kFanout on. Requires: size() > 0.
  [[nodiscard]] std::size_t locate(std::string_view key) const noexcept;
  [[nodiscard]] std::size_t find_in(std::size_t leaf, std::string_view key) const noexcept;
  static constexpr std::size_t kFanout = 32;
  [[nodiscard]] std::string_view fence(std::size_t index) const noexcept {
    const std::uint64_t begin = fence_offset(index);
    return {heap_ + begin, fence_offset(index + 1) - begin};
  }
  [[nodiscard]] std::size_t memory_size() const noexcept { return sizeof *this + memory_.size(); }
  // What a tree over `count` fences of `fences_size` bytes together takes.
  [[nodiscard]] static std::size_t memory_size_of(std::size_t count,
                                                  std::size_t fences_size) noexcept;

 private:
  static constexpr std::size_t kFanoutBits = 5;
  static_assert(kFanout == std::size_t{1} << kFanoutBits);
  static constexpr std::size_t kLevelsMax = 64 / kFanoutBits + 1;

  // Separator i stands between children i - 1 and i; the header has the place that the first child
  // does not need. Four cache lines.
  struct alignas(64) Node {
    std::uint32_t prefix_size;  // Bytes in front of the heads.
    std::uint8_t child_count;   // In [1, kFanout].
    // The key may lack the prefix and must be compared with it. Otherwise the fences on both sides
    // of the node have it, and so has every key between them.
    bool compares_prefix;
    std::array<std::uint64_t, kFanout - 1> heads;  // Separators 1 and up; then all bits set.
  };
  static_assert(sizeof(Node) == kFanout * sizeof(std::uint64_t));
  // Separators of a node below the key's head, and equal to it.
  struct Rank {
    std::uint32_t less, equal;
  };
  using RankFunction = Rank (*)(const Node& node, std::uint64_t head) noexcept;
  // From node `index` of the level below `above` to a node of level `down_to`, or to a fence (0).
  struct Descent {
    std::size_t above, down_to, index;
  };
  using FindFunction = std::size_t (*)(const FenceTree& tree, std::string_view key,
                                       Descent descent) noexcept;
  struct Find;  // The variants of find() and what they share.
  friend struct Find;

  struct Shape;  // How many nodes there are, and how large all is.
  void swap(FenceTree& other) noexcept;
  void copy_fences(std::span<const std::string_view> fences) noexcept;
  void build_node(std::size_t level, std::size_t index) noexcept;
  [[nodiscard]] std::uint64_t fence_offset(std::size_t index) const noexcept {
    return group_offsets_[index >> kFanoutBits] + offsets_[index];
  }

  // What every find() needs comes first: it is one cache line.
  std::size_t level_count_ = 0;
  std::array<Node*, kLevelsMax> levels_{};  // [0] has the fences as separators; the root is last.
  std::size_t size_ = 0;
  HugeBuffer memory_;                       // Nodes, group offsets, offsets, heap.
  std::uint64_t* group_offsets_ = nullptr;  // In the heap, of each kFanout-th fence.
  std::uint32_t* offsets_ = nullptr;        // Of each fence, and of the end, within its group.
  char* heap_ = nullptr;                    // The fences, one after the other.
};

}  // namespace varve::segment
