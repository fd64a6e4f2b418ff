// SPDX-License-Identifier: Apache-2.0
#include "segment/key_heads.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#if VARVE_X86_SIMD
#include <immintrin.h>
#endif

namespace varve::segment {
namespace {

// Counts over whole groups, padding included: heads < head, and heads <= head. Counting has no
// branch that depends on the data.
struct Counts {
  std::size_t less, less_or_equal;
};
using CountGroups = Counts (*)(const char* heads, std::size_t group_count,
                               std::uint32_t head) noexcept;

std::uint32_t head_at(const char* heads, std::size_t index) noexcept {
  return directory::load_le<std::uint32_t>(heads + index * sizeof(std::uint32_t));
}

// Swaps bytes on big-endian machines, where the other variants do not exist.
Counts count_scalar(const char* heads, std::size_t group_count, std::uint32_t head) noexcept {
  std::uint32_t less = 0, less_or_equal = 0;
  for (std::size_t i = 0; i < group_count * kHeadGroup; ++i) {
    const std::uint32_t value = head_at(heads, i);
    less += value < head ? 1 : 0;
    less_or_equal += value <= head ? 1 : 0;
  }
  return {less, less_or_equal};
}

#if VARVE_X86_SIMD
// SSE2 and AVX2 compare signed numbers only: flipping the sign bit of both sides turns the unsigned
// order into the signed one. A true comparison is -1, so subtracting it counts.
Counts count_sse2(const char* heads, std::size_t group_count, std::uint32_t head) noexcept {
  const __m128i sign = _mm_set1_epi32(INT32_MIN);
  const __m128i wanted = _mm_xor_si128(_mm_set1_epi32(static_cast<int>(head)), sign);
  __m128i less = _mm_setzero_si128(), greater = _mm_setzero_si128();
  const char* const end = heads + group_count * kHeadGroupSize;
  for (const char* at = heads; at != end; at += sizeof(__m128i)) {
    const __m128i values =
        _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), sign);
    less = _mm_sub_epi32(less, _mm_cmplt_epi32(values, wanted));
    greater = _mm_sub_epi32(greater, _mm_cmpgt_epi32(values, wanted));
  }
  // Interleaved, both sums take one addition: lanes {less, greater, less, greater}.
  __m128i sums =
      _mm_add_epi32(_mm_unpacklo_epi32(less, greater), _mm_unpackhi_epi32(less, greater));
  sums = _mm_add_epi32(sums, _mm_unpackhi_epi64(sums, sums));
  const auto both = static_cast<std::uint64_t>(_mm_cvtsi128_si64(sums));
  return {both & 0xFFFFFFFF, group_count * kHeadGroup - (both >> 32)};
}

__attribute__((target("avx2"))) Counts count_avx2(const char* heads, std::size_t group_count,
                                                  std::uint32_t head) noexcept {
  const __m256i sign = _mm256_set1_epi32(INT32_MIN);
  const __m256i wanted = _mm256_xor_si256(_mm256_set1_epi32(static_cast<int>(head)), sign);
  __m256i less = _mm256_setzero_si256(), greater = _mm256_setzero_si256();
  const char* const end = heads + group_count * kHeadGroupSize;
  for (const char* at = heads; at != end; at += sizeof(__m256i)) {
    const __m256i values =
        _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)), sign);
    less = _mm256_sub_epi32(less, _mm256_cmpgt_epi32(wanted, values));
    greater = _mm256_sub_epi32(greater, _mm256_cmpgt_epi32(values, wanted));
  }
  const __m256i pairs =
      _mm256_add_epi32(_mm256_unpacklo_epi32(less, greater), _mm256_unpackhi_epi32(less, greater));
  __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  sums = _mm_add_epi32(sums, _mm_unpackhi_epi64(sums, sums));
  const auto both = static_cast<std::uint64_t>(_mm_cvtsi128_si64(sums));
  return {both & 0xFFFFFFFF, group_count * kHeadGroup - (both >> 32)};
}

