// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "varve/export.hpp"

namespace varve {

// Writes that take effect together or not at all, in the order of the calls: a later operation on
// the same key wins. Arguments are copied.
// Thread-safety: none. Errors: InvalidArgument beyond the limits of limits.hpp; the batch is then
// unchanged.
class VARVE_EXPORT WriteBatch {
 public:
  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key);  // Erasing an absent key is no error.
  // Erases every key in [from, to). An empty `to` means up to the end. from >= to erases nothing.
  void erase_range(std::string_view from, std::string_view to);
  void clear() noexcept;  // Keeps the memory.

  [[nodiscard]] std::size_t count() const noexcept { return count_; }          // Operations.
  [[nodiscard]] std::size_t put_count() const noexcept { return put_count_; }  // Of these, puts.
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t data_size() const noexcept { return data_size_; }  // Keys and values.
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }    // Encoded bytes.

  // The operations in the encoding of docs/FORMAT.md, "log record". For the engine and for tools.
  [[nodiscard]] std::string_view encoded() const noexcept { return bytes_; }

 private:
  void append(std::uint8_t kind, std::string_view first, std::string_view second);

  std::string bytes_;
  std::size_t count_ = 0;
  std::size_t put_count_ = 0;
  std::size_t data_size_ = 0;
};

}  // namespace varve
