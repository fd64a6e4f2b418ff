// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/allocation_failure.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

struct State {
  std::atomic<bool> armed = false, sticky = false, fired = false;
  std::atomic<std::uint64_t> nth = 0, count = 0;
  std::atomic<std::int64_t> live = 0;
};
constinit State state;
constinit thread_local bool outside = false;  // The test's own thread, between two calls.

bool refuse() noexcept {
  if (outside || !state.armed) return false;
  const std::uint64_t number = state.count++;
  const bool hit = number == state.nth || (state.sticky && number > state.nth);
  if (hit) state.fired = true;
  return hit;
}

void* allocate(std::size_t size, std::size_t alignment) {
  if (refuse()) throw std::bad_alloc();
  void* memory = nullptr;
  if (alignment <= alignof(std::max_align_t)) {
    memory = std::malloc(size == 0 ? 1 : size);
  } else {
    memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  }
  if (memory == nullptr) throw std::bad_alloc();
  ++state.live;
  return memory;
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  --state.live;
  std::free(memory);
}

}  // namespace

// Of the other forms those for arrays come down to these by themselves. Tools that look for damage
// to the heap (valgrind --soname-synonyms=somalloc=nouserintercepts) have forms without exceptions
// of their own, unless we do.
void* operator new(std::size_t size) {
  return allocate(size, 1);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  try {
    return allocate(size, static_cast<std::size_t>(alignment));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new(std::size_t size, const std::nothrow_t& none) noexcept {
  return operator new (size, std::align_val_t{1}, none);
}
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  release(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  release(memory);
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}

namespace varve::test {

void AllocationFailure::arm(std::uint64_t nth, bool sticky) noexcept {
  outside = true;
  state.sticky = sticky;
  state.fired = false;
  state.nth = nth;
  state.count = 0;
  state.armed = true;
}
void AllocationFailure::disarm() noexcept {
  state.armed = false;
}
std::uint64_t AllocationFailure::count() noexcept {
  return state.count;
}
bool AllocationFailure::fired() noexcept {
  return state.fired;
}
std::int64_t AllocationFailure::live_count() noexcept {
  return state.live;
}

AllocationFailure::Inside::Inside() noexcept {
  outside = false;
}
AllocationFailure::Inside::~Inside() {
  outside = true;
}

}  // namespace varve::test
