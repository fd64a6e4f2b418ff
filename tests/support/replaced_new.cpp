// SPDX-License-Identifier: Apache-2.0
#include "tests/support/replaced_new.hpp"

#include <new>

using varve::test::replaced_delete;
using varve::test::replaced_new;

// Those for arrays come down to the others in the C++ library alone: sanitizers have forms of their
// own that do not, unless we do. Nor do those without exceptions where a tool looks for damage to
// the heap (valgrind --soname-synonyms=somalloc=nouserintercepts).
void* operator new(std::size_t size) {
  return replaced_new(size, 1);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return replaced_new(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  try {
    return replaced_new(size, static_cast<std::size_t>(alignment));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new(std::size_t size, const std::nothrow_t& none) noexcept {
  return operator new (size, std::align_val_t{1}, none);
}
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  replaced_delete(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  replaced_delete(memory);
}
void operator delete(void* memory) noexcept {
  replaced_delete(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  replaced_delete(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  replaced_delete(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  replaced_delete(memory);
}
void* operator new[](std::size_t size) {
  return operator new(size);
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return operator new(size, alignment);
}
void* operator new[](std::size_t size, std::align_val_t alignment,
                     const std::nothrow_t& none) noexcept {
  return operator new(size, alignment, none);
}
void* operator new[](std::size_t size, const std::nothrow_t& none) noexcept {
  return operator new(size, none);
}
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  replaced_delete(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  replaced_delete(memory);
}
void operator delete[](void* memory) noexcept {
  replaced_delete(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  replaced_delete(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  replaced_delete(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  replaced_delete(memory);
}
