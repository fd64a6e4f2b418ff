// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "segment/delta.hpp"

namespace varve::segment {

// Nodes of a delta that were replaced, until no reader can be in them (EpochDomain::begin_grace()).
// Internal to delta.cpp and delta_memory.cpp.
// Thread-safety: the delta's writer.
struct Delta::Limbo {
  struct Node {
    void* memory;
    std::size_t list;
  };
  std::vector<Node> coming;   // Unlinked; their grace has not begun, as far as we know.
  std::size_t marked = 0;     // So many of them, the first ones, were unlinked before
  std::uint64_t mark = 0;     // this mark.
  std::vector<Node> waiting;  // For the end of the grace that `ticket` stands for.
  std::uint64_t ticket = 0;

  // Lets the first `count` that come wait. Requires: none does.
  void wait_for(std::uint64_t grace, std::size_t count) {
    const auto end = coming.begin() + static_cast<std::ptrdiff_t>(count);
    waiting.assign(coming.begin(), end);
    coming.erase(coming.begin(), end);
    ticket = grace;
    marked = 0;
  }
};

}  // namespace varve::segment
