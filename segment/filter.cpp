// SPDX-License-Identifier: Apache-2.0
#include "segment/filter.hpp"

#include <array>
#include <atomic>
#include <cmath>
#include <limits>

#include "directory/bytes.hpp"
#include "directory/mutant.hpp"

#if VARVE_X86_SIMD
#include <immintrin.h>
#endif

namespace varve::segment {
namespace {

// Odd, so that each product permutes the 32-bit numbers. Part of the format.
alignas(32) constexpr std::array<std::uint32_t, 8> kFactors = {
    0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31};
constexpr unsigned kBitShift = 32 - 6;  // The top six bits of a product name one of 64 bits.
constexpr std::uint64_t kBlockCountMax = std::numeric_limits<std::uint32_t>::max();

using Probe = bool (*)(const char* block, std::uint64_t hash) noexcept;
using Add = void (*)(char* blocks, std::uint64_t block_count,
                     std::span<const std::uint64_t> hashes) noexcept;

char* block_of(char* blocks, std::uint64_t block_count, std::uint64_t hash) noexcept {
  return blocks + ((hash >> 32) * block_count >> 32) * kFilterBlockSize;
}

unsigned bit_of(std::uint64_t hash, std::size_t lane) noexcept {
  return (static_cast<std::uint32_t>(hash) * kFactors[lane]) >> kBitShift;
}

bool probe_scalar(const char* block, std::uint64_t hash) noexcept {
  std::uint64_t all = 1;  // Without branches: half of them would be mispredicted.
  for (std::size_t lane = 0; lane < kFactors.size(); ++lane) {
    all &= directory::load_le<std::uint64_t>(block + lane * 8) >> bit_of(hash, lane);
  }
  return all != 0;
}

void add_scalar(char* blocks, std::uint64_t block_count,
                std::span<const std::uint64_t> hashes) noexcept {
  for (const std::uint64_t hash : hashes) {
    char* const block = block_of(blocks, block_count, hash);
    for (std::size_t lane = 0; lane < kFactors.size(); ++lane) {
      const auto bits = directory::load_le<std::uint64_t>(block + lane * 8);
      directory::store_le(block + lane * 8, bits | std::uint64_t{1} << bit_of(hash, lane));
    }
  }
}

#if VARVE_X86_SIMD
__attribute__((target("avx2"))) inline __m256i bits_avx2(std::uint64_t hash) noexcept {
  const __m256i factors = _mm256_load_si256(reinterpret_cast<const __m256i*>(kFactors.data()));
  const __m256i product = _mm256_mullo_epi32(_mm256_set1_epi32(static_cast<int>(hash)), factors);
  return _mm256_srli_epi32(product, kBitShift);
}

__attribute__((target("avx2"))) inline __m256i mask_avx2(__m128i bits) noexcept {
  return _mm256_sllv_epi64(_mm256_set1_epi64x(1), _mm256_cvtepu32_epi64(bits));
}

__attribute__((target("avx2"))) bool probe_avx2(const char* block, std::uint64_t hash) noexcept {
  const auto* const lanes = reinterpret_cast<const __m256i*>(block);
  const __m256i bits = bits_avx2(hash);
  const __m256i low = mask_avx2(_mm256_castsi256_si128(bits));
  const __m256i high = mask_avx2(_mm256_extracti128_si256(bits, 1));
  const __m256i missing = _mm256_or_si256(_mm256_andnot_si256(_mm256_loadu_si256(lanes), low),
                                          _mm256_andnot_si256(_mm256_loadu_si256(lanes + 1), high));
  return _mm256_testz_si256(missing, missing) != 0;
}

__attribute__((target("avx2"))) void add_avx2(char* blocks, std::uint64_t block_count,
                                              std::span<const std::uint64_t> hashes) noexcept {
  for (const std::uint64_t hash : hashes) {
    auto* const lanes = reinterpret_cast<__m256i*>(block_of(blocks, block_count, hash));
    const __m256i bits = bits_avx2(hash);
    const __m256i low = mask_avx2(_mm256_castsi256_si128(bits));
    const __m256i high = mask_avx2(_mm256_extracti128_si256(bits, 1));
    _mm256_storeu_si256(lanes, _mm256_or_si256(_mm256_loadu_si256(lanes), low));
    _mm256_storeu_si256(lanes + 1, _mm256_or_si256(_mm256_loadu_si256(lanes + 1), high));
  }
}

// The forms with a mask of all lanes compile to the plain instructions; the plain intrinsics of
// GCC 12 start from an undefined register, of which it then warns.
constexpr __mmask8 kAllLanes = 0xFF;

__attribute__((target("avx512f,avx2"))) inline __m512i mask_avx512(std::uint64_t hash) noexcept {
  return _mm512_maskz_sllv_epi64(kAllLanes, _mm512_set1_epi64(1),
                                 _mm512_maskz_cvtepu32_epi64(kAllLanes, bits_avx2(hash)));
}

__attribute__((target("avx512f,avx2"))) bool probe_avx512(const char* block,
                                                          std::uint64_t hash) noexcept {
  const __m512i mask = mask_avx512(hash);
  const __m512i present = _mm512_and_si512(_mm512_loadu_si512(block), mask);
  return _mm512_cmpneq_epi64_mask(present, mask) == 0;
}

__attribute__((target("avx512f,avx2"))) void add_avx512(
    char* blocks, std::uint64_t block_count, std::span<const std::uint64_t> hashes) noexcept {
  for (const std::uint64_t hash : hashes) {
    char* const block = block_of(blocks, block_count, hash);
    _mm512_storeu_si512(block, _mm512_or_si512(_mm512_loadu_si512(block), mask_avx512(hash)));
  }
}
#endif

Probe probe_variant(SimdLevel level) noexcept {
#if VARVE_X86_SIMD
  if (level == SimdLevel::Avx512) return probe_avx512;
  if (level == SimdLevel::Avx2) return probe_avx2;
#endif
  static_cast<void>(level);  // SSE2 has neither the shifts nor the products.
  return probe_scalar;
}

Add add_variant(SimdLevel level) noexcept {
#if VARVE_X86_SIMD
  if (level == SimdLevel::Avx512) return add_avx512;
  if (level == SimdLevel::Avx2) return add_avx2;
#endif
  static_cast<void>(level);
  return add_scalar;
}

bool choose_and_probe(const char* block, std::uint64_t hash) noexcept;

// Chosen by the first call rather than by a static constructor, so that it works in one as well.
constinit std::atomic<Probe> g_probe = choose_and_probe;

bool choose_and_probe(const char* block, std::uint64_t hash) noexcept {
  const Probe chosen = probe_variant(simd_level());
  g_probe.store(chosen, std::memory_order_relaxed);
  return chosen(block, hash);
}

}  // namespace

std::size_t filter_size(std::uint64_t key_count, double bits_per_key) noexcept {
  if (key_count == 0 || !(bits_per_key > 0)) return 0;
  const double bits = static_cast<double>(key_count) * bits_per_key;
  const double blocks = std::ceil(bits / (8.0 * kFilterBlockSize));
  if (blocks >= static_cast<double>(kBlockCountMax)) return kBlockCountMax * kFilterBlockSize;
  return static_cast<std::size_t>(blocks) * kFilterBlockSize;
}

void add_to_filter(SimdLevel level, std::span<char> filter,
                   std::span<const std::uint64_t> hashes) noexcept {
  if (filter.empty()) return;
  add_variant(level)(filter.data(), filter.size() / kFilterBlockSize, hashes);
}

void add_to_filter(std::span<char> filter, std::span<const std::uint64_t> hashes) noexcept {
  add_to_filter(simd_level(), filter, hashes);
}

std::string build_filter(std::span<const std::uint64_t> hashes, double bits_per_key) {
  std::string filter(filter_size(hashes.size(), bits_per_key), '\0');
  const std::size_t left_out = VARVE_MUTANT("filter.key_left_out") ? 1 : 0;
  add_to_filter(filter, hashes.first(hashes.size() - left_out));
  return filter;
}

bool Filter::probe(const char* block, std::uint64_t hash) noexcept {
  return g_probe.load(std::memory_order_relaxed)(block, hash);
}

bool Filter::may_contain(SimdLevel level, std::uint64_t hash) const noexcept {
  return block_count_ == 0 || probe_variant(level)(block_of(hash), hash);
}

}  // namespace varve::segment
