// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace varve::stress {

// SplitMix64. Not one of <random>: what a seed draws must be the same with every standard library.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t bits) noexcept {
  bits += 0x9e3779b97f4a7c15ULL;
  bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9ULL;
  bits = (bits ^ bits >> 27) * 0x94d049bb133111ebULL;
  return bits ^ bits >> 31;
}
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t a, std::uint64_t b) noexcept {
  return mixed(mixed(a) ^ b);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  [[nodiscard]] std::uint64_t next() noexcept {
    const std::uint64_t drawn = mixed(state_);
    state_ += 0x9e3779b97f4a7c15ULL;
    return drawn;
  }
  // In [0, end). Requires: end > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t end) noexcept { return next() % end; }
  [[nodiscard]] bool one_in(std::uint64_t count) noexcept { return below(count) == 0; }
  template <typename T, std::size_t kCount>
  [[nodiscard]] T pick(const T (&from)[kCount]) noexcept {
    return from[below(kCount)];
  }
  // In [least, 2 * most): each doubling is as likely as any other. Requires: 0 < least <= most.
  [[nodiscard]] std::uint64_t of_any_magnitude(std::uint64_t least, std::uint64_t most) noexcept {
    const auto doublings = static_cast<std::uint64_t>(std::bit_width(most / least));
    const std::uint64_t low = least << below(doublings);
    return low + below(low);
  }

 private:
  std::uint64_t state_;
};

}  // namespace varve::stress
