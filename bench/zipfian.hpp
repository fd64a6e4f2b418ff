// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "bench/data.hpp"

namespace varve::bench {

// Ranks 0 to count - 1, of which rank r is drawn with a probability in proportion to
// 1 / (r + 1)^theta: the method of Gray et al., "Quickly generating billion-record synthetic
// databases", which YCSB uses, too.
class Zipfian {
 public:
  static constexpr double kYcsbTheta = 0.99;
  // Requires: count >= 1; 0 < theta < 1.
  explicit Zipfian(std::uint64_t count, double theta = kYcsbTheta);

  [[nodiscard]] std::uint64_t next(Random& random) const;
  void grow();  // One rank more.
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  void prepare();

  double theta_, alpha_, second_;
  std::uint64_t count_;
  double zeta_;  // The sum of 1 / r^theta for r from 1 to count_.
  double eta_ = 0;
};

}  // namespace varve::bench
