// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "directory/lock_class.hpp"
#include "directory/lock_monitor.hpp"
#include "lib/lock_rank.hpp"
#include "varve/lock_health.hpp"

namespace varve::internal {

// The kinds of locks that one index has, and who watches them. Locks that guard a few instructions
// and are never held when another is waited for (of the pool, of a queue of threads) are not among
// them: they can be part of no circle, and nobody waits for them.
struct EngineLocks {
  explicit EngineLocks(const LockHealthOptions& options)
      : monitor(directory::make_lock_monitor(options)) {}

  const std::unique_ptr<directory::LockMonitor> monitor;  // Null: the locks are not watched.
  const directory::LockClass jobs{"jobs", LockRank::kMaintenance, monitor.get()};
  const directory::LockClass catalog{"catalog", LockRank::kCatalog, monitor.get()};
  const directory::LockClass segment{"segment", LockRank::kSegment, monitor.get()};
  const directory::LockClass log{"log", LockRank::kLog, monitor.get()};
  const directory::LockClass log_sync{"log sync", LockRank::kLogSync, monitor.get()};
};

}  // namespace varve::internal