__attribute__((target("avx512f,popcnt"))) Counts count_avx512(const char* heads,
                                                              std::size_t group_count,
                                                              std::uint32_t head) noexcept {
  static_assert(kHeadGroupSize == sizeof(__m512i));
  const __m512i wanted = _mm512_set1_epi32(static_cast<int>(head));
  std::size_t less = 0, less_or_equal = 0;
  for (std::size_t group = 0; group < group_count; ++group) {
    const __m512i values = _mm512_loadu_si512(heads + group * kHeadGroupSize);
    less += static_cast<std::size_t>(__builtin_popcount(_mm512_cmplt_epu32_mask(values, wanted)));
    less_or_equal +=
        static_cast<std::size_t>(__builtin_popcount(_mm512_cmple_epu32_mask(values, wanted)));
  }
  return {less, less_or_equal};
}
#endif

CountGroups variant(SimdLevel level) noexcept {
  switch (level) {
#if VARVE_X86_SIMD
    case SimdLevel::Avx512:
      return count_avx512;
    case SimdLevel::Avx2:
      return count_avx2;
    case SimdLevel::Sse2:
      return count_sse2;
#endif
    default:
      return count_scalar;
  }
}

Counts choose_and_count(const char* heads, std::size_t group_count, std::uint32_t head) noexcept;

// Chosen by the first call rather than by a static constructor, so that it works in one as well.
constinit std::atomic<CountGroups> g_count_groups = choose_and_count;

Counts choose_and_count(const char* heads, std::size_t group_count, std::uint32_t head) noexcept {
  const CountGroups chosen = variant(simd_level());
  g_count_groups.store(chosen, std::memory_order_relaxed);
  return chosen(heads, group_count, head);
}

// The first group in [from, group_count) whose last head passes `reached`; the last group when none
// does before it.
template <typename Reached>
std::size_t find_group(const char* heads, std::size_t from, std::size_t group_count,
                       Reached reached) noexcept {
  std::size_t first = from, last = group_count - 1;
  while (first < last) {
    const std::size_t middle = first + (last - first) / 2;
    if (reached(head_at(heads, middle * kHeadGroup + kHeadGroup - 1))) {
      last = middle;
    } else {
      first = middle + 1;
    }
  }
  return first;
}

// Above this many heads, a binary search over groups costs less than counting through all of them.
constexpr std::size_t kCountedHeadsMax = 128;

inline HeadRange equal_range_with(CountGroups count_groups, const char* heads, std::size_t count,
                                  std::uint32_t head) noexcept {
  const std::size_t group_count = (count + kHeadGroup - 1) / kHeadGroup;
  if (count <= kCountedHeadsMax) {
    const Counts counts = count_groups(heads, group_count, head);
    // The padding is equal to the largest head, and only to that one.
    return {std::min(counts.less, count), std::min(counts.less_or_equal, count)};
  }
  const std::size_t first_group =
      find_group(heads, 0, group_count, [head](std::uint32_t last) { return last >= head; });
  // Nearly always the same group: long runs of equal heads are rare.
  const auto passes = [head](std::uint32_t last) { return last > head; };
  const bool ends_there = passes(head_at(heads, first_group * kHeadGroup + kHeadGroup - 1));
  const std::size_t last_group =
      ends_there ? first_group : find_group(heads, first_group, group_count, passes);
  Counts counts = count_groups(heads + first_group * kHeadGroupSize, 1, head);
  const std::size_t first = first_group * kHeadGroup + counts.less;
  if (last_group != first_group) {
    counts = count_groups(heads + last_group * kHeadGroupSize, 1, head);
  }
  const std::size_t last = last_group * kHeadGroup + counts.less_or_equal;
  return {std::min(first, count), std::min(std::max(first, last), count)};
}

}  // namespace

void store_key_heads(char* to, std::span<const std::uint32_t> heads) noexcept {
  for (std::size_t i = 0; i < heads.size(); ++i) {
    directory::store_le(to + i * sizeof(std::uint32_t), heads[i]);
  }
  const std::size_t size = heads.size() * sizeof(std::uint32_t);
  std::memset(to + size, 0xFF, key_heads_size(heads.size()) - size);
}

HeadRange equal_range(const char* heads, std::size_t count, std::uint32_t head) noexcept {
  return equal_range_with(g_count_groups.load(std::memory_order_relaxed), heads, count, head);
}

HeadRange equal_range(SimdLevel level, const char* heads, std::size_t count,
                      std::uint32_t head) noexcept {
  return equal_range_with(variant(level), heads, count, head);
}

}  // namespace varve::segment
