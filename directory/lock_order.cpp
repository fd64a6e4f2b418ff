// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "directory/check.hpp"
#include "directory/mutex.hpp"

#if defined(VARVE_ENABLE_DCHECK)
namespace varve::directory {
namespace {

// What the thread holds, in no order. Without a destructor: static objects close indexes when the
// thread_locals of the main thread are destroyed already. Memory is there only while it is needed.
struct Held {
  static constexpr std::size_t kInlineCount = 16;
  std::array<const Mutex*, kInlineCount> first;
  std::size_t first_count;
  std::vector<const Mutex*>* rest;  // Null when empty.

  template <typename Visit>
  void for_each(const Visit& visit) const {
    for (std::size_t i = 0; i < first_count; ++i) visit(*first[i]);
    if (rest == nullptr) return;
    for (const Mutex* held : *rest) visit(*held);
  }
  void add(const Mutex* mutex) {
    if (first_count < kInlineCount) {
      first[first_count++] = mutex;
      return;
    }
    if (rest == nullptr) rest = new std::vector<const Mutex*>;
    rest->push_back(mutex);
  }
  // False: it is not held.
  bool remove(const Mutex* mutex) noexcept {
    const auto end = first.begin() + static_cast<std::ptrdiff_t>(first_count);
    if (const auto at = std::find(first.begin(), end, mutex); at != end) {
      *at = rest != nullptr ? take_last_of_rest() : first[--first_count];
      return true;
    }
    if (rest == nullptr) return false;
    const auto at = std::find(rest->begin(), rest->end(), mutex);
    if (at == rest->end()) return false;
    *at = rest->back();
    static_cast<void>(take_last_of_rest());
    return true;
  }

 private:
  const Mutex* take_last_of_rest() noexcept {
    const Mutex* const last = rest->back();
    rest->pop_back();
    if (rest->empty()) delete std::exchange(rest, nullptr);
    return last;
  }
};
constinit thread_local Held t_held = {};

std::string place_of(const Mutex& mutex) {
  const LockClass& lock_class = mutex.lock_class();
  if (lock_class.rank() == LockClass::kUnordered) return to_string(mutex) + " (unordered)";
  return to_string(mutex) + " (rank " + std::to_string(lock_class.rank()) + ")";
}

bool comes_before(const Mutex& held, const Mutex& wanted) {
  const std::uint8_t from = held.lock_class().rank(), to = wanted.lock_class().rank();
  if (from == LockClass::kUnordered || to == LockClass::kUnordered) return true;
  if (from != to) return from < to;
  return &held.lock_class() == &wanted.lock_class() && held.order_number() < wanted.order_number();
}

[[noreturn]] void order_violated(const Mutex& held, const Mutex& wanted) {
  std::fprintf(stderr, "varve: bug: lock order: %s is wanted while %s is held%s\n",
               place_of(wanted).c_str(), place_of(held).c_str(),
               &held == &wanted ? ", and is not re-entrant" : ", which comes after it");
  std::abort();
}

}  // namespace

void Mutex::before_wait() const {
  t_held.for_each([this](const Mutex& held) {
    if (&held == this || !comes_before(held, *this)) order_violated(held, *this);
  });
}

void Mutex::after_take() const {
  t_held.add(this);
}

void Mutex::before_release(std::uint32_t seen) const {
  VARVE_CHECK((seen & kThreadMask) == thread_number());
  VARVE_CHECK(t_held.remove(this));
}

}  // namespace varve::directory
#endif
