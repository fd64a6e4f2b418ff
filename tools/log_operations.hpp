// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace varve::tools {

// One operation of a log record, as `varve log dump` shows it.
struct LogOperation {
  enum class Kind : std::uint8_t { Put = 1, Erase = 2, EraseRange = 3 };
  Kind kind = Kind::Put;
  std::string_view key;    // EraseRange: its first key.
  std::string_view value;  // EraseRange: its end; empty: none.
};

// Walks WriteBatch::encoded() bytes (docs/FORMAT.md, "log record").
//   u8 kind | varint size | key | Put, EraseRange: varint size | value or end
// Bytes that do not parse end the walk, with ok() false.
class LogOperationReader {
 public:
  explicit LogOperationReader(std::string_view bytes) noexcept : rest_(bytes) {}
  [[nodiscard]] bool next(LogOperation& operation) noexcept;
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  [[nodiscard]] bool take_sized(std::string_view& to) noexcept;
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace varve::tools
