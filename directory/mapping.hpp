// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "directory/file_system.hpp"

namespace varve::directory {

inline constexpr std::size_t kHugePageSize = std::size_t{2} << 20;

// Maps the first `size` bytes of the open file, read-only and shared. From one huge page on, the
// address is a multiple of kHugePageSize, so that the kernel can map the page cache's large folios
// by huge pages: that is worth as much as half of the cache misses of a lookup.
// Null when the medium or the address space does not allow it, or `size` is 0.
[[nodiscard]] std::unique_ptr<ReadableMapping> map_file_readable(int fd, std::uint64_t size);

// Maps the first `size` bytes for stores that fdatasync(fd) makes durable. Requires: they are
// allocated. Null as above, and on systems where fdatasync does not cover mapped stores.
[[nodiscard]] std::unique_ptr<WritableMapping> map_file_writable(int fd, std::uint64_t size);

// Anonymous memory of `size` bytes, aligned to and preferably made of huge pages; no page of it
// exists before it is touched. Errors: OutOfMemory.
class LargeBuffer {
 public:
  explicit LargeBuffer(std::size_t size);
  LargeBuffer(const LargeBuffer&) = delete;
  LargeBuffer& operator=(const LargeBuffer&) = delete;
  ~LargeBuffer();
  [[nodiscard]] char* data() noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  char* data_;
  std::size_t size_;
};

}  // namespace varve::directory
