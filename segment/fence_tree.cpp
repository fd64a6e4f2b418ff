// SPDX-License-Identifier: Apache-2.0
#include "segment/fence_tree.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "directory/bytes.hpp"
#include "directory/check.hpp"
#include "directory/mutant.hpp"
#include "segment/key_bytes.hpp"

#if VARVE_X86_SIMD
#include <immintrin.h>
#endif

namespace varve::segment {
namespace {

// key_head8() of a key in memory that may be read up to `end`.
inline std::uint64_t head_in_front_of(const char* end, std::string_view key,
                                      std::size_t skip) noexcept {
  constexpr std::size_t kSize = sizeof(std::uint64_t);
  if (key.size() <= skip || static_cast<std::size_t>(end - key.data()) - skip < kSize) {
    return key_head8(key, skip);
  }
  const auto head = directory::load_be<std::uint64_t>(key.data() + skip);
  const std::size_t size = key.size() - skip;
  return size >= kSize ? head : head & ~(~std::uint64_t{0} >> (8 * size));
}

std::size_t common_prefix_size(std::string_view a, std::string_view b) noexcept {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(in_a - a.begin());
}

constexpr std::size_t groups_of(std::size_t count, std::size_t bits) noexcept {
  return (count + (std::size_t{1} << bits) - 1) >> bits;
}

}  // namespace

struct FenceTree::Find {
  // Where in [0, child_count) the key belongs when heads cannot tell; rare.
  [[gnu::noinline]] static std::size_t resolve_tie(const FenceTree& tree, const Node& node,
                                                   std::size_t level, std::size_t first_child,
                                                   Rank rank, std::string_view key) noexcept {
    const std::string_view suffix = key.substr(std::min<std::size_t>(node.prefix_size, key.size()));
    // Invariant: separator `below` is <= key (or is 0, which stands for all below), and separators
    // from `above` on are greater.
    std::size_t below = rank.less, above = rank.less + rank.equal + 1;
    while (above - below > 1) {
      const std::size_t middle = below + (above - below) / 2;
      const std::string_view fence = tree.fence((first_child + middle) << (level * kFanoutBits));
      const int order =
          fence.substr(std::min<std::size_t>(node.prefix_size, fence.size())).compare(suffix);
      if (order < 0 || (order == 0 && !VARVE_MUTANT("sparse_index.off_by_one"))) {
        below = middle;
      } else {
        above = middle;
      }
    }
    return below;
  }

  // Negative, zero or positive as the key is below, within or above what has the node's prefix.
  static int compare_prefix(const FenceTree& tree, const Node& node, std::size_t level,
                            std::size_t first_child, std::string_view key) noexcept {
    const char* const prefix =
        tree.heap_ + tree.fence_offset((first_child + 1) << (level * kFanoutBits));
    const std::size_t size = std::min<std::size_t>(key.size(), node.prefix_size);
    // An empty key may have no bytes to point to.
    const int order = size == 0 ? 0 : std::memcmp(key.data(), prefix, size);
    return order != 0 ? order : (size < node.prefix_size ? -1 : 0);
  }

  template <RankFunction rank_in>
  static inline std::size_t find(const FenceTree& tree, std::string_view key,
                                 Descent descent) noexcept {
    std::size_t index = descent.index;
    for (std::size_t level = descent.above; level-- > descent.down_to;) {
      const Node& node = tree.levels_[level][index];
      const std::size_t first_child = index << kFanoutBits;
      if (node.compares_prefix) {
        const int order = compare_prefix(tree, node, level, first_child, key);
        if (order != 0) {
          index = first_child + (order < 0 ? 0 : node.child_count - 1U);
          continue;
        }
      }
      const Rank rank = rank_in(node, key_head8(key, node.prefix_size));
      const std::size_t child =
          rank.equal == 0 ? rank.less : resolve_tie(tree, node, level, first_child, rank, key);
      index = first_child + child;
    }
    return index;
  }

