// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

namespace varve::segment {

// Uninitialised memory that is read at random for a long time (indexes, filters), aligned to cache
// lines. From one huge page on, the kernel is asked to back it by huge pages: a TLB miss costs as
// much as a cache miss. The rest behind the last whole huge page stays on small ones.
// Ownership: frees on destruction. Errors: std::bad_alloc.
class HugeBuffer {
 public:
  static constexpr std::size_t kAlignment = 64;                       // Bytes; a cache line.
  static constexpr std::size_t kHugePageSize = std::size_t{2} << 20;  // Bytes.

  HugeBuffer() = default;
  explicit HugeBuffer(std::size_t size);

  [[nodiscard]] char* data() const noexcept { return data_.get(); }

 private:
  struct Free {
    std::size_t alignment;
    void operator()(char* data) const noexcept;
  };
  std::unique_ptr<char, Free> data_{nullptr, Free{kAlignment}};
};

}  // namespace varve::segment
