// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tests/crash/scenario.hpp"

namespace varve::test {

// One run of a script in which calls fail, and what may be found after it.
//
// A write that failed is settled at once where the index goes on: reads show whether it happened.
// Where the failure is latched it stays in doubt, and no later write may return.
class FaultRun {
 public:
  explicit FaultRun(const Script& script);

  [[nodiscard]] const Medium& medium() const noexcept { return run_.medium(); }
  // Runs until the end, or until the index is not open any more.
  void run(bool close_at_end);

  enum class End : std::uint8_t { Closed, ProcessDeath, PowerLoss };
  [[nodiscard]] bool allows(const Contents& found, End end) const;
  [[nodiscard]] std::string explain(const Model& found, End end) const;
  // How it really ended: a close() that failed leaves what the death of the process does.
  [[nodiscard]] bool closed() const noexcept { return closed_; }

  [[nodiscard]] std::size_t error_count() const noexcept { return error_count_; }
  [[nodiscard]] bool shown() const noexcept { return error_count_ > 0 || unhealthy_; }
  [[nodiscard]] bool latched() const noexcept { return latched_; }
  // The kind of the step that met the first refused call; -1: opening or closing.
  [[nodiscard]] int refused_in() const noexcept { return refused_in_; }
  // A call of a step that closes the index and opens it again was refused.
  [[nodiscard]] bool refused_amid_reopening() const noexcept { return refused_amid_reopening_; }
  [[nodiscard]] bool went_on() const noexcept { return went_on_; }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  void perform(Step::Kind call);
  void note_success(Step::Kind call, std::size_t number, bool failed_before);
  void settle(const Write& write);
  void look();
  [[nodiscard]] Contents contents(std::size_t flushed, std::size_t logged, bool doubtful) const;
  void problem(const std::string& what);

  const Script& script_;
  ScriptRun run_;
  Model model_;                            // After all writes that happened.
  Model seen_;                             // What reads show: perhaps also one that is in doubt.
  std::vector<const Write*> happened_;     // In order.
  std::size_t flushed_ = 0, durable_ = 0;  // Of these; as in Progress.
  const Write* doubtful_ = nullptr;
  std::size_t error_count_ = 0;
  bool refused_amid_reopening_ = false;
  int refused_in_ = -1;
  bool unhealthy_ = false, latched_ = false, went_on_ = false, closed_ = false;
  std::string problem_;
};

}  // namespace varve::test
