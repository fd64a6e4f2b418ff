// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "bench/record.hpp"
#include "bench/table.hpp"

namespace varve::bench {

enum class Verdict : std::uint8_t {
  Noise,   // The ranges overlap, or the medians differ by no more than the threshold.
  Faster,  // In the second record, outside both.
  Slower,
  Missing,  // In one record only.
};
[[nodiscard]] const char* to_string(Verdict verdict) noexcept;

// One workload with one engine, in two records. Times in ns an operation.
struct Change {
  std::string workload, engine;  // The workload with its threads and point.
  std::optional<Spread> before, after;
  Verdict verdict = Verdict::Missing;
  // Requires: both.
  [[nodiscard]] double ratio() const { return after->median / before->median; }
};

// In the order of `before`; what only `after` has comes last. `threshold`: 0.05 is 5 %.
[[nodiscard]] std::vector<Change> compare(const Record& before, const Record& after,
                                          double threshold);

// What makes two records hard to compare, one line each: another machine, other settings, another
// build or version of an engine, failures.
[[nodiscard]] std::vector<std::string> differences(const Record& before, const Record& after);

void print_comparison(std::ostream& out, const Record& before, const Record& after,
                      const std::vector<Change>& changes);

}  // namespace varve::bench
