// SPDX-License-Identifier: Apache-2.0
#include "directory/fork_marker.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "directory/mutant.hpp"

namespace varve::directory {
namespace {

using Page = std::atomic<std::uint64_t>;

// Not on the wiped page: a child counts on from its parent's number, so it never equals the number
// of an ancestor whose handles it carries.
std::atomic<std::uint64_t> numbers_given{0};

Page* map_wiped_page() noexcept {
  const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (!VARVE_MUTANT("fork.page_not_wiped") && ::madvise(memory, size, MADV_WIPEONFORK) != 0) {
    ::munmap(memory, size);
    return nullptr;
  }
  return new (memory) Page(0);
}

// Null where there is no such page. A lost race leaves one page mapped, which is harmless; a lock
// here could be held by another thread at the moment of a fork.
Page* wiped_page() noexcept {
  static std::atomic<Page*> page{nullptr};
  static std::atomic<bool> unavailable{false};
  Page* found = page.load(std::memory_order_acquire);
  if (found != nullptr || unavailable.load(std::memory_order_relaxed)) return found;
  Page* const mapped = map_wiped_page();
  if (mapped == nullptr) {
    unavailable.store(true, std::memory_order_relaxed);
    return page.load(std::memory_order_acquire);
  }
  return page.compare_exchange_strong(found, mapped, std::memory_order_acq_rel) ? mapped : found;
}

std::uint64_t number_on(Page* page) noexcept {
  std::uint64_t number = page->load(std::memory_order_relaxed);
  if (number != 0) return number;
  const std::uint64_t mine = numbers_given.fetch_add(1, std::memory_order_relaxed) + 1;
  return page->compare_exchange_strong(number, mine, std::memory_order_relaxed) ? mine : number;
}

}  // namespace

std::uint64_t process_number() noexcept {
  Page* const page = wiped_page();
  return page != nullptr ? number_on(page) : static_cast<std::uint64_t>(::getpid());
}

ForkMarker::ForkMarker() noexcept : page_(wiped_page()), number_(process_number()) {}

bool ForkMarker::pid_changed() const noexcept {
  return number_ != static_cast<std::uint64_t>(::getpid());
}

}  // namespace varve::directory