  static Rank rank_scalar(const Node& node, std::uint64_t head) noexcept {
    // Branchless: each step halves the separators that are left, and 31 is one less than 2^5.
    const auto count_below = [&](auto below) noexcept {
      std::size_t count = 0;
      for (std::size_t step = kFanout / 2; step != 0; step /= 2) {
        count += below(node.heads[count + step - 1]) ? step : 0;
      }
      return std::min<std::size_t>(count, node.child_count - 1U);
    };
    const std::size_t less = count_below([head](std::uint64_t other) { return other < head; });
    if (less == node.child_count - 1U || node.heads[less] != head) {
      return {static_cast<std::uint32_t>(less), 0};
    }
    const std::size_t up_to = count_below([head](std::uint64_t other) { return other <= head; });
    return {static_cast<std::uint32_t>(less), static_cast<std::uint32_t>(up_to - less)};
  }
  static std::size_t scalar(const FenceTree& tree, std::string_view key, Descent descent) noexcept {
    return find<rank_scalar>(tree, key, descent);
  }

#if VARVE_X86_SIMD
  // Bit i: separator i exists. Bit 0 is the header's place.
  static std::uint32_t separators_of(const Node& node) noexcept {
    return static_cast<std::uint32_t>((std::uint64_t{1} << node.child_count) - 2);
  }

