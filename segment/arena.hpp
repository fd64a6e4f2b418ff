// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace varve::segment {

// Hands out chunks of memory from regions that the kernel may back by huge pages, and takes them
// back for reuse. One pool per index; counts what is out.
// Thread-safety: any thread. Errors: std::bad_alloc.
class ChunkPool {
 public:
  static constexpr std::size_t kSmallChunkSize = 16 * 1024;
  static constexpr std::size_t kChunkSize = 64 * 1024;
  ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool();

  struct Chunk {
    char* data = nullptr;
    std::size_t size = 0;
  };
  // kSmallChunkSize, kChunkSize, or any larger size (of its own mapping).
  [[nodiscard]] Chunk allocate(std::size_t size);
  void release(Chunk chunk) noexcept;
  [[nodiscard]] std::size_t size_in_use() const noexcept;  // Bytes handed out.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A bump allocator over a pool's chunks: the first is small, so that thousands of arenas stay
// cheap. Everything is released at once.
// Thread-safety: allocate() by one thread; memory_size() by any.
class Arena {
 public:
  explicit Arena(ChunkPool& pool) noexcept : pool_(pool) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();
  [[nodiscard]] char* allocate(std::size_t size, std::size_t alignment);
  [[nodiscard]] std::size_t memory_size() const noexcept {  // Bytes of chunks held.
    return memory_size_.load(std::memory_order_relaxed);
  }

 private:
  char* allocate_slow(std::size_t size, std::size_t alignment);
  ChunkPool& pool_;
  char* at_ = nullptr;
  char* end_ = nullptr;
  std::atomic<std::size_t> memory_size_ = 0;
  std::vector<ChunkPool::Chunk> chunks_;
};

}  // namespace varve::segment
