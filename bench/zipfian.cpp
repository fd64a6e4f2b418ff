// SPDX-License-Identifier: Apache-2.0
#include "bench/zipfian.hpp"

#include <algorithm>
#include <cmath>

namespace varve::bench {
namespace {

// The sum of 1 / r^theta for r from 1 to `count`: term by term at first, then by Euler's and
// Maclaurin's formula, whose error is far below that of the additions.
double zeta(std::uint64_t count, double theta) {
  constexpr std::uint64_t kExactCount = 100'000;
  const std::uint64_t exact_count = std::min(count, kExactCount);
  double sum = 0;
  for (std::uint64_t r = exact_count; r > 0; --r) sum += std::pow(static_cast<double>(r), -theta);
  if (exact_count == count) return sum;
  const auto from = static_cast<double>(exact_count), to = static_cast<double>(count);
  return sum + (std::pow(to, 1 - theta) - std::pow(from, 1 - theta)) / (1 - theta) +
         (std::pow(to, -theta) - std::pow(from, -theta)) / 2;
}

}  // namespace

Zipfian::Zipfian(std::uint64_t count, double theta)
    : theta_(theta),
      alpha_(1 / (1 - theta)),
      second_(1 + std::pow(0.5, theta)),
      count_(count),
      zeta_(zeta(count, theta)) {
  prepare();
}

void Zipfian::prepare() {
  if (count_ <= 2) return;  // next() then never comes to use it.
  eta_ = (1 - std::pow(2 / static_cast<double>(count_), 1 - theta_)) / (1 - second_ / zeta_);
}

std::uint64_t Zipfian::next(Random& random) const {
  const double u = static_cast<double>(random.next() >> 11) * 0x1p-53;
  const double share = u * zeta_;
  if (share < 1 || count_ == 1) return 0;
  if (share < second_ || count_ == 2) return 1;
  const double rank = static_cast<double>(count_) * std::pow(eta_ * u - eta_ + 1, alpha_);
  return std::min(static_cast<std::uint64_t>(rank), count_ - 1);
}

void Zipfian::grow() {
  ++count_;
  zeta_ += std::pow(static_cast<double>(count_), -theta_);
  prepare();
}

}  // namespace varve::bench
