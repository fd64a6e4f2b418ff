// SPDX-License-Identifier: Apache-2.0
#include "segment/arena.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <limits>
#include <mutex>
#include <new>
#include <vector>

#include "directory/check.hpp"

// Declared here because <sanitizer/asan_interface.h> is not on every system; called only with ASan.
extern "C" {
void __asan_poison_memory_region(const volatile void* begin, std::size_t size);    // NOLINT
void __asan_unpoison_memory_region(const volatile void* begin, std::size_t size);  // NOLINT
}

namespace varve::segment {

namespace {

constexpr std::size_t kRegionSize = ChunkPool::kRegionSize;
constexpr std::size_t kUnit = ChunkPool::kUnit;
constexpr std::size_t kUnitCount = kRegionSize / kUnit;

std::size_t round_up(std::size_t size, std::size_t unit) noexcept {
  return (size + unit - 1) / unit * unit;
}

char* map_pages(std::size_t size) {
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<char*>(memory);
}

void unmap_pages(char* memory, std::size_t size) noexcept {
  unpoison_memory(memory, size);  // Whatever is mapped here next starts clean.
  ::munmap(memory, size);
}

// Aligned to kRegionSize where a huge page would fit, so that the kernel can use one.
char* map_for_huge_pages(std::size_t size) {
  if (size < kRegionSize) return map_pages(size);
  char* const memory = map_pages(size + kRegionSize);
  const std::size_t before =
      static_cast<std::size_t>(-reinterpret_cast<std::uintptr_t>(memory)) % kRegionSize;
  if (before != 0) ::munmap(memory, before);
  if (before != kRegionSize) ::munmap(memory + before + size, kRegionSize - before);
#if defined(MADV_HUGEPAGE)
  ::madvise(memory + before, size, MADV_HUGEPAGE);  // A hint: its failure costs only speed.
#endif
  return memory + before;
}

// One bit a unit; set: handed out.
class UnitMap {
 public:
  [[nodiscard]] std::size_t free_count() const noexcept { return free_count_; }
  // The first of `count` free units in a row, kUnitCount when there are none.
  [[nodiscard]] std::size_t find_free(std::size_t count) const noexcept {
    if (count > free_count_) return kUnitCount;
    std::size_t run = 0;
    for (std::size_t unit = 0; unit < kUnitCount;) {
      const std::uint64_t rest = words_[unit / 64] >> (unit % 64);
      const std::size_t left = 64 - unit % 64;
      const auto free =
          std::min<std::size_t>(static_cast<std::size_t>(std::countr_zero(rest)), left);
      if (run + free >= count) return unit - run;
      unit += free;
      run += free;
      if (free == left) continue;
      unit += std::min<std::size_t>(static_cast<std::size_t>(std::countr_one(rest >> free)),
                                    left - free);
      run = 0;
    }
    return kUnitCount;
  }
  void take(std::size_t first, std::size_t count) noexcept {
    for (std::size_t unit = first; unit < first + count; ++unit) {
      words_[unit / 64] |= std::uint64_t{1} << (unit % 64);
    }
    free_count_ -= count;
  }
  void give_back(std::size_t first, std::size_t count) noexcept {
    for (std::size_t unit = first; unit < first + count; ++unit) {
      VARVE_CHECK((words_[unit / 64] >> (unit % 64) & 1) != 0);
      words_[unit / 64] &= ~(std::uint64_t{1} << (unit % 64));
    }
    free_count_ += count;
  }

