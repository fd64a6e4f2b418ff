// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace varve::tools {

// How bytes become text and come back. Keys and values are any bytes; what the command prints is
// always valid UTF-8 without control characters, unless raw bytes were asked for.

// The length of the valid UTF-8 sequence at `offset`; 0: none (overlong forms, surrogates and
// values above U+10FFFF included).
[[nodiscard]] std::size_t utf8_length(std::string_view bytes, std::size_t offset) noexcept;
[[nodiscard]] bool is_utf8(std::string_view bytes) noexcept;

// Control bytes, DEL, backslash and bytes that are no UTF-8 become \t \n \r \\ or \xHH; the rest
// stays. unescape() gives back the same bytes.
void append_escaped(std::string& to, std::string_view bytes);
[[nodiscard]] std::string escaped(std::string_view bytes);
// For messages that may quote what a file holds: as escaped(), but that backslashes stay, since
// parts of the message may have been escaped before.
[[nodiscard]] std::string printable(std::string_view message);
// In quotes, `"` escaped too, cut after `size_max` bytes: for messages.
[[nodiscard]] std::string in_quotes(std::string_view bytes, std::size_t size_max = 64);
// False: `bytes` has an escape that is none; `error_offset` is where it begins. Appends to `to`.
[[nodiscard]] bool unescape(std::string_view text, std::string& to, std::size_t& error_offset);

void append_hex(std::string& to, std::string_view bytes);
[[nodiscard]] std::string hex(std::string_view bytes);
// False: an odd length or a character that is no hexadecimal digit, at `error_offset`.
[[nodiscard]] bool unhex(std::string_view text, std::string& to, std::size_t& error_offset);

// A JSON string literal. Requires: is_utf8(text).
void append_json_string(std::string& to, std::string_view text);
// `"name":"text"`, or `"name_hex":"..."` for bytes that are no UTF-8.
void append_json_bytes(std::string& to, std::string_view name, std::string_view bytes);

// "12.3 MiB", "900 B".
[[nodiscard]] std::string human_size(std::uint64_t size);
// "10,000,000".
[[nodiscard]] std::string human_count(std::uint64_t count);
// "4.1 s", "2 min 05 s".
[[nodiscard]] std::string human_duration(std::chrono::milliseconds duration);

// "4096", "64KiB", "64k", "16M", "1GiB": powers of 1024. nullopt: not that.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
// "250ms", "30s", "2m", "1h", "0". nullopt: not that.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// The candidate that is nearest to `word` by edits, if any is near enough to have been meant.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 const std::vector<std::string>& candidates);

}  // namespace varve::tools
