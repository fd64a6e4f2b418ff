// SPDX-License-Identifier: Apache-2.0
#include "segment/huge_buffer.hpp"

#include <new>
#include <utility>

#include "segment/arena.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace varve::segment {

HugeBuffer::HugeBuffer(std::size_t size, std::shared_ptr<ChunkPool> pool) {
  if (pool != nullptr && size >= kPooledSizeMin && size <= ChunkPool::kPooledSizeMax) {
    const ChunkPool::Chunk chunk = pool->allocate(size);
    data_ = {chunk.data, Free{std::move(pool), chunk.size, kAlignment}};
    return;
  }
  const bool huge = size >= kHugePageSize;
  const std::size_t alignment = huge ? kHugePageSize : kAlignment;
  auto* const data = static_cast<char*>(::operator new (size, std::align_val_t{alignment}));
  data_ = {data, Free{nullptr, size, alignment}};
#if defined(__linux__)
  // Advice: where it is refused, the memory is as good, only slower.
  if (huge) ::madvise(data, size / kHugePageSize * kHugePageSize, MADV_HUGEPAGE);
#endif
}

void HugeBuffer::Free::operator()(char* data) const noexcept {
  if (pool != nullptr) {
    pool->release({.data = data, .size = size});
  } else {
    ::operator delete (data, std::align_val_t{alignment});
  }
}

}  // namespace varve::segment
