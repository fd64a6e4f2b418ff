// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "lib/core.hpp"
#include "lib/manifest.hpp"
#include "varve/options.hpp"
#include "varve/statistics.hpp"

namespace varve::internal {

// Everything in Statistics that the core knows: all but the calls on the index, and the figures of
// its background threads. Cost: a look at each segment and at each file's size.
// Thread-safety: that of reads; waits for a manifest's replacement in progress.
[[nodiscard]] Statistics collect_statistics(const Core& core);

// Options::reader_age_limit; the longest time there is, if that is 0.
[[nodiscard]] inline std::chrono::nanoseconds reader_age_limit(const Options& options) noexcept {
  return options.reader_age_limit.count() == 0 ? std::chrono::nanoseconds::max()
                                               : std::chrono::nanoseconds(options.reader_age_limit);
}

// What a manifest knows of the runs; memory is not in it.
[[nodiscard]] RunStatistics run_statistics(const Manifest& manifest);

}  // namespace varve::internal
