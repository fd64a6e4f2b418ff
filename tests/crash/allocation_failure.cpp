// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/allocation_failure.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "tests/support/replaced_new.hpp"

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

}  // namespace

namespace varve::test {

void* replaced_new(std::size_t size, std::size_t alignment) {
  void* const memory = refuse() ? nullptr : heap_memory(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  ++state.live;
  return memory;
}

void replaced_delete(void* memory) noexcept {
  if (memory == nullptr) return;
  --state.live;
  std::free(memory);
}

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
