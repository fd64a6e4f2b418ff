// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace varve::directory {

class LockMonitor;
struct LockClassFigures;

// What the locks of one kind have in common: a name for reports, and a rank in the order in which
// a thread takes locks (lower ranks first; lib's list of ranks is the lock order itself).
//
// Lifetime: outlives its mutexes; a monitor outlives its classes. `name` is not copied: a literal.
// Thread-safety: immutable.
class LockClass {
 public:
  // A rank outside of the order: its locks may be taken at any time, and any lock under them.
  static constexpr std::uint8_t kUnordered = 255;

  // Without a monitor the locks are not observed, which costs them one branch.
  // Errors: std::bad_alloc, with a monitor only.
  LockClass(std::string_view name, std::uint8_t rank, LockMonitor* monitor = nullptr);
  LockClass(const LockClass&) = delete;
  LockClass& operator=(const LockClass&) = delete;

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] std::uint8_t rank() const noexcept { return rank_; }
  // Where observations go; null when nobody observes.
  [[nodiscard]] LockClassFigures* figures() const noexcept { return figures_; }

 private:
  std::string_view name_;
  std::uint8_t rank_;
  LockClassFigures* figures_;
};

}  // namespace varve::directory
