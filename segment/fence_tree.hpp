// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace varve::segment {

// A static B+-tree over ascending fence keys, for "which of them is the last one <= key": a run's
// sparse index and the route map. Fanout 32, 8-byte heads after a per-node common prefix.
// Thread-safety: immutable once built.
class FenceTree {
 public:
  FenceTree();
  // Requires: `fences` strictly ascending; fences[0] may be empty (minus infinity). The bytes are
  // copied.
  explicit FenceTree(std::span<const std::string_view> fences);
  FenceTree(FenceTree&&) noexcept;
  FenceTree& operator=(FenceTree&&) noexcept;
  ~FenceTree();

  [[nodiscard]] std::size_t size() const noexcept;
  // The index of the last fence <= key; 0 when key is below fences[0]. Requires: size() > 0.
  [[nodiscard]] std::size_t find(std::string_view key) const noexcept;
  [[nodiscard]] std::string_view fence(std::size_t index) const noexcept;
  [[nodiscard]] std::size_t memory_size() const noexcept;  // Bytes.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve::segment
