// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "varve/segment_index.hpp"

namespace varve::test {

using Model = std::map<std::string, std::string>;

// A history of writes in which operation `number` is the same whenever it is asked for: what a
// crashed index holds can be compared with every prefix, without having written anything down.
// Puts, overwrites, erases, batches over several segments and range erases over a few thousand
// keys of mixed shape.
class History {
 public:
  explicit History(std::uint64_t seed) noexcept : seed_(seed) {}
  void apply(std::uint64_t number, SegmentIndex& index, const WriteOptions& options = {}) const;
  void apply(std::uint64_t number, Model& model) const;
  static constexpr std::uint64_t kKeyCount = 3000;

 private:
  template <typename Target>
  void run(std::uint64_t number, Target&& target) const;
  std::uint64_t seed_;
};

// Everything in the index, by a forward scan.
[[nodiscard]] Model contents(const SegmentIndex& index);
// The first difference as a sentence; empty when there is none.
[[nodiscard]] std::string difference(const Model& expected, const Model& found);
// Compares get() of all keys of the history, and the reverse scan, with `expected`.
[[nodiscard]] std::string read_difference(const SegmentIndex& index, const Model& expected);

// Tiny sizes, so that a few thousand operations flush, compact, split and rotate the log.
[[nodiscard]] Options tiny_options();

}  // namespace varve::test
