// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>

namespace varve::tools {

// How far a long job is.
struct ProgressState {
  std::uint64_t done = 0, total = 0;    // In whatever tells how much is left; total 0: unknown.
  std::uint64_t count = 0;              // What the rate is about.
  std::chrono::milliseconds elapsed{};  // Since the beginning.
};
// "[#####.........] 38%  1,234,567 entries  812,345/s  ETA 3.2 s", as far as it is known.
[[nodiscard]] std::string progress_text(const ProgressState& state, const std::string& unit);

// Shows progress on the standard error: a line that is redrawn on a terminal, else a line now and
// then. Shows nothing of a job that is over at once.
// Thread-safety: none. Errors: none: a job does not fail because its progress cannot be shown.
class Progress {
 public:
  Progress(std::ostream& err, bool enabled, std::string unit);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  // Cheap enough for every entry.
  void update(std::uint64_t done, std::uint64_t total, std::uint64_t count) {
    state_.done = done;
    state_.total = total;
    state_.count = count;
    if (enabled_ && ++updates_ % kUpdatesPerLook == 0) look_at_clock();
  }
  // As update(), for few and long steps.
  void update_slowly(std::uint64_t done, std::uint64_t total, std::uint64_t count) {
    updates_ = kUpdatesPerLook - 1;
    update(done, total, count);
  }
  // Takes the line away: before a message, and at the end.
  void clear();
  [[nodiscard]] std::chrono::milliseconds elapsed() const;

 private:
  static constexpr std::uint64_t kUpdatesPerLook = 256;
  using Clock = std::chrono::steady_clock;
  void look_at_clock();

  std::ostream& err_;
  const bool terminal_, enabled_;
  const std::string unit_;
  const Clock::time_point start_;
  Clock::time_point next_;
  ProgressState state_;
  std::uint64_t updates_ = 0;
  bool drawn_ = false;
};

}  // namespace varve::tools