  // The separators that are below are added up lane by lane, and those that are equal are looked
  // for first and counted only if there are any: the next node waits for this one's answer.
  __attribute__((target("avx2,popcnt"))) static inline Rank rank_avx2(const Node& node,
                                                                      std::uint64_t head) noexcept {
    const __m256i sign = _mm256_set1_epi64x(INT64_MIN);  // Only signed numbers can be compared.
    const __m256i wanted = _mm256_set1_epi64x(static_cast<std::int64_t>(head));
    const __m256i signed_wanted = _mm256_xor_si256(wanted, sign);
    const auto* const words = reinterpret_cast<const __m256i*>(&node);
    const __m256i no_header = _mm256_set_epi64x(-1, -1, -1, 0);
    __m256i less[kFanout / 4], equal[kFanout / 4];
    for (unsigned i = 0; i < kFanout / 4; ++i) {
      const __m256i values = _mm256_load_si256(words + i);
      less[i] = _mm256_cmpgt_epi64(signed_wanted, _mm256_xor_si256(values, sign));
      equal[i] = _mm256_cmpeq_epi64(values, wanted);
    }
    // What fills the node has all bits set, and is below nothing.
    less[0] = _mm256_and_si256(less[0], no_header);
    equal[0] = _mm256_and_si256(equal[0], no_header);
    for (unsigned step = kFanout / 8; step != 0; step /= 2) {
      for (unsigned i = 0; i < step; ++i) {
        less[i] = _mm256_add_epi64(less[i], less[i + step]);
        equal[i] = _mm256_add_epi64(equal[i], equal[i + step]);
      }
    }
    const std::uint32_t less_count = negated_sum_avx2(less[0]);
    if (_mm256_testz_si256(equal[0], equal[0]) != 0) [[likely]]
      return {less_count, 0};
    // Of what fills the node, and may be equal, none is a separator.
    const std::uint32_t separators = node.child_count - 1U;
    return {less_count, std::min(negated_sum_avx2(equal[0]), separators - less_count)};
  }
  __attribute__((target("avx2,popcnt"))) static inline std::uint32_t negated_sum_avx2(
      __m256i lanes) noexcept {
    const __m128i pair =
        _mm_add_epi64(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    const __m128i sum = _mm_add_epi64(pair, _mm_unpackhi_epi64(pair, pair));
    return static_cast<std::uint32_t>(-_mm_cvtsi128_si64(sum));
  }
  __attribute__((target("avx2,popcnt"), flatten)) static std::size_t avx2(
      const FenceTree& tree, std::string_view key, Descent descent) noexcept {
    return find<rank_avx2>(tree, key, descent);
  }

  __attribute__((target("avx512f,popcnt"))) static inline Rank rank_avx512(
      const Node& node, std::uint64_t head) noexcept {
    const __m512i wanted = _mm512_set1_epi64(static_cast<std::int64_t>(head));
    const char* const words = reinterpret_cast<const char*>(&node);
    std::uint32_t less = 0, equal = 0;
    for (unsigned i = 0; i < kFanout / 8; ++i) {
      const __m512i values = _mm512_load_si512(words + i * sizeof(__m512i));
      less |= std::uint32_t{_mm512_cmplt_epu64_mask(values, wanted)} << (8 * i);
      equal |= std::uint32_t{_mm512_cmpeq_epi64_mask(values, wanted)} << (8 * i);
    }
    const std::uint32_t separators = separators_of(node);
    return {static_cast<std::uint32_t>(std::popcount(less & separators)),
            static_cast<std::uint32_t>(std::popcount(equal & separators))};
  }
  __attribute__((target("avx512f,popcnt"), flatten)) static std::size_t avx512(
      const FenceTree& tree, std::string_view key, Descent descent) noexcept {
    return find<rank_avx512>(tree, key, descent);
  }
#endif

  static FindFunction variant(SimdLevel level) noexcept {
#if VARVE_X86_SIMD
    if (level == SimdLevel::Avx512) return avx512;
    if (level == SimdLevel::Avx2) return avx2;
#endif
    static_cast<void>(level);  // SSE2 cannot compare 64-bit numbers.
    return scalar;
  }

  static std::size_t choose_and_find(const FenceTree& tree, std::string_view key,
                                     Descent descent) noexcept {
    const FindFunction found = variant(simd_level());
    chosen.store(found, std::memory_order_relaxed);
    return found(tree, key, descent);
  }

  // Chosen by the first call rather than by a static constructor, so that it works in one as well.
  static std::atomic<FindFunction> chosen;
};

constinit std::atomic<FenceTree::FindFunction> FenceTree::Find::chosen =
    FenceTree::Find::choose_and_find;

// Requires: size > 0.
struct FenceTree::Shape {
  explicit Shape(std::size_t size) noexcept : group_count(size / kFanout + 1) {
    std::size_t node_count = 0;
    for (std::size_t count = size; level_count == 0 || count > 1; ++level_count) {
      count = groups_of(count, kFanoutBits);
      counts[level_count] = count;
      node_count += count;
    }
    tables_size = node_count * sizeof(Node) + group_count * sizeof(std::uint64_t) +
                  (size + 1) * sizeof(std::uint32_t);
  }
  std::size_t group_count;  // The end of the heap is an offset as well.
  std::size_t level_count = 0;
  std::array<std::size_t, kLevelsMax> counts{};  // Nodes of each level.
  std::size_t tables_size = 0;                   // Bytes of all but the heap.
};

std::size_t FenceTree::memory_size_of(std::size_t count, std::size_t fences_size) noexcept {
  return sizeof(FenceTree) + (count == 0 ? 0 : Shape(count).tables_size + fences_size);
}

FenceTree::FenceTree(std::span<const std::string_view> fences, std::shared_ptr<ChunkPool> pool)
    : size_(fences.size()) {
  if (fences.empty()) return;
  const Shape shape(size_);
  level_count_ = shape.level_count;
  const auto& counts = shape.counts;
  std::size_t heap_size = 0;
  for (const std::string_view fence : fences) heap_size += fence.size();

  memory_ = HugeBuffer(shape.tables_size + heap_size, std::move(pool));
  auto* node = reinterpret_cast<Node*>(memory_.data());
  for (std::size_t level = level_count_; level-- > 0;) {  // The root first: hot nodes together.
    levels_[level] = node;
    node += counts[level];
  }
  group_offsets_ = reinterpret_cast<std::uint64_t*>(node);
  offsets_ = reinterpret_cast<std::uint32_t*>(group_offsets_ + shape.group_count);
  heap_ = reinterpret_cast<char*>(offsets_ + size_ + 1);
  copy_fences(fences);
  for (std::size_t level = 0; level < level_count_; ++level) {
    for (std::size_t index = 0; index < counts[level]; ++index) build_node(level, index);
  }
}

void FenceTree::copy_fences(std::span<const std::string_view> fences) noexcept {
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i <= size_; ++i) {
    if (i % kFanout == 0) group_offsets_[i / kFanout] = offset;
    const std::uint64_t in_group = offset - group_offsets_[i / kFanout];
    VARVE_CHECK(in_group <= std::numeric_limits<std::uint32_t>::max());
    offsets_[i] = static_cast<std::uint32_t>(in_group);
    if (i == size_) break;
    if (!fences[i].empty()) std::memcpy(heap_ + offset, fences[i].data(), fences[i].size());
    offset += fences[i].size();
  }
}

void FenceTree::build_node(std::size_t level, std::size_t index) noexcept {
  const std::size_t shift = level * kFanoutBits;
  const std::size_t first = (index << kFanoutBits) << shift;
  const std::size_t next_node = ((index + 1) << kFanoutBits) << shift;  // Its first fence.
  const std::size_t child_count = std::min(kFanout, groups_of(size_ - first, shift));
  const auto separator = [&](std::size_t child) { return fence(first + (child << shift)); };

  auto* const node = new (&levels_[level][index]) Node;
  node->child_count = static_cast<std::uint8_t>(child_count);
  node->compares_prefix = false;
  node->prefix_size = 0;
  node->heads.fill(std::numeric_limits<std::uint64_t>::max());
  if (child_count == 1) return;

  const auto shared_size = [&] {
    return common_prefix_size(separator(1), separator(child_count - 1));
  };
  const char* const heap_end = heap_ + fence_offset(size_);
  const auto fill = [&](std::size_t prefix_size) {
    node->prefix_size = static_cast<std::uint32_t>(prefix_size);
    for (std::size_t child = 1; child < child_count; ++child) {
      node->heads[child - 1] = head_in_front_of(heap_end, separator(child), prefix_size);
    }
  };
  const auto begin = node->heads.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(child_count - 1);
  if (index != 0 && next_node < size_) {
    const std::size_t implied = common_prefix_size(fence(first), fence(next_node));
    fill(implied);
    // Where heads tie behind what is implied, comparing a longer prefix costs less than the ties.
    if (std::adjacent_find(begin, end) == end || shared_size() <= implied) return;
  }
  // Keys below the first fence come to the first node of each level, and keys of any prefix come to
  // the last.
  fill(shared_size());
  node->compares_prefix = node->prefix_size != 0;
}

std::size_t FenceTree::find(std::string_view key) const noexcept {
  VARVE_DCHECK(size_ > 0);
  return Find::chosen.load(std::memory_order_relaxed)(
      *this, key, {.above = level_count_, .down_to = 0, .index = 0});
}

std::size_t FenceTree::find(SimdLevel level, std::string_view key) const noexcept {
  return Find::variant(level)(*this, key, {.above = level_count_, .down_to = 0, .index = 0});
}

std::size_t FenceTree::locate(std::string_view key) const noexcept {
  VARVE_DCHECK(size_ > 0);
  const std::size_t leaf = Find::chosen.load(std::memory_order_relaxed)(
      *this, key, {.above = level_count_, .down_to = 1, .index = 0});
  const char* const node = reinterpret_cast<const char*>(levels_[0] + leaf);
  for (std::size_t offset = 0; offset < sizeof(Node); offset += 64) {
    __builtin_prefetch(node + offset);
  }
  return leaf;
}

std::size_t FenceTree::find_in(std::size_t leaf, std::string_view key) const noexcept {
  return Find::chosen.load(std::memory_order_relaxed)(*this, key,
                                                      {.above = 1, .down_to = 0, .index = leaf});
}

void FenceTree::swap(FenceTree& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  std::swap(level_count_, other.level_count_);
  std::swap(levels_, other.levels_);
  std::swap(group_offsets_, other.group_offsets_);
  std::swap(offsets_, other.offsets_);
  std::swap(heap_, other.heap_);
}

}  // namespace varve::segment
