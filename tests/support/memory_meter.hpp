// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace varve::test {

// Bytes that this program has taken and not given back, in all threads: by operator new, as the
// allocator rounds them, and by mappings that can be written to and belong to no file. See
// tests/lib/CMakeLists.txt for how it is linked.
[[nodiscard]] std::int64_t metered_memory() noexcept;

}  // namespace varve::test
