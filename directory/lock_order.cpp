// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "directory/check.hpp"
#include "directory/mutex.hpp"

#if defined(VARVE_ENABLE_DCHECK)
namespace varve::directory {
namespace {

// What the thread holds, in the order in which it was taken.
thread_local std::vector<const Mutex*> t_held;

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
  for (const Mutex* held : t_held) {
    if (held == this || !comes_before(*held, *this)) order_violated(*held, *this);
  }
}

void Mutex::after_take() const {
  t_held.push_back(this);
}

void Mutex::before_release(std::uint32_t seen) const {
  VARVE_CHECK((seen & kThreadMask) == thread_number());
  // Most often the last one.
  const auto place = std::find(t_held.rbegin(), t_held.rend(), this);
  VARVE_CHECK(place != t_held.rend());
  t_held.erase(std::next(place).base());
}

}  // namespace varve::directory
#endif
