// SPDX-License-Identifier: Apache-2.0
#include "directory/acquire_multiple.hpp"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

namespace varve::directory {
namespace {

// Addresses last: locks that the order does not tell apart must still have one everywhere.
bool is_before(const Mutex* a, const Mutex* b) {
  const auto place = [](const Mutex* mutex) {
    return std::make_tuple(mutex->lock_class().rank(), mutex->order_number(),
                           reinterpret_cast<std::uintptr_t>(mutex));
  };
  return place(a) < place(b);
}

}  // namespace

void HeldMutexes::unlock() noexcept {
  while (!mutexes_.empty()) {
    mutexes_.back()->unlock();
    mutexes_.pop_back();
  }
}

HeldMutexes& HeldMutexes::operator=(HeldMutexes&& other) noexcept {
  if (this == &other) return *this;
  unlock();
  mutexes_ = std::exchange(other.mutexes_, {});
  return *this;
}

std::optional<HeldMutexes> try_acquire_multiple(std::vector<Mutex*> mutexes,
                                                Mutex::Clock::time_point deadline, WaitGraph* why) {
  std::sort(mutexes.begin(), mutexes.end(), is_before);
  mutexes.erase(std::unique(mutexes.begin(), mutexes.end()), mutexes.end());
  HeldMutexes held;
  held.mutexes_.reserve(mutexes.size());
  for (Mutex* mutex : mutexes) {
    if (!mutex->try_lock_until(deadline, why)) return std::nullopt;
    held.mutexes_.push_back(mutex);
  }
  return held;
}

HeldMutexes acquire_multiple(std::vector<Mutex*> mutexes) {
  return *try_acquire_multiple(std::move(mutexes), Mutex::Clock::time_point::max());
}

HeldMutexes acquire_multiple_before(std::vector<Mutex*> mutexes,
                                    Mutex::Clock::time_point deadline) {
  WaitGraph why;
  std::optional<HeldMutexes> held = try_acquire_multiple(std::move(mutexes), deadline, &why);
  if (!held) throw_not_locked(why);
  return *std::move(held);
}

}  // namespace varve::directory
