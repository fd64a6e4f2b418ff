// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace varve::bench {

// The core workloads of the Yahoo! Cloud Serving Benchmark, as its workload files define them.
struct YcsbMix {
  char name = 0;  // 'A' to 'F'.
  unsigned read_percent = 0, update_percent = 0, insert_percent = 0, scan_percent = 0,
           modify_percent = 0;  // modify: read, change, write back.
  bool reads_latest = false;    // The keys inserted last are read most; else a scattered zipfian.
};
[[nodiscard]] const YcsbMix& ycsb_mix(char name);  // Requires: 'A' to 'F'.

enum class YcsbKind : std::uint8_t { Read, Update, Insert, Scan, Modify };

struct YcsbOperation {
  std::uint32_t number = 0;  // Of the key.
  YcsbKind kind = YcsbKind::Read;
  std::uint8_t scan_limit = 0;  // Entries, 1 to 100.
};

// All choices of a run, made beforehand, so that drawing them is not measured. Inserts take the
// numbers from `entry_count` on, in order; nothing else names a number that is not there yet.
// Requires: entry_count + operation_count < 2^32.
[[nodiscard]] std::vector<YcsbOperation> make_ycsb_operations(const YcsbMix& mix,
                                                              std::uint64_t entry_count,
                                                              std::uint64_t operation_count,
                                                              std::uint64_t seed);

}  // namespace varve::bench
