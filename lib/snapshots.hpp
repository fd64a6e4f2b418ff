// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "directory/check.hpp"
#include "segment/entry.hpp"

namespace varve::internal {

// The sequences that live snapshots and snapshot scans read at.
// Thread-safety: one thread at a time.
class Snapshots {
 public:
  void add(segment::Sequence sequence) { ++counts_[sequence]; }
  void remove(segment::Sequence sequence) noexcept {
    const auto it = counts_.find(sequence);
    VARVE_CHECK(it != counts_.end());
    if (--it->second == 0) counts_.erase(it);
  }
  // 0 when there is none: no write has sequence 0, so nothing need be kept for it.
  [[nodiscard]] segment::Sequence newest() const noexcept {
    return counts_.empty() ? 0 : counts_.rbegin()->first;
  }
  [[nodiscard]] std::vector<segment::Sequence> live() const {  // Ascending.
    std::vector<segment::Sequence> sequences;
    sequences.reserve(counts_.size());
    for (const auto& [sequence, count] : counts_) sequences.push_back(sequence);
    return sequences;
  }
  [[nodiscard]] std::uint32_t count() const noexcept {
    std::uint32_t count = 0;
    for (const auto& [sequence, uses] : counts_) count += uses;
    return count;
  }

 private:
  std::map<segment::Sequence, std::uint32_t> counts_;
};

}  // namespace varve::internal
