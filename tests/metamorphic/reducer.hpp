// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "tests/metamorphic/operation.hpp"

namespace varve::test::metamorphic {

struct Reduced {
  Operations operations;
  std::uint64_t tried_count = 0;  // Lists that were tried.
  bool gave_up = false;           // Ended by a limit: it may well become smaller.
};

struct ReductionLimits {
  std::uint64_t tried_count_max = 5000;
  std::chrono::seconds time_max{180};
};

// A small part of `operations` for which `fails` still holds: without whatever can be left out
// (delta debugging: large pieces first, then single operations and parts of batches), and with
// short keys, short values and small numbers. No operation could be left out of the result for
// itself, unless gave_up.
// Requires: fails(operations), and that `fails` is a function of its argument. Where chance has a
// say, the result is a list that failed at least once.
[[nodiscard]] Reduced reduce(const Operations& operations,
                             const std::function<bool(const Operations&)>& fails,
                             const ReductionLimits& limits = {});

}  // namespace varve::test::metamorphic
