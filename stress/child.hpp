// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace varve::stress {

struct ChildOptions {
  std::vector<std::string> arguments;              // The program first; looked for in PATH.
  std::map<std::string, std::string> environment;  // Added to ours.
  bool read_output = false;  // Its standard output comes to output_fd(); else it is ours.
};

// A program in a process group of its own, so that what it starts is stopped and killed with it and
// our terminal's interrupts are not for it. It dies with us.
// Errors: Obstacle, also when there is no such program.
class Child {
 public:
  explicit Child(const ChildOptions& options);  // The program runs when this returns.
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();  // Kills what is left.

  [[nodiscard]] int output_fd() const noexcept { return output_fd_; }  // Does not block.
  // The wait status once it has ended.
  [[nodiscard]] std::optional<int> poll();
  // As poll(), for so long; 0: until it ends.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds patience);
  // Everything of its group stands still when this returns. False: it ended instead.
  [[nodiscard]] bool stop();
  void kill();  // And waits for the end of its whole group.

 private:
  void end() noexcept;

  pid_t pid_ = -1;
  int output_fd_ = -1;
  std::optional<int> status_;
};

// "exit status 3", "signal 11 (Segmentation fault)".
[[nodiscard]] std::string status_text(int status);
void pause_for(std::chrono::microseconds time);

}  // namespace varve::stress
