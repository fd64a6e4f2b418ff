// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace varve {

// Sizes in bytes that every call checks; beyond them it throws InvalidArgument and has no effect.
inline constexpr std::size_t kKeySizeMin = 1;
inline constexpr std::size_t kKeySizeMax = std::size_t{64} << 10;
inline constexpr std::size_t kValueSizeMax = std::size_t{1} << 30;
// Sum of the key and value sizes of one WriteBatch, 32 bytes per operation included.
inline constexpr std::size_t kBatchSizeMax = (std::size_t{1} << 30) + (std::size_t{1} << 20);

}  // namespace varve
