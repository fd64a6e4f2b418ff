// SPDX-License-Identifier: Apache-2.0
#include "bench/scale.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace varve::bench {
namespace {

constexpr std::uint64_t kEntryCountMin = 1000;

std::uint64_t parse_number(std::string_view text, std::uint64_t thousand) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  std::uint64_t factor = 0;
  if (unit.empty()) factor = 1;
  if (unit == "K") factor = thousand;
  if (unit == "M") factor = thousand * thousand;
  if (unit == "G") factor = thousand * thousand * thousand;
  if (error != std::errc() || factor == 0 || number > ~std::uint64_t{0} / factor) {
    throw std::invalid_argument("not a number, or too large: " + std::string(text));
  }
  return number * factor;
}

struct Parameter {
  const char* name;
  std::uint64_t (*parse)(std::string_view);
  std::uint64_t low, high;
};
constexpr Parameter kParameters[] = {
    {"entries", parse_count, kEntryCountMin, KeyMaker::kCountMax},
    {"value_size", parse_size, ValueMaker::kSizeMin, 1 << 20},
    {"segment_size", parse_size, 64 << 10, std::uint64_t{16} << 30},
    {"threads", parse_count, 1, 64},
};

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
  }
}

std::vector<std::uint64_t> parse_values(const Parameter& parameter, std::string_view text) {
  std::vector<std::uint64_t> values;
  for (const std::string_view part : split(text, ",")) {
    const auto ends = split(part, "..");
    const std::uint64_t first = parameter.parse(ends.front()), last = parameter.parse(ends.back());
    if (ends.size() > 2 || first < parameter.low || last > parameter.high || first > last) {
      throw std::invalid_argument(std::string(parameter.name) +
                                  ": out of range: " + std::string(part));
    }
    for (std::uint64_t value = first; value <= last; value *= 2) values.push_back(value);
  }
  return values;
}

RunPoint make_point(const Settings& base, const std::string& name, std::uint64_t value,
                    std::uint64_t data_size_max) {
  RunPoint point{.point = {name, value}, .settings = base};
  if (name == "entries") {
    point.settings.entry_count = value;
  } else if (name == "segment_size") {
    point.settings.segment_size = value;
    point.own_engines_only = true;
  } else {
    point.settings.value_size = value;
    const std::uint64_t count_max =
        std::max(kEntryCountMin, data_size_max / (value + KeyMaker::kSizeMax));
    point.settings.entry_count = std::min(base.entry_count, count_max);
    point.settings.read_count = std::min(base.read_count, count_max);
  }
  return point;
}

}  // namespace

std::uint64_t parse_count(std::string_view text) {
  return parse_number(text, 1000);
}
std::uint64_t parse_size(std::string_view text) {
  return parse_number(text, 1024);
}

std::vector<RunPoint> scale_points(Settings settings, const std::vector<std::string>& words,
                                   std::uint64_t data_size_max) {
  std::vector<std::pair<std::string, std::vector<std::uint64_t>>> varied;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const auto* parameter = std::find_if(std::begin(kParameters), std::end(kParameters),
                                         [&](const Parameter& p) { return p.name == name; });
    if (equals == std::string::npos || parameter == std::end(kParameters)) {
      throw std::invalid_argument("--scale: " + word + ": not PARAMETER=VALUES, or not known");
    }
    const auto values = parse_values(*parameter, std::string_view(word).substr(equals + 1));
    if (name == "threads") {
      settings.thread_counts.assign(values.begin(), values.end());
    } else {
      varied.emplace_back(name, values);
    }
  }
  std::vector<RunPoint> points;
  if (varied.empty()) points.emplace_back().settings = settings;
  for (const auto& [name, values] : varied) {
    for (const std::uint64_t value : values) {
      points.push_back(make_point(settings, name, value, data_size_max));
    }
  }
  return points;
}

}  // namespace varve::bench
