// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace varve::stress {

// The index broke a promise: what a run looks for. what() says which.
class Mismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The run cannot go on for reasons that say nothing about the index: a full disk, no processes.
class Obstacle : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Errors: Obstacle with what errno says.
[[noreturn]] void throw_errno(const char* what);

}  // namespace varve::stress
