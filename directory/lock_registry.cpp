// SPDX-License-Identifier: Apache-2.0
#include "directory/lock_registry.hpp"

#include <algorithm>
#include <atomic>
#include <memory>

#include "directory/lock_holder.hpp"

namespace varve::directory {

LockRegistry::LockRegistry(const LockRegistry* of_parent)
    : of_parent_(of_parent), this_process_(describe_this_process()) {}

LockRegistry& LockRegistry::of_this_process() {
  static std::atomic<LockRegistry*> current{nullptr};
  LockRegistry* found = current.load(std::memory_order_acquire);
  while (found == nullptr || found->marker_.forked()) {
    std::unique_ptr<LockRegistry> fresh(new LockRegistry(found));
    if (current.compare_exchange_strong(found, fresh.get(), std::memory_order_acq_rel)) {
      return *fresh.release();
    }
  }
  return *found;
}

void LockRegistry::add(const void* owner, DirectoryKey key, const LockRecord& record) {
  const std::lock_guard lock(mutex_);
  entries_.push_back({owner, key, record});
}

void LockRegistry::update(const void* owner, const LockRecord& record) {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.owner == owner) entry.record = record;
  }
}

void LockRegistry::remove(const void* owner) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [owner](const Entry& entry) { return entry.owner == owner; });
}

std::optional<LockRecord> LockRegistry::find(DirectoryKey key) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [key](const Entry& entry) { return entry.key == key; });
  if (found == entries_.end()) return std::nullopt;
  return found->record;
}

}  // namespace varve::directory
