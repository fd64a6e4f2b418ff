// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>

namespace varve::tools {

// Turns the first SIGINT or SIGTERM into a descriptor that becomes readable, from construction to
// destruction, so that a command that goes on until it is stopped ends in order. A second signal
// ends the process as usual.
// Thread-safety: one object at a time. Errors: std::system_error.
class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals();

  [[nodiscard]] int fd() const noexcept { return fds_[0]; }  // To poll for POLLIN.

 private:
  int fds_[2] = {-1, -1};
  struct sigaction old_int_ {
  }, old_term_{};
};

}  // namespace varve::tools
