// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/atomicity.hpp"
#include "tests/support/call_history.hpp"

namespace varve::test {

// The keys of a workout, numbered in key order: blocks of single keys, and behind each block one
// key of every group, so that each group is spread over the whole index and a range erase within a
// block leaves the groups alone.
inline constexpr KeyNumber kBlockCount = 12;
inline constexpr KeyNumber kSinglesPerBlock = 20;
inline constexpr KeyNumber kGroupCount = 4;
inline constexpr KeyNumber kBlockSize = kSinglesPerBlock + kGroupCount;
inline constexpr KeyNumber kKeyCount = kBlockCount * kBlockSize;

[[nodiscard]] std::string key_name(KeyNumber key);
[[nodiscard]] std::optional<KeyNumber> key_number(std::string_view name);
[[nodiscard]] std::vector<KeyGroup> key_groups();

// The bytes of a value: its number and its key, filled up to a length of [100, 2500) that both
// determine. So few keys fill many small segments, and a mixture of two values is none.
[[nodiscard]] std::string value_bytes(KeyNumber key, ValueNumber value);
// The number in `bytes`; nullopt when they are not value_bytes(key, number).
[[nodiscard]] std::optional<ValueNumber> value_number(KeyNumber key, std::string_view bytes);

}  // namespace varve::test
