// SPDX-License-Identifier: Apache-2.0
#include "varve/write_batch.hpp"

#include <algorithm>

#include "directory/bytes.hpp"
#include "lib/log_format.hpp"
#include "varve/error.hpp"
#include "varve/limits.hpp"

namespace varve {

namespace {

// What every operation counts for in kBatchSizeMax, besides its key and value.
constexpr std::size_t kOperationCharge = 32;

[[noreturn]] void refuse_size(const char* what, std::size_t size, std::size_t size_min,
                              std::size_t size_max) {
  throw Error(ErrorCode::InvalidArgument, "adding to a batch: " + std::string(what) + " of " +
                                              std::to_string(size_min) + " to " +
                                              std::to_string(size_max) + " bytes expected, " +
                                              std::to_string(size) + " found");
}

inline void check_size(const char* what, std::size_t size, std::size_t size_min,
                       std::size_t size_max) {
  if (size < size_min || size > size_max) [[unlikely]]
    refuse_size(what, size, size_min, size_max);
}

}  // namespace

void WriteBatch::put(std::string_view key, std::string_view value) {
  check_size("a key", key.size(), kKeySizeMin, kKeySizeMax);
  check_size("a value", value.size(), 0, kValueSizeMax);
  append(static_cast<std::uint8_t>(internal::OperationKind::Put), key, value);
  ++put_count_;
}

void WriteBatch::erase(std::string_view key) {
  check_size("a key", key.size(), kKeySizeMin, kKeySizeMax);
  append(static_cast<std::uint8_t>(internal::OperationKind::Erase), key, {});
}

void WriteBatch::erase_range(std::string_view from, std::string_view to) {
  check_size("a range's first key", from.size(), 0, kKeySizeMax);
  check_size("a range's end", to.size(), 0, kKeySizeMax);
  if (!to.empty() && from >= to) return;
  append(static_cast<std::uint8_t>(internal::OperationKind::EraseRange), from, to);
}

void WriteBatch::clear() noexcept {
  bytes_.clear();
  count_ = 0;
  put_count_ = 0;
  data_size_ = 0;
}

void WriteBatch::append(std::uint8_t kind, std::string_view first, std::string_view second) {
  const std::size_t data_size = data_size_ + first.size() + second.size();
  check_size("all operations together", data_size + (count_ + 1) * kOperationCharge, 0,
             kBatchSizeMax);
  // Room first, so that a failed allocation leaves no half of an operation behind; doubling, so
  // that many small operations cost constant time each.
  const std::size_t size_max =
      bytes_.size() + 1 + 2 * directory::kVarintSizeMax + first.size() + second.size();
  if (size_max > bytes_.capacity()) bytes_.reserve(std::max(size_max, 2 * bytes_.capacity()));
  internal::append_operation(bytes_, static_cast<internal::OperationKind>(kind), first, second);
  data_size_ = data_size;
  ++count_;
}

}  // namespace varve