 private:
  std::array<std::uint64_t, kUnitCount / 64> words_{};
  std::size_t free_count_ = kUnitCount;
};

struct Region {
  char* base = nullptr;
  UnitMap units;
};

}  // namespace

void poison_memory([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t size) noexcept {
  if constexpr (kAddressSanitizer) __asan_poison_memory_region(begin, size);
}

void unpoison_memory([[maybe_unused]] const void* begin,
                     [[maybe_unused]] std::size_t size) noexcept {
  if constexpr (kAddressSanitizer) __asan_unpoison_memory_region(begin, size);
}

struct ChunkPool::Impl {
  mutable std::mutex mutex;
  std::vector<Region> regions;              // Sorted by base.
  std::size_t hint = 0;                     // Where the last chunk was found.
  std::size_t empty_count = 0;              // Regions that are wholly free.
  std::atomic<std::size_t> in_use = 0;      // Stored under the mutex.
  std::atomic<std::uint64_t> released = 0;  // Stored under the mutex.
  std::size_t mapped = 0;
  std::size_t kept_size = 0;
  bool keeps = false;  // As much as kept_size allows.
  std::size_t size_limit = std::numeric_limits<std::size_t>::max();

  char* take_pooled(std::size_t size) {
    const std::size_t count = size / kUnit;
    for (std::size_t step = 0; step < regions.size(); ++step) {
      const std::size_t index = (hint + step) % regions.size();
      const std::size_t first = regions[index].units.find_free(count);
      if (first != kUnitCount) return take(index, first, count);
    }
    regions.reserve(regions.size() + 1);
    char* const base = map_for_huge_pages(kRegionSize);
    poison_memory(base, kRegionSize);
    mapped += kRegionSize;
    keeps = true;
    const auto at = regions.insert(position_of(base), Region{base, {}});
    ++empty_count;
    return take(static_cast<std::size_t>(at - regions.begin()), 0, count);
  }

  void give_back_pooled(char* data, std::size_t size) noexcept {
    const auto after = std::upper_bound(
        regions.begin(), regions.end(), data,
        [](const char* address, const Region& region) { return address < region.base; });
    VARVE_CHECK(after != regions.begin());
    const auto region = after - 1;
    const auto offset = static_cast<std::size_t>(data - region->base);
    VARVE_CHECK(offset < kRegionSize);
    poison_memory(data, size);
    region->units.give_back(offset / kUnit, size / kUnit);
    if (region->units.free_count() != kUnitCount) return;
    ++empty_count;
    if (!keeps || mapped > kept_size) give_back_beyond(empty_count - 1);
  }

  // Leaves at least so many free regions, and as many as are a quarter of those in use: a flush
  // frees many that the next writes want again.
  void give_back_beyond(std::size_t count) noexcept {
    const std::size_t kept = std::max<std::size_t>(1, (regions.size() - empty_count) / 4);
    for (std::size_t i = regions.size(); i-- > 0 && empty_count > std::max(kept, count);) {
      if (regions[i].units.free_count() != kUnitCount) continue;
      unmap_pages(regions[i].base, kRegionSize);
      mapped -= kRegionSize;
      --empty_count;
      regions.erase(regions.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

 private:
  std::vector<Region>::iterator position_of(const char* base) noexcept {
    return std::lower_bound(
        regions.begin(), regions.end(), base,
        [](const Region& region, const char* address) { return region.base < address; });
  }
  char* take(std::size_t index, std::size_t first, std::size_t count) noexcept {
    Region& region = regions[index];
    if (region.units.free_count() == kUnitCount) --empty_count;
    region.units.take(first, count);
    hint = index;
    unpoison_memory(region.base + first * kUnit, count * kUnit);
    return region.base + first * kUnit;
  }
};

ChunkPool::ChunkPool() : impl_(std::make_unique<Impl>()) {}

ChunkPool::~ChunkPool() {
  VARVE_CHECK(impl_->in_use == 0);
  for (const Region& region : impl_->regions) unmap_pages(region.base, kRegionSize);
}

ChunkPool::Chunk ChunkPool::allocate(std::size_t size) {
  if (size == 0 || size > std::numeric_limits<std::size_t>::max() / 2) throw std::bad_alloc();
  const std::size_t rounded = round_up(size, kUnit);
  const std::lock_guard lock(impl_->mutex);
  if (impl_->in_use > impl_->size_limit || rounded > impl_->size_limit - impl_->in_use) {
    throw std::bad_alloc();
  }
  char* data = nullptr;
  if (rounded <= kPooledSizeMax) {
    data = impl_->take_pooled(rounded);
  } else {
    data = map_for_huge_pages(rounded);
    impl_->mapped += rounded;
  }
  impl_->in_use += rounded;
  return {.data = data, .size = rounded};
}

void ChunkPool::release(Chunk chunk) noexcept {
  const std::lock_guard lock(impl_->mutex);
  impl_->in_use -= chunk.size;
  impl_->released.store(impl_->released.load(std::memory_order_relaxed) + chunk.size,
                        std::memory_order_relaxed);
  if (chunk.size <= kPooledSizeMax) {
    impl_->give_back_pooled(chunk.data, chunk.size);
  } else {
    unmap_pages(chunk.data, chunk.size);
    impl_->mapped -= chunk.size;
  }
}

std::size_t ChunkPool::size_in_use() const noexcept {
  return impl_->in_use.load(std::memory_order_relaxed);
}

std::uint64_t ChunkPool::size_released() const noexcept {
  return impl_->released.load(std::memory_order_relaxed);
}

std::size_t ChunkPool::size_mapped() const noexcept {
  const std::lock_guard lock(impl_->mutex);
  return impl_->mapped;
}

std::size_t ChunkPool::size_free() const noexcept {
  const std::lock_guard lock(impl_->mutex);
  return impl_->mapped - impl_->in_use.load(std::memory_order_relaxed);
}

void ChunkPool::set_kept_size(std::size_t size) noexcept {
  const std::lock_guard lock(impl_->mutex);
  impl_->kept_size = size;
}

void ChunkPool::trim() noexcept {
  const std::lock_guard lock(impl_->mutex);
  impl_->keeps = false;
  impl_->give_back_beyond(0);
}

void ChunkPool::set_size_limit(std::size_t size) noexcept {
  const std::lock_guard lock(impl_->mutex);
  impl_->size_limit = size;
}

// Its size keeps the bytes after it aligned as allocate() promises.
struct alignas(64) Arena::ChunkHeader {
  ChunkHeader* next = nullptr;
  std::size_t size = 0;
};

Arena::~Arena() {
  release_reserve();
  while (chunks_ != nullptr) {
    ChunkHeader* const next = chunks_->next;
    pool_.release({.data = reinterpret_cast<char*>(chunks_), .size = chunks_->size});
    chunks_ = next;
  }
}

ChunkPool::Chunk Arena::take_chunk(std::size_t size) {
  if (!reserve_.empty() && size <= reserve_.back().size) {
    const ChunkPool::Chunk chunk = reserve_.back();
    reserve_.pop_back();
    return chunk;
  }
  const ChunkPool::Chunk chunk = pool_.allocate(size);
  memory_size_.store(memory_size() + chunk.size, std::memory_order_relaxed);
  return chunk;
}

std::size_t Arena::usual_count_for(std::size_t size) noexcept {
  constexpr std::size_t kSmall = ChunkPool::kSmallChunkSize - sizeof(ChunkHeader);
  constexpr std::size_t kUsual = ChunkPool::kChunkSize - sizeof(ChunkHeader);
  return size <= kSmall ? 0 : (size - kSmall + kUsual - 1) / kUsual;
}

std::size_t Arena::reserve_size_of(std::size_t size) noexcept {
  return ChunkPool::kSmallChunkSize + usual_count_for(size) * ChunkPool::kChunkSize;
}

// As allocate_slow() would ask for them: a small one first.
void Arena::reserve(std::size_t size) {
  const std::size_t usual_count = usual_count_for(size);
  reserve_.reserve(usual_count + 1);
  try {
    for (std::size_t i = 0; i <= usual_count; ++i) {
      const bool is_small = i == usual_count;
      reserve_.push_back(
          pool_.allocate(is_small ? ChunkPool::kSmallChunkSize : ChunkPool::kChunkSize));
      memory_size_.store(memory_size() + reserve_.back().size, std::memory_order_relaxed);
    }
  } catch (...) {
    release_reserve();
    throw;
  }
}

void Arena::release_reserve() noexcept {
  for (const ChunkPool::Chunk& chunk : reserve_) {
    memory_size_.store(memory_size() - chunk.size, std::memory_order_relaxed);
    pool_.release(chunk);
  }
  reserve_.clear();
}

char* Arena::allocate_slow(std::size_t size) {
  if (size > std::numeric_limits<std::size_t>::max() / 4) throw std::bad_alloc();
  const std::size_t needed = size + sizeof(ChunkHeader);
  std::size_t chunk_size = needed;  // A large allocation gets a chunk of its own size.
  if (chunks_ == nullptr && needed <= ChunkPool::kSmallChunkSize) {
    chunk_size = ChunkPool::kSmallChunkSize;
  } else if (needed <= ChunkPool::kChunkSize / 2) {
    chunk_size = ChunkPool::kChunkSize;
  }
  const ChunkPool::Chunk chunk = take_chunk(chunk_size);
  chunks_ = new (chunk.data) ChunkHeader{.next = chunks_, .size = chunk.size};
  char* const memory = chunk.data + sizeof(ChunkHeader);
  const std::size_t left = chunk.size - needed;
  poison_memory(memory + size, left);
  // Go on in whichever chunk has more room.
  if (left > end_ - at_) {
    at_ = reinterpret_cast<std::uintptr_t>(memory + size);
    end_ = at_ + left;
  }
  return memory;
}

}  // namespace varve::segment
