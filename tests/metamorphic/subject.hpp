// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/metamorphic/operation.hpp"
#include "tests/support/model.hpp"
#include "varve/scan.hpp"

namespace varve::test::metamorphic {

// Slots for what operations leave to later ones: cursors, snapshots and resume tokens, so many of
// each.
inline constexpr std::size_t kSlotCount = 4;
// Which invalid calls there are: operation InvalidCall takes its number modulo this.
inline constexpr std::uint64_t kInvalidCallCount = 8;

// What a list of operations is done to: the model, or an index in one configuration. The same
// operations must give the same answers.
class Subject {
 public:
  virtual ~Subject() = default;
  // Does it, and tells what came of it as text.
  [[nodiscard]] virtual std::string apply(const Operation& operation) = 0;
};
using History = std::vector<std::string>;

// How both sides write their answers.
[[nodiscard]] std::string answer(const std::optional<std::string>& value);
[[nodiscard]] std::string answer(const std::vector<std::optional<std::string>>& values);
[[nodiscard]] std::string answer(const Entries& entries);
[[nodiscard]] std::string answer(const Entries& entries, ScanEnd end);

// The options that the fields of an operation say; they refer to it. `limit`: the number's position
// among the operation's numbers; none: without.
[[nodiscard]] ScanOptions scan_options(const Operation& operation, bool has_limit = true);

}  // namespace varve::test::metamorphic
