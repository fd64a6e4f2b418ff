// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdlib>

namespace varve::test {

// A program that links replaced_new.cpp has every form of operator new and delete come down to
// these two, and defines them.
[[nodiscard]] void* replaced_new(std::size_t size, std::size_t alignment);  // Throws bad_alloc.
void replaced_delete(void* memory) noexcept;

// Memory for replaced_new(), to be freed by std::free(); null: there is none.
[[nodiscard]] inline void* heap_memory(std::size_t size, std::size_t alignment) noexcept {
  if (alignment <= alignof(std::max_align_t)) return std::malloc(size == 0 ? 1 : size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

}  // namespace varve::test
