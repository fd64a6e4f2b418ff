// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/error_of.hpp"
#include "varve/segment_index.hpp"

namespace varve::test {

using Entries = std::vector<std::pair<std::string, std::string>>;

// What an index must hold: the plainest implementation there is.
class Model {
 public:
  void put(std::string_view key, std::string_view value) {
    entries_[std::string(key)] = std::string(value);
  }
  void erase(std::string_view key) { entries_.erase(std::string(key)); }
  void erase_range(std::string_view from, std::string_view to) {
    if (!to.empty() && from >= to) return;
    entries_.erase(entries_.lower_bound(from),
                   to.empty() ? entries_.end() : entries_.lower_bound(to));
  }
  void erase_prefix(std::string_view prefix) {
    std::erase_if(entries_, [&](const auto& entry) { return entry.first.starts_with(prefix); });
  }
  [[nodiscard]] std::optional<std::string> get(std::string_view key) const {
    const auto it = entries_.find(key);
    if (it == entries_.end()) return std::nullopt;
    return it->second;
  }
  // What a scan with the bounds, the prefix, the direction and the limit of `options` gives.
  [[nodiscard]] Entries scan(const ScanOptions& options = {}) const {
    Entries found;
    for (const auto& [key, value] : entries_) {
      if (key < options.from || (!options.to.empty() && key >= options.to)) continue;
      if (key.starts_with(options.prefix)) found.emplace_back(key, value);
    }
    if (options.reverse) found = {found.rbegin(), found.rend()};
    if (found.size() > options.limit) found.resize(options.limit);
    return found;
  }
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& entries() const {
    return entries_;
  }

 private:
  std::map<std::string, std::string, std::less<>> entries_;
};

[[nodiscard]] inline Entries take_all(Cursor& cursor) {
  Entries found;
  while (cursor.next()) found.emplace_back(cursor.key(), cursor.value());
  return found;
}
[[nodiscard]] inline Entries scan_all(const SegmentIndex& index, const ScanOptions& options = {}) {
  Cursor cursor = index.scan(options);
  return take_all(cursor);
}

// The first difference, for a message; empty: none. (A failed comparison of whole lists would
// print them.)
[[nodiscard]] inline std::string difference(const Entries& found, const Entries& expected) {
  for (std::size_t i = 0; i < found.size() || i < expected.size(); ++i) {
    const std::string at = "entry " + std::to_string(i) + ": ";
    if (i >= found.size()) return at + "missing key " + expected[i].first;
    if (i >= expected.size()) return at + "unexpected key " + found[i].first;
    if (found[i].first != expected[i].first) {
      return at + "key " + found[i].first + ", expected " + expected[i].first;
    }
    if (found[i].second != expected[i].second) return at + "wrong value of key " + found[i].first;
  }
  return {};
}

// Keys and values of one shape, from a seed. Few enough keys that writes meet each other.
class Workload {
 public:
  enum class Shape { Short, Decimal, SharedPrefix, Binary, Ascending, Mixed };
  static constexpr std::array<Shape, 6> kShapes = {Shape::Short,        Shape::Decimal,
                                                   Shape::SharedPrefix, Shape::Binary,
                                                   Shape::Ascending,    Shape::Mixed};

  Workload(Shape shape, std::uint64_t seed) : shape_(shape), random_(seed) {}
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  [[nodiscard]] bool one_in(std::uint64_t bound) { return below(bound) == 0; }

  [[nodiscard]] std::string key() {
    switch (shape_) {
      case Shape::Short:
        return text(1 + below(3), "abcdefghijkl");
      case Shape::Decimal:
        return "user:" + std::to_string(100000 + below(2000));
      case Shape::SharedPrefix: {
        // One by one: operands of + are evaluated in any order, and a seed must mean one workload.
        std::string bytes = std::string(180, 'p').append(std::to_string(below(40)));
        bytes.append(below(3) * 60, 'q');
        return bytes.append(std::to_string(below(40)));
      }
      case Shape::Binary:
        return text(1 + below(5), std::string_view("\0\x01\x7f\x80\xfe\xff", 6));
      case Shape::Ascending:
        return number_key(one_in(4) ? below(next_ + 1) : next_++);
      case Shape::Mixed:
        if (one_in(40)) {
          std::string bytes(1000 + below(3000), 'm');
          return bytes.append(std::to_string(below(20)));
        }
        return one_in(2) ? text(1 + below(2), "az\xff") : std::to_string(below(3000));
    }
    return "k";
  }
  [[nodiscard]] std::string value() {
    std::size_t size = below(120);
    if (one_in(20)) size = 0;
    if (one_in(20)) size = 600 + below(1200);
    if (one_in(300)) size = 20000 + below(30000);
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random_());
    return bytes;
  }

 private:
  [[nodiscard]] static std::string number_key(std::uint64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(10 - digits.size(), '0') + digits;
  }
  [[nodiscard]] std::string text(std::size_t size, std::string_view alphabet) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = alphabet[below(alphabet.size())];
    return bytes;
  }

  const Shape shape_;
  std::mt19937_64 random_;
  std::uint64_t next_ = 0;
};

}  // namespace varve::test
