// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

namespace varve::segment {

class ChunkPool;

// Uninitialised memory that is read at random for a long time (indexes, filters), aligned to cache
// lines. From one huge page on, the kernel is asked to back it by huge pages: a TLB miss costs as
// much as a cache miss. The rest behind the last whole huge page stays on small ones.
//
// A smaller buffer can share the huge pages of a pool, which it keeps alive. That costs up to a
// page of the pool's units for each, and a region for the first. Ownership: frees on destruction.
// Errors: std::bad_alloc.
class HugeBuffer {
 public:
  static constexpr std::size_t kAlignment = 64;                       // Bytes; a cache line.
  static constexpr std::size_t kHugePageSize = std::size_t{2} << 20;  // Bytes.
  // Bytes; in a pool's units smaller buffers would take too much for what they are.
  static constexpr std::size_t kPooledSizeMin = std::size_t{8} << 10;

  HugeBuffer() = default;
  explicit HugeBuffer(std::size_t size, std::shared_ptr<ChunkPool> pool = nullptr);

  [[nodiscard]] char* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept {  // Bytes, with those taken for nothing.
    return data_.get_deleter().size;
  }

 private:
  struct Free {
    std::shared_ptr<ChunkPool> pool;  // Null: by operator new.
    std::size_t size;
    std::size_t alignment;
    void operator()(char* data) const noexcept;
  };
  std::unique_ptr<char, Free> data_{nullptr, Free{nullptr, 0, kAlignment}};
};

}  // namespace varve::segment
