// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/call_history.hpp"

namespace varve::test {

// What one call saw of several keys, all at one moment in [invoked, returned], as it promises.
struct View {
  std::string_view how;  // "scan", "multi_get", "snapshot".
  std::uint32_t thread = 0;
  Moment invoked = 0, returned = 0;
  std::vector<std::pair<KeyNumber, ValueNumber>> seen = {};
};

// Keys that are only ever written together: each batch puts one value number at all of them, or
// erases all of them.
using KeyGroup = std::vector<KeyNumber>;

// The three questions that reads of many keys must answer. Each returns what is wrong as sentences
// for a person; empty: nothing.

// Whether every view has all keys of a group at one version.
[[nodiscard]] std::string torn_view(const std::vector<View>& views,
                                    const std::vector<KeyGroup>& groups);

// Whether there can have been a moment at which all of a view's keys had what it saw, whoever wrote
// them: no value is seen beside one that was written after that value was surely replaced, and a
// call that has surely happened at one of its keys has happened at all of them. Finds nothing that
// overlapping calls could excuse.
[[nodiscard]] std::string impossible_view(const std::vector<View>& views,
                                          const CallHistory& history);

// Whether each group is one linearizable register: versions go back for nobody, whichever keys of
// the group are read and by whichever call, and whoever has written reads that or something newer.
// The keys of `history` that are in no group are checked each for itself.
[[nodiscard]] std::string group_violation(const CallHistory& history,
                                          const std::vector<KeyGroup>& groups);

}  // namespace varve::test
