// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace varve::internal {

// The only place that knows file names: no name is ever read from a file, all are derived from
// numbers.
[[nodiscard]] std::string main_file_name(std::uint64_t segment_id, std::uint64_t version);
[[nodiscard]] std::string delta_file_name(std::uint64_t number);
[[nodiscard]] std::string log_file_name(std::uint64_t number);
inline constexpr std::string_view kReserveName = "reserve.varve";
// An open removes what it may from names that are ours, but somebody can put something there later;
// and a link, a pipe or a directory is never removed. It is left alone, and who makes a file takes
// the next number: so many times, before it gives up.
inline constexpr int kTakenNamesMax = 16;

// What a name in the directory of an index means.
struct FileName {
  enum class Type : std::uint8_t { Lock, Manifest, Reserve, Log, Delta, Main, Temporary };
  Type type;
  std::uint64_t number = 0, version = 0;  // Main: segment id and version. Log, Delta: number.
  friend bool operator==(const FileName&, const FileName&) = default;
};
// Gives nullopt for names that are not exactly ours (another case, leading zeros, numbers beyond 64
// bits, backup copies of editors): such files are reported and never touched. Temporary is one of
// our names followed by ".tmp".
[[nodiscard]] std::optional<FileName> parse_file_name(std::string_view name);

}  // namespace varve::internal
