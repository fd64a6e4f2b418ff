// SPDX-License-Identifier: Apache-2.0
#include "segment/delta_filter.hpp"

#include <algorithm>
#include <bit>
#include <new>

#include "directory/mutant.hpp"

namespace varve::segment::delta_detail {
namespace {

// The first table is small, as most deltas of an index with thousands of segments may stay so, and
// thin, as its bits are copied.
constexpr std::uint64_t kFirstSize = 128;  // Words.
constexpr std::uint64_t kFirstKeysPerWord = 1;
constexpr std::uint64_t kKeysPerWord = 8;
constexpr std::uint64_t kGrowth = 4;
constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 27;  // 1 GiB.

}  // namespace

void DeltaFilter::add(std::uint64_t hash, Fill& fill) noexcept {
  Word& word = Table(table_.load(std::memory_order_relaxed)).word_of(hash);
  const std::uint64_t bits = bits_of(hash);
  const std::uint64_t present = word.load(std::memory_order_relaxed);
  if ((present & bits) == bits) return;  // Most likely a key that is there already.
  word.store(present | bits, std::memory_order_relaxed);
  ++fill.key_count;
}

void DeltaFilter::grow(Arena& arena, std::uint64_t expected_count, Fill& fill) {
  const Table old(table_.load(std::memory_order_relaxed));
  std::uint64_t size = kFirstSize;
  if (old.words() != nullptr) {
    const std::uint64_t expected = std::bit_ceil(std::min(expected_count / kKeysPerWord, kSizeMax));
    size = std::min(std::max(old.size() * kGrowth, expected), kSizeMax);
  }
  auto* const words =
      reinterpret_cast<Word*>(arena.allocate(size * sizeof(Word), Table::kAlignment));
  for (std::uint64_t i = 0; i < size; ++i) {
    const bool empty = old.words() == nullptr || VARVE_MUTANT("delta.filter_grows_empty");
    const Word* const from = empty ? nullptr : old.words() + i % old.size();
    new (words + i) Word(from == nullptr ? 0 : from->load(std::memory_order_relaxed));
  }
  const auto packed = reinterpret_cast<std::uintptr_t>(words);
  table_.store(packed | static_cast<std::uintptr_t>(std::countr_zero(size)),
               std::memory_order_release);
  fill.key_limit = size == kSizeMax         ? std::uint64_t{1} << 63
                   : old.words() == nullptr ? size * kFirstKeysPerWord
                                            : size * kKeysPerWord;
}

}  // namespace varve::segment::delta_detail
