// SPDX-License-Identifier: Apache-2.0
#include "tests/support/memory_meter.hpp"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>

#include "tests/support/replaced_new.hpp"

namespace {

constinit std::atomic<std::int64_t> heap_size = 0;
constinit thread_local bool unmetered = false;  // While the meter's own list grows.

// Ranges of addresses: those of writable anonymous mappings.
class Ranges {
 public:
  void add(std::uintptr_t begin, std::size_t size) {
    const std::lock_guard lock(mutex_);
    const Unmetered not_mine;
    cut(begin, begin + size);
    ranges_[begin] = begin + size;
  }
  void remove(std::uintptr_t begin, std::size_t size) {
    const std::lock_guard lock(mutex_);
    const Unmetered not_mine;
    cut(begin, begin + size);
  }
  std::int64_t size() {
    const std::lock_guard lock(mutex_);
    std::uintptr_t sum = 0;
    for (const auto& [begin, end] : ranges_) sum += end - begin;
    return static_cast<std::int64_t>(sum);
  }

 private:
  struct Unmetered {
    Unmetered() noexcept { unmetered = true; }
    ~Unmetered() { unmetered = false; }
  };
  void cut(std::uintptr_t begin, std::uintptr_t end) {
    auto at = ranges_.lower_bound(begin);
    if (at != ranges_.begin() && std::prev(at)->second > begin) --at;
    while (at != ranges_.end() && at->first < end) {
      const auto [old_begin, old_end] = *at;
      at = ranges_.erase(at);
      if (old_begin < begin) ranges_[old_begin] = begin;
      if (old_end > end) ranges_[end] = old_end;
    }
  }
  std::mutex mutex_;
  std::map<std::uintptr_t, std::uintptr_t> ranges_;  // Begin, end.
};

// Never destroyed: memory is given back until the very end.
Ranges& ranges() {
  alignas(Ranges) static std::byte place[sizeof(Ranges)];
  static Ranges* const made = new (place) Ranges;
  return *made;
}

std::uintptr_t number(const void* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address);
}

}  // namespace

std::int64_t varve::test::metered_memory() noexcept {
  return heap_size.load() + ranges().size();
}

void* varve::test::replaced_new(std::size_t size, std::size_t alignment) {
  void* const memory = heap_memory(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  if (!unmetered) heap_size += static_cast<std::int64_t>(::malloc_usable_size(memory));
  return memory;
}

void varve::test::replaced_delete(void* memory) noexcept {
  if (memory == nullptr) return;
  if (!unmetered) heap_size -= static_cast<std::int64_t>(::malloc_usable_size(memory));
  std::free(memory);
}

// What --wrap makes of the engine's calls.
extern "C" {
void* __real_mmap(void*, std::size_t, int, int, int, ::off_t);  // NOLINT
int __real_munmap(void*, std::size_t);                          // NOLINT
int __real_mprotect(void*, std::size_t, int);                   // NOLINT

void* __wrap_mmap(void* at, std::size_t size, int protection, int flags, int file,  // NOLINT
                  ::off_t offset) {
  void* const mapped = __real_mmap(at, size, protection, flags, file, offset);
  if (mapped == MAP_FAILED) return mapped;
  const bool counts = (flags & MAP_ANONYMOUS) != 0 && (protection & PROT_WRITE) != 0;
  if (counts) {
    ranges().add(number(mapped), size);
  } else {
    ranges().remove(number(mapped), size);  // It may have replaced one.
  }
  return mapped;
}

int __wrap_munmap(void* at, std::size_t size) {  // NOLINT
  ranges().remove(number(at), size);
  return __real_munmap(at, size);
}

int __wrap_mprotect(void* at, std::size_t size, int protection) {  // NOLINT
  if ((protection & PROT_WRITE) != 0) ranges().add(number(at), size);
  return __real_mprotect(at, size, protection);
}
}
