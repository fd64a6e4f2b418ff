// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace varve::internal {

// The lock order of the engine: a thread that holds a lock may wait for those further down only,
// and, within one rank, for higher order numbers (segments ascending). LockClass takes these.
struct LockRank {
  static constexpr std::uint8_t kOwnership = 10;    // Of the directory.
  static constexpr std::uint8_t kClose = 15;        // close() waits for everything else.
  static constexpr std::uint8_t kMaintenance = 20;  // Jobs and their threads.
  static constexpr std::uint8_t kCatalog = 30;      // The manifest.
  static constexpr std::uint8_t kScan = 35;         // Exclusive scans.
  static constexpr std::uint8_t kRouteMap = 40;
  static constexpr std::uint8_t kSegment = 50;
  static constexpr std::uint8_t kLog = 60;
  static constexpr std::uint8_t kLogSync = 70;
  static constexpr std::uint8_t kFilling = 75;     // Of a delta.
  static constexpr std::uint8_t kCache = 80;       // Caches and pools.
  static constexpr std::uint8_t kBackground = 90;  // What threads wait for; innermost.
};

}  // namespace varve::internal
