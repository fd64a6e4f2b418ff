// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/table.hpp"

namespace varve::bench {

// Plots as SVG elements that take their colours from the classes c0, c1, ... of the page around
// them. Each carries its figures as titles, which a reader sees by pointing at a mark.

struct Bar {
  std::string name;
  std::size_t color = 0;
  Spread value;      // The bar is the median, a line through its end the range.
  double inner = 0;  // A part of it that is marked; 0: none.
};
// Horizontal bars from zero. Requires: at least one.
[[nodiscard]] std::string bar_plot(const std::string& title, const std::vector<Bar>& bars);

struct LinePoint {
  double x = 0;
  Spread y;
};
struct Line {
  std::string name;
  std::size_t color = 0;
  std::vector<LinePoint> points;  // Ascending x.
};
struct Tick {
  double at = 0;
  std::string text;
};
// Times in ns on a logarithmic axis, against x, whose ticks say what it is. Points of y = 0 are
// left out.
[[nodiscard]] std::string line_plot(const std::string& title, const std::vector<Tick>& x_ticks,
                                    const std::vector<Line>& lines);

[[nodiscard]] std::string duration_text(double ns);  // With its unit: "1.5 us".

}  // namespace varve::bench
