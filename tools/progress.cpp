// SPDX-License-Identifier: Apache-2.0
#include "tools/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "tools/output.hpp"
#include "tools/text.hpp"

namespace varve::tools {

namespace {

constexpr std::chrono::milliseconds kRedrawInterval{100};
constexpr std::chrono::milliseconds kLineInterval{5000};
constexpr std::size_t kBarWidth = 30;

}  // namespace

std::string progress_text(const ProgressState& state, const std::string& unit) {
  const double seconds = std::max(0.001, static_cast<double>(state.elapsed.count()) / 1000);
  std::string text;
  if (state.total > 0) {
    const double share =
        std::min(1.0, static_cast<double>(state.done) / static_cast<double>(state.total));
    const auto filled = static_cast<std::size_t>(share * kBarWidth);
    text = fmt::format("[{}{}] {:3.0f}%  ", std::string(filled, '#'),
                       std::string(kBarWidth - filled, '.'), share * 100);
  }
  const double rate = static_cast<double>(state.count) / seconds;
  if (unit == "bytes") {
    text += fmt::format("{}  {}/s", human_size(state.count),
                        human_size(static_cast<std::uint64_t>(rate)));
  } else {
    text += fmt::format("{} {}  {}/s", human_count(state.count), unit,
                        human_count(static_cast<std::uint64_t>(rate)));
  }
  if (state.total > 0 && state.done > 0 && state.done < state.total) {
    const double left =
        seconds * (static_cast<double>(state.total) / static_cast<double>(state.done) - 1);
    text += "  ETA " +
            human_duration(std::chrono::milliseconds(static_cast<std::int64_t>(left * 1000)));
  }
  return text;
}

Progress::Progress(std::ostream& err, bool enabled, std::string unit)
    : err_(err),
      terminal_(is_terminal(err)),
      enabled_(enabled),
      unit_(std::move(unit)),
      start_(Clock::now()),
      next_(start_ + (terminal_ ? 3 * kRedrawInterval : kLineInterval)) {}

void Progress::look_at_clock() {
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? kRedrawInterval : kLineInterval);
  state_.elapsed = elapsed();
  const std::string text = progress_text(state_, unit_);
  if (terminal_) {
    err_ << '\r' << text << "\x1b[K";
    drawn_ = true;
  } else {
    err_ << text << '\n';
  }
  err_.flush();
}

void Progress::clear() {
  if (!drawn_) return;
  drawn_ = false;
  err_ << "\r\x1b[K";
  err_.flush();
}

std::chrono::milliseconds Progress::elapsed() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start_);
}

}  // namespace varve::tools
