// SPDX-License-Identifier: Apache-2.0
#include "bench/svg_plot.hpp"

#include <cmath>

#include "bench/html.hpp"

namespace varve::bench {
namespace {

std::string number(double value) {
  return format("%.1f", value);
}

std::string svg(double width, double height, const std::string& title, const std::string& content) {
  return "<svg viewBox=\"0 0 " + number(width) + " " + number(height) + "\" role=\"img\" style=\"" +
         "max-width:" + number(width) + "px\">" + element("title", escaped(title)) + content +
         "</svg>\n";
}

std::string text_at(double x, double y, const std::string& text, const char* css) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" class=\"" + css + "\">" +
         escaped(text) + "</text>";
}

std::string segment(double x1, double y1, double x2, double y2, const std::string& css) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) +
         "\" y2=\"" + number(y2) + "\" class=\"" + css + "\"/>";
}

std::string color_class(std::size_t color) {
  return "c" + std::to_string(color % 8);
}

std::string spread_title(const std::string& name, const Spread& value) {
  return name + ": " + duration_text(value.median) + " (" + duration_text(value.low) + " to " +
         duration_text(value.high) + ")";
}

// Where a plot's lines go: a logarithmic axis upwards, a linear one to the right.
struct Frame {
  static constexpr double kLeft = 70, kTop = 30, kWidth = 480, kHeight = 240;
  double x_low, x_high, y_low, y_high;  // y: powers of ten.

  [[nodiscard]] double x(double value) const {
    const double range = x_high - x_low;
    return kLeft + (range > 0 ? (value - x_low) / range : 0.5) * kWidth;
  }
  [[nodiscard]] double y(double ns) const {
    return kTop + kHeight - (std::log10(ns) - y_low) / (y_high - y_low) * kHeight;
  }
};

Frame make_frame(const std::vector<Tick>& x_ticks, const std::vector<Line>& lines) {
  Frame frame{x_ticks.front().at, x_ticks.back().at, 1e9, -1e9};
  for (const Line& line : lines) {
    for (const LinePoint& point : line.points) {
      if (point.y.median <= 0) continue;
      const double low = point.y.low > 0 ? point.y.low : point.y.median;
      frame.y_low = std::min(frame.y_low, std::floor(std::log10(low)));
      frame.y_high = std::max(frame.y_high, std::ceil(std::log10(point.y.high)));
    }
  }
  if (frame.y_low > frame.y_high) frame.y_low = frame.y_high = 0;
  if (frame.y_low == frame.y_high) ++frame.y_high;
  return frame;
}

std::string axes(const Frame& frame, const std::vector<Tick>& x_ticks) {
  std::string result;
  const double bottom = Frame::kTop + Frame::kHeight;
  for (double power = frame.y_low; power <= frame.y_high; ++power) {
    const double ns = std::pow(10, power);
    result += segment(Frame::kLeft, frame.y(ns), Frame::kLeft + Frame::kWidth, frame.y(ns), "grid");
    result += text_at(Frame::kLeft - 6, frame.y(ns) + 4, duration_text(ns), "end");
  }
  for (const Tick& tick : x_ticks) {
    result += segment(frame.x(tick.at), Frame::kTop, frame.x(tick.at), bottom, "grid");
    result += text_at(frame.x(tick.at), bottom + 18, tick.text, "mid");
  }
  return result;
}

std::string draw(const Frame& frame, const Line& line) {
  std::string path, marks;
  for (const LinePoint& point : line.points) {
    if (point.y.median <= 0) continue;
    const double x = frame.x(point.x), y = frame.y(point.y.median);
    path += (path.empty() ? "" : " ") + number(x) + "," + number(y);
    if (point.y.low > 0 && point.y.low < point.y.high) {
      marks += segment(x, frame.y(point.y.low), x, frame.y(point.y.high),
                       "range " + color_class(line.color));
    }
    marks += "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"3\" class=\"" +
             color_class(line.color) + "\">" +
             element("title", escaped(spread_title(line.name, point.y))) + "</circle>";
  }
  return "<polyline points=\"" + path + "\" class=\"line " + color_class(line.color) + "\"/>" +
         marks;
}

}  // namespace

std::string duration_text(double ns) {
  if (ns <= 0) return "0";
  constexpr const char* kUnits[] = {"ns", "us", "ms", "s"};
  std::size_t unit = 0;
  while (ns >= 999.5 && unit < 3) {
    ns /= 1000;
    ++unit;
  }
  return format(ns < 10 ? "%.3g %s" : "%.0f %s", ns, kUnits[unit]);
}

std::string bar_plot(const std::string& title, const std::vector<Bar>& bars) {
  constexpr double kLeft = 130, kWidth = 420, kRow = 22, kBar = 14;
  double most = 0;
  for (const Bar& bar : bars) most = std::max(most, bar.value.high);
  const auto length = [&](double value) { return most > 0 ? value / most * kWidth : 0; };
  std::string content;
  double y = 4;
  for (const Bar& bar : bars) {
    const auto rectangle = [&](double width, const std::string& css) {
      return "<rect x=\"" + number(kLeft) + "\" y=\"" + number(y) + "\" width=\"" + number(width) +
             "\" height=\"" + number(kBar) + "\" class=\"" + css + "\">" +
             element("title", escaped(spread_title(bar.name, bar.value))) + "</rect>";
    };
    content += text_at(kLeft - 6, y + 11, bar.name, "end");
    content += rectangle(length(bar.value.median), color_class(bar.color));
    if (bar.inner > 0) {
      content += rectangle(length(std::min(bar.inner, bar.value.median)), "inner");
    }
    const double middle = y + kBar / 2;
    content += segment(kLeft + length(bar.value.low), middle, kLeft + length(bar.value.high),
                       middle, "whisker");
    content += text_at(kLeft + length(bar.value.high) + 6, y + 11, duration_text(bar.value.median),
                       "start");
    y += kRow;
  }
  return svg(kLeft + kWidth + 90, y + 4, title, content);
}

std::string line_plot(const std::string& title, const std::vector<Tick>& x_ticks,
                      const std::vector<Line>& lines) {
  const Frame frame = make_frame(x_ticks, lines);
  std::string content = text_at(Frame::kLeft, 16, title, "start") + axes(frame, x_ticks);
  double legend_y = Frame::kTop + 8;
  const double legend_x = Frame::kLeft + Frame::kWidth + 14;
  for (const Line& line : lines) {
    content += draw(frame, line);
    content +=
        segment(legend_x, legend_y, legend_x + 18, legend_y, "line " + color_class(line.color));
    content += text_at(legend_x + 24, legend_y + 4, line.name, "start");
    legend_y += 20;
  }
  const double height = std::max(Frame::kTop + Frame::kHeight + 28, legend_y + 8);
  return svg(legend_x + 140, height, title, content);
}

}  // namespace varve::bench
