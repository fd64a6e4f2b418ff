// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace varve::directory {

inline constexpr std::size_t kFileNameSizeMax = 100;
inline constexpr std::string_view kTemporarySuffix = ".tmp";

// The names a Directory accepts: one path component of [A-Za-z0-9._-], not hidden. Such a name can
// neither leave the directory nor need quoting anywhere.
[[nodiscard]] constexpr bool is_file_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > kFileNameSizeMax || name.front() == '.') return false;
  for (const char c : name) {
    const bool letter_or_digit =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter_or_digit && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}
[[nodiscard]] constexpr bool is_temporary_name(std::string_view name) noexcept {
  return name.ends_with(kTemporarySuffix);
}

}  // namespace varve::directory
