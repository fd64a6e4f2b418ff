// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace varve::test {

// A value that knows whether it lives: its mark changes when it is destroyed, and every read looks.
// `bad_count` counts reads and destructions of what does not live, `live_count` the living.
class Canary {
 public:
  explicit Canary(std::uint64_t number = 0) noexcept : number_(number) { ++live_count; }
  Canary(const Canary& other) noexcept : number_(other.number()) { ++live_count; }
  Canary& operator=(const Canary&) = delete;
  ~Canary() {
    check();
    number_ = ~std::uint64_t{0};
    // A plain store might be optimised away, being the object's last.
    *const_cast<volatile std::uint64_t*>(&mark_) = kDead;
    --live_count;
  }
  [[nodiscard]] std::uint64_t number() const noexcept {
    check();
    return number_;
  }
  friend bool operator==(const Canary& a, const Canary& b) noexcept {
    return a.number() == b.number();
  }

  static inline std::atomic<std::int64_t> live_count{0};
  static inline std::atomic<std::uint64_t> bad_count{0};

 private:
  static constexpr std::uint64_t kAlive = 0xA11CEA11CEA11CE5;
  static constexpr std::uint64_t kDead = 0xDEADDEADDEADDEAD;

  void check() const noexcept {
    if (*const_cast<const volatile std::uint64_t*>(&mark_) != kAlive) ++bad_count;
  }

  std::uint64_t mark_ = kAlive;
  std::uint64_t number_;
};

}  // namespace varve::test
