// SPDX-License-Identifier: Apache-2.0
#include "tools/log_operations.hpp"

#include <cstddef>

namespace varve::tools {

bool LogOperationReader::next(LogOperation& operation) noexcept {
  if (!ok_ || rest_.empty()) return false;
  const auto kind = static_cast<std::uint8_t>(rest_[0]);
  rest_.remove_prefix(1);
  operation = {};
  operation.kind = static_cast<LogOperation::Kind>(kind);
  const bool is_known = kind >= 1 && kind <= 3;
  const bool has_second = operation.kind != LogOperation::Kind::Erase;
  ok_ = is_known && take_sized(operation.key) && (!has_second || take_sized(operation.value));
  return ok_;
}

bool LogOperationReader::take_sized(std::string_view& to) noexcept {
  constexpr int kVarintShiftMax = 63;
  std::uint64_t size = 0;
  for (int shift = 0; shift <= kVarintShiftMax && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest_[0]);
    rest_.remove_prefix(1);
    size |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) != 0) continue;
    if (size > rest_.size()) return false;
    to = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    return true;
  }
  return false;
}

}  // namespace varve::tools
