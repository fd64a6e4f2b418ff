// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace varve::segment {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddressSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
#else
inline constexpr bool kAddressSanitizer = false;
#endif

// Marks bytes as unusable, or usable again, for AddressSanitizer; nothing in other builds.
void poison_memory(const void* begin, std::size_t size) noexcept;
void unpoison_memory(const void* begin, std::size_t size) noexcept;

// Hands out chunks of memory from regions that the kernel may back by huge pages, and takes them
// back for reuse. One pool per index; counts what is out.
//
// Chunks up to kPooledSizeMax come from regions of kRegionSize, in units of kUnit; larger ones are
// mappings of their own. A region that is wholly free goes back to the kernel, but for a few that
// are kept for the next chunk, or as many as set_kept_size() allows: a fresh page must be cleared
// first, which takes a writer as long as filling it.
// Lifetime: outlives every chunk. Thread-safety: any thread. Errors: std::bad_alloc.
class ChunkPool {
 public:
  static constexpr std::size_t kSmallChunkSize = std::size_t{16} << 10;
  static constexpr std::size_t kChunkSize = std::size_t{64} << 10;
  static constexpr std::size_t kUnit = std::size_t{4} << 10;
  static constexpr std::size_t kRegionSize = std::size_t{2} << 20;
  static constexpr std::size_t kPooledSizeMax = std::size_t{1} << 20;
  ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool();

  struct Chunk {
    char* data = nullptr;
    std::size_t size = 0;
  };
  // A chunk of `size` bytes, rounded up to a multiple of kUnit, aligned to kUnit.
  [[nodiscard]] Chunk allocate(std::size_t size);
  void release(Chunk chunk) noexcept;
  [[nodiscard]] std::size_t size_in_use() const noexcept;  // Bytes handed out.
  // Bytes obtained from the kernel: what is out, the holes between, and the regions kept.
  [[nodiscard]] std::size_t size_mapped() const noexcept;
  [[nodiscard]] std::size_t size_free() const noexcept;  // Of these, what is not out.
  // Bytes taken back so far.
  [[nodiscard]] std::uint64_t size_released() const noexcept;
  // From the next region on that has to be obtained, and until trim(), free ones are kept as long
  // as no more bytes than this are obtained together.
  void set_kept_size(std::size_t size) noexcept;
  // Gives back what is kept but for a quarter of what is in use, and so what becomes free from now
  // on: nobody is expected to want it soon.
  void trim() noexcept;
  // From now on allocate() throws rather than let size_in_use() pass `size`.
  void set_size_limit(std::size_t size) noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A bump allocator over a pool's chunks: the first is small, so that thousands of arenas stay
// cheap. Everything is released at once. Holds no chunk before the first allocation.
// Thread-safety: allocate() by one thread; memory_size() by any. Errors: std::bad_alloc, without
// effect.
class Arena {
 public:
  explicit Arena(ChunkPool& pool) noexcept : pool_(pool) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();
  // Requires: `alignment` is a power of two, at most 64.
  [[nodiscard]] char* allocate(std::size_t size, std::size_t alignment) {
    const std::size_t padding = static_cast<std::size_t>(-at_) & (alignment - 1);
    if (padding > end_ - at_ || size > end_ - at_ - padding) [[unlikely]] {
      return allocate_slow(size);
    }
    char* const memory = reinterpret_cast<char*>(at_ + padding);
    at_ += padding + size;
    if constexpr (kAddressSanitizer) unpoison_memory(memory, size);
    return memory;
  }
  // Takes chunks for small allocations of `size` bytes together, without touching them: these come
  // from there, and memory_size() does not change then. Errors: std::bad_alloc, without effect.
  void reserve(std::size_t size);
  [[nodiscard]] static std::size_t reserve_size_of(std::size_t size) noexcept;  // Of the chunks.
  void release_reserve() noexcept;  // What is left of it.
  // Where a small allocation is likely to land; for prefetching.
  [[nodiscard]] const void* next_position() const noexcept {
    return reinterpret_cast<const void*>(at_);
  }
  [[nodiscard]] std::size_t memory_size() const noexcept {  // Bytes of chunks held.
    return memory_size_.load(std::memory_order_relaxed);
  }

 private:
  struct ChunkHeader;  // At the start of every chunk; links them.
  // Chunks of the usual size for small allocations of `size` bytes, beside the first, small one.
  [[nodiscard]] static std::size_t usual_count_for(std::size_t size) noexcept;
  char* allocate_slow(std::size_t size);
  ChunkPool::Chunk take_chunk(std::size_t size);

  ChunkPool& pool_;
  std::uintptr_t at_ = 0;
  std::uintptr_t end_ = 0;
  ChunkHeader* chunks_ = nullptr;
  std::vector<ChunkPool::Chunk> reserve_;  // The next one last.
  std::atomic<std::size_t> memory_size_ = 0;
};

}  // namespace varve::segment
