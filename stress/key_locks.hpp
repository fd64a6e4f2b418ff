// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <mutex>

#include "stress/key_word.hpp"

namespace varve::stress {

// Stripes of neighbouring keys, so that each key has one writer at a time. Writers lock all stripes
// of a write at once, in ascending order.
// Thread-safety: any thread.
class KeyLocks {
 public:
  static constexpr std::uint32_t kStripeCount = 64;

  // A set of stripes, one bit each.
  using Stripes = std::uint64_t;

  explicit KeyLocks(std::uint32_t key_count)
      : keys_per_stripe_((key_count + kStripeCount - 1) / kStripeCount) {}

  [[nodiscard]] Stripes stripe_of(KeyNumber key) const noexcept {
    return Stripes{1} << key / keys_per_stripe_;
  }
  // Of the keys in [first, end).
  [[nodiscard]] Stripes stripes_of(KeyNumber first, KeyNumber end) const noexcept {
    Stripes stripes = 0;
    for (KeyNumber key = first; key < end; key += keys_per_stripe_) stripes |= stripe_of(key);
    return first < end ? stripes | stripe_of(end - 1) : stripes;
  }

  // Holds the stripes as long as it lives.
  class Held {
   public:
    Held(KeyLocks& locks, Stripes stripes) : locks_(locks), stripes_(stripes) {
      for (Stripes left = stripes; left != 0; left &= left - 1) {
        locks_.stripes_[static_cast<std::size_t>(std::countr_zero(left))].lock();
      }
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() {
      for (Stripes left = stripes_; left != 0; left &= left - 1) {
        locks_.stripes_[static_cast<std::size_t>(std::countr_zero(left))].unlock();
      }
    }

   private:
    KeyLocks& locks_;
    const Stripes stripes_;
  };

 private:
  const std::uint32_t keys_per_stripe_;
  std::array<std::mutex, kStripeCount> stripes_;
};

}  // namespace varve::stress
