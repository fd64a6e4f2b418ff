// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "directory/lock_class.hpp"
#include "directory/lock_monitor.hpp"
#include "lib/lock_rank.hpp"
#include "varve/lock_health.hpp"

namespace varve::internal {

// The kinds of locks that one index has, and who watches them. Not among them are those that guard
// a few instructions in which nothing is called that could wait: the pointer to the manifest, the
// first failure, the free lists of the pool. They can be part of no circle.
struct EngineLocks {
  explicit EngineLocks(const LockHealthOptions& options)
      : monitor(directory::make_lock_monitor(options)) {}

  const std::unique_ptr<directory::LockMonitor> monitor;  // Null: the locks are not watched.
  const directory::LockClass jobs{"jobs", LockRank::kMaintenance, monitor.get()};
  const directory::LockClass close{"close", LockRank::kClose, monitor.get()};
  const directory::LockClass scan{"exclusive scan", LockRank::kScan, monitor.get()};
  const directory::LockClass background{"background", LockRank::kBackground, monitor.get()};
  const directory::LockClass catalog{"catalog", LockRank::kCatalog, monitor.get()};
  const directory::LockClass segment{"segment", LockRank::kSegment, monitor.get()};
  const directory::LockClass log{"log", LockRank::kLog, monitor.get()};
  const directory::LockClass filling{"filling", LockRank::kFilling, monitor.get()};
  const directory::LockClass log_sync{"log sync", LockRank::kLogSync, monitor.get()};
};

}  // namespace varve::internal
